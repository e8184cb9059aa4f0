use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(unix)]
use crate::watch::{Limits, watch};

/// The error of a task, as a message for the user.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Returns a cargo command in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    command
}

/// When running commands are killed, if there is a limit.
static DEADLINE: OnceLock<Instant> = OnceLock::new();

/// The longest time without a finished test. A test may take up to five minutes, plus half a minute to be killed.
const SILENCE: Duration = Duration::from_secs(10 * 60);

/// Kills running commands after `limit`, counted from the first call.
pub(crate) fn limit_all(limit: Duration) {
    DEADLINE.get_or_init(|| Instant::now() + limit);
}

/// Prints and runs `command`, and fails if it fails.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    run_with(command, None)
}

/// Runs `cargo test` like [`run`], and fails with the names of tests that hang.
pub(crate) fn run_tests(command: Command) -> Result<(), Failure> {
    run_with(command, Some(SILENCE))
}

fn run_with(command: Command, silence: Option<Duration>) -> Result<(), Failure> {
    let line = show(&command);
    eprintln!("xtask: {line}");
    match wait(command, silence) {
        Ok(Exit::Normal(status)) if status.success() => Ok(()),
        Ok(Exit::Normal(status)) => Err(Failure::new(format!("`{line}` failed: {status}"))),
        #[cfg(unix)]
        Ok(Exit::Killed(reason)) => Err(Failure::new(format!("`{line}` was killed: {reason}"))),
        Err(error) => Err(Failure::new(format!("cannot run `{line}`: {error}"))),
    }
}

/// How a command exited.
pub(crate) enum Exit {
    Normal(ExitStatus),
    /// It was killed, for this reason.
    #[cfg(unix)]
    Killed(String),
}

#[cfg(unix)]
fn wait(command: Command, silence: Option<Duration>) -> io::Result<Exit> {
    let deadline = DEADLINE.get().copied();
    watch(command, &Limits { deadline, silence })
}

/// Waits without limits, because only Unix has process groups to kill.
#[cfg(not(unix))]
fn wait(mut command: Command, _silence: Option<Duration>) -> io::Result<Exit> {
    command.status().map(Exit::Normal)
}

/// Returns what `program` on `path` prints for `argument`, or `None` if there is no such program.
pub(crate) fn output(program: &str, argument: &str, path: &OsString) -> io::Result<Option<String>> {
    let output = Command::new(program)
        .arg(argument)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => Ok(Some(
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn show(command: &Command) -> String {
    let mut line = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
