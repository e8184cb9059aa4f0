//! Runs the demo as a process.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use test_support::step;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The secret for configurations with `driver = "cookie"`.
pub(crate) const SECRET: &str = "a test secret with more than 32 bytes of text";

/// A generous limit, so that a test that hangs fails with a reason.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration and the files of the driver.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    pub(crate) fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("session.toml"), config).unwrap();
        Self { folder }
    }

    /// Sessions in a SQLite file, with long timeouts, because the machine may be busy.
    pub(crate) fn sqlite() -> Self {
        Self::new(
            "driver = 'sqlite'\n\
             timeout = 40\n\
             commit_deadline = 50\n\
             cookie = { name = 'demo-session', secure = false }\n\
             [options]\n\
             path = 'sessions.db'\n\
             busy_timeout = 30\n",
        )
    }

    /// Sessions in memory, with a limit on their number.
    pub(crate) fn memory(most: u32) -> Self {
        Self::new(&format!(
            "driver = 'memory'\n\
             commit_deadline = 50\n\
             cookie = {{ name = 'demo-session', secure = false }}\n\
             options = {{ max_entries = {most} }}\n",
        ))
    }

    /// Sessions in the cookie.
    pub(crate) fn cookie() -> Self {
        Self::new(
            "driver = 'cookie'\n\
             cookie = { name = 'demo-session', secure = false }\n\
             options = { secret = { env = 'SESSION_SECRET' } }\n",
        )
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("session.toml")
    }

    pub(crate) async fn serve(&self) -> Server {
        Server::start(&mut self.command()).await
    }

    pub(crate) async fn serve_with(&self, environment: &[(&str, String)]) -> Server {
        let variables = environment.iter().map(|(name, value)| (name, value));
        Server::start(self.command().envs(variables)).await
    }

    /// Runs a start that fails and returns the exit status and stderr.
    pub(crate) async fn fail_to_serve(&self) -> (ExitStatus, String) {
        fail(&mut self.command()).await
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = demo(self.path());
        command.arg("--config").arg(self.config());
        command
    }
}

/// Returns a command for the demo in `folder`, on a free port, with the most verbose log.
pub(crate) fn demo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command
        .args(["--listen", "127.0.0.1:0"])
        .current_dir(folder)
        .env("RUST_LOG", "trace")
        .env("SESSION_SECRET", SECRET)
        .env_remove("STORAGE_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn fail(command: &mut Command) -> (ExitStatus, String) {
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.expect("it does not exit").unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

pub(crate) struct Server {
    process: Child,
    url: String,
    greeting: String,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<String>,
}

/// The exit status and the output of a server.
pub(crate) struct Exit {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
}

impl Server {
    pub(crate) async fn start(command: &mut Command) -> Self {
        step("starting the server");
        let mut process = command.spawn().unwrap();
        let mut errors = process.stderr.take().unwrap();
        let stderr = tokio::spawn(async move {
            let mut text = String::new();
            errors.read_to_string(&mut text).await.unwrap();
            text
        });
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, stdout.next_line()).await;
        let line = line.expect("it does not start").unwrap();
        let Some(greeting) = line else {
            panic!("it exited: {}", stderr.await.unwrap());
        };
        let url = greeting
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .expect("the line contains the address")
            .trim_end_matches(',')
            .to_owned();
        Self {
            process,
            url,
            greeting,
            stdout,
            stderr,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Returns the line that the server prints when it is ready.
    pub(crate) fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Reads the next line of the output.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.stdout.next_line()).await;
        let line = line.expect("it prints nothing").unwrap();
        line.expect("it exited")
    }

    /// Returns host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.process.id().expect("it is running");
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) async fn stop(self) -> Exit {
        self.signal(Signal::TERM);
        self.wait().await
    }

    /// Waits until the server exits.
    pub(crate) async fn wait(mut self) -> Exit {
        step("waiting for the server to exit");
        let status = timeout(PATIENCE, self.process.wait()).await;
        let status = status.expect("it does not stop").unwrap();
        let mut output = self.greeting;
        while let Some(line) = self.stdout.next_line().await.unwrap() {
            output.push('\n');
            output.push_str(&line);
        }
        output.push('\n');
        output.push_str(&self.stderr.await.unwrap());
        Exit { status, output }
    }
}
