//! The demo as a process.

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

/// What the configuration with `driver = "cookie"` asks for.
pub(crate) const SECRET: &str = "a secret of the tests, with more than 32 bytes";

/// Far more than anything takes here, so that a test that hangs fails with a reason.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration and whatever it makes the driver write.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    pub(crate) fn new(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("session.toml"), config).unwrap();
        Self { folder }
    }

    /// Sessions in a SQLite file. Its times are long, since the machine may be busy with other tests.
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

    /// Sessions in the memory of the process, of which there may be so many.
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

    /// For a start that fails: the status and what stands on stderr.
    pub(crate) async fn fail_to_serve(&self) -> (ExitStatus, String) {
        fail(&mut self.command()).await
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = demo(self.path());
        command.arg("--config").arg(self.config());
        command
    }
}

/// The demo in `folder`, on a free port, with all that it can log.
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
    let output = output.expect("it does not end").unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

pub(crate) struct Server {
    process: Child,
    url: String,
    greeting: String,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<String>,
}

/// How a server ended, and all that it wrote.
pub(crate) struct Ended {
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
            panic!("it ended: {}", stderr.await.unwrap());
        };
        let url = greeting
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .expect("the line names the address")
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

    /// The line that says that it serves.
    pub(crate) fn greeting(&self) -> &str {
        &self.greeting
    }

    /// The next line that it writes.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.stdout.next_line()).await;
        let line = line.expect("it writes nothing").unwrap();
        line.expect("it ended")
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.process.id().expect("it has not ended");
        let pid = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) async fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        step("waiting for the server to end");
        let status = timeout(PATIENCE, self.process.wait()).await;
        let status = status.expect("it does not stop").unwrap();
        let mut output = self.greeting;
        while let Some(line) = self.stdout.next_line().await.unwrap() {
            output.push('\n');
            output.push_str(&line);
        }
        output.push('\n');
        output.push_str(&self.stderr.await.unwrap());
        Ended { status, output }
    }
}
