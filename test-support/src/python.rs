use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages from PyPI in a virtual environment, installed once into the target folder.
pub struct PythonPackages {
    folder: PathBuf,
}

impl PythonPackages {
    /// Installs packages into a virtual environment.
    ///
    /// `requirements` is a file in pip's format with exact versions. `into` is a folder below `CARGO_TARGET_TMPDIR`.
    /// Programs with several tests should keep the result in a `static`.
    ///
    /// # Panics
    ///
    /// If Python's `venv` module is missing or pip fails.
    pub fn install(requirements: impl AsRef<Path>, into: impl AsRef<Path>) -> Self {
        let (requirements, folder) = (requirements.as_ref(), into.as_ref().to_owned());
        let mut wanted = fs::read(requirements).unwrap();
        // The scripts name their interpreter, so that a folder that was moved is made anew.
        wanted.extend(folder.as_os_str().as_encoded_bytes());
        // Written only after pip succeeded.
        let done = folder.join("installed-requirements.txt");
        if !fs::read(&done).is_ok_and(|installed| installed == wanted) {
            let _ = fs::remove_dir_all(&folder);
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv"]).arg(&folder);
            run(
                venv,
                "install Python 3 with its `venv` module, or run `cargo xtask test`",
            );
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(requirements);
            run(pip, "is the Python package index reachable?");
            fs::write(done, wanted).unwrap();
        }
        Self { folder }
    }

    /// Returns the path of the program `name` from one of the packages. `python` is Python itself.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Returns the folder of the virtual environment.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn run(mut command: Command, advice: &str) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; {advice}"));
    assert!(
        output.status.success(),
        "{command:?} failed; {advice}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
