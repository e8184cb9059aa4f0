use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages from PyPI in a virtual environment of their own, installed once into the target folder.
pub struct PythonPackages {
    folder: PathBuf,
}

impl PythonPackages {
    /// Installs what `requirements`, a file in pip's format with exact versions, names into `into`, a folder of its
    /// own below `CARGO_TARGET_TMPDIR`. To be kept in a `static` by programs that have several tests.
    ///
    /// # Panics
    ///
    /// Without Python's `venv` module, or if pip fails.
    pub fn install(requirements: impl AsRef<Path>, into: impl AsRef<Path>) -> Self {
        let (requirements, folder) = (requirements.as_ref(), into.as_ref().to_owned());
        let wanted = fs::read(requirements).unwrap();
        // Written only when pip has come to its end.
        let done = folder.join("installed-requirements.txt");
        if !fs::read(&done).is_ok_and(|installed| installed == wanted) {
            let _ = fs::remove_dir_all(&folder);
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv"]).arg(&folder);
            run(
                venv,
                "install Python 3 with its `venv` module, or run `cargo xtask test`, which does",
            );
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(requirements);
            run(pip, "is the Python package index within reach?");
            fs::write(done, wanted).unwrap();
        }
        Self { folder }
    }

    /// The program `name` that one of the packages brings, or Python itself as `python`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// The virtual environment.
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
