use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(unix)]
use crate::watch::{Limits, watch};

/// Why a task failed, in words for whoever ran it.
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

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A cargo command in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    command
}

/// When every command is ended, if there is a limit.
static END: OnceLock<Instant> = OnceLock::new();

/// How long it may be since a test ended. A test has five minutes at most, and half a minute to be ended.
const SILENCE: Duration = Duration::from_secs(10 * 60);

/// Ends whatever runs when `limit` has passed, which counts from the first call.
pub(crate) fn limit_all(limit: Duration) {
    END.get_or_init(|| Instant::now() + limit);
}

/// Runs `command`, shows what it runs, and fails if it does.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    run_with(command, None)
}

/// Runs `command`, which is `cargo test`, as [`run`] does, and fails with the names of tests that hang.
pub(crate) fn run_tests(command: Command) -> Result<(), Failure> {
    run_with(command, Some(SILENCE))
}

fn run_with(command: Command, silence: Option<Duration>) -> Result<(), Failure> {
    let shown = show(&command);
    eprintln!("xtask: {shown}");
    match ended(command, silence) {
        Ok(Ended::ByItself(status)) if status.success() => Ok(()),
        Ok(Ended::ByItself(status)) => Err(Failure::new(format!("`{shown}` failed: {status}"))),
        #[cfg(unix)]
        Ok(Ended::Early(reason)) => Err(Failure::new(format!("`{shown}` was ended: {reason}"))),
        Err(error) => Err(Failure::new(format!("`{shown}` cannot be run: {error}"))),
    }
}

/// How a command ended.
pub(crate) enum Ended {
    ByItself(ExitStatus),
    /// It was ended, for this reason.
    #[cfg(unix)]
    Early(String),
}

#[cfg(unix)]
fn ended(command: Command, silence: Option<Duration>) -> io::Result<Ended> {
    let end = END.get().copied();
    watch(command, &Limits { end, silence })
}

/// Where there are no process groups, nothing ends a command.
#[cfg(not(unix))]
fn ended(mut command: Command, _silence: Option<Duration>) -> io::Result<Ended> {
    command.status().map(Ended::ByItself)
}

/// What `program` on `path` prints for `argument`, or `None` if there is no such program.
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
    let mut shown = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}
