//! Runs a command with time limits. A command that hangs is killed, and the tests that were running are named.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, sleep_until, timeout};

use crate::command::Exit;

/// How long a process may take to exit after it was asked to. The servers of tests exit after the tests.
const GRACE: Duration = Duration::from_secs(10);

/// When a command is killed.
pub(crate) struct Limits {
    /// The deadline of all commands.
    pub(crate) deadline: Option<Instant>,
    /// The longest time without a finished test. It requires the output of `cargo test`, which is parsed and forwarded.
    pub(crate) silence: Option<Duration>,
}

/// Runs `command` in its own process group, which is killed as a whole.
pub(crate) fn watch(command: Command, limits: &Limits) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(command, limits))
}

async fn run(command: Command, limits: &Limits) -> io::Result<Exit> {
    let mut command = tokio::process::Command::from(command);
    command.process_group(0).stdin(Stdio::null());
    if limits.silence.is_some() {
        command.stdout(Stdio::piped());
    }
    // Ctrl-C does not reach another process group.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut process = command.spawn()?;
    let mut output = process
        .stdout
        .take()
        .map(|output| BufReader::new(output).split(b'\n'));
    let mut tests = Tests::new();
    let reason = loop {
        let silence = limits.silence.map(|silence| tests.last_finished + silence);
        tokio::select! {
            line = async { output.as_mut()?.next_segment().await.ok()? }, if output.is_some() => match line {
                Some(line) => tests.pass_on(&line),
                None => output = None,
            },
            status = process.wait() => {
                // Read the rest of the output. A child process may still hold it open.
                if let Some(output) = &mut output {
                    while let Ok(Ok(Some(line))) = timeout(GRACE, output.next_segment()).await {
                        tests.pass_on(&line);
                    }
                }
                tests.print_failures();
                return status.map(Exit::Normal);
            }
            () = until(limits.deadline) => break "it took too long".to_owned(),
            () = until(silence) => {
                let minutes = limits.silence.unwrap_or_default().as_secs_f64() / 60.0;
                break format!("no test finished for {minutes:.1} minutes");
            }
            _ = interrupt.recv() => break "it was interrupted".to_owned(),
            _ = terminate.recv() => break "it was interrupted".to_owned(),
        }
    };
    stop(&mut process).await?;
    tests.print_failures();
    Ok(Exit::Killed(format!("{reason}{}", tests.named())))
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Terminates the process and its group. It asks first, so that the keepers of servers can stop them, and then kills.
async fn stop(process: &mut Child) -> io::Result<()> {
    let group = process
        .id()
        .and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let Some(group) = group else {
        return Ok(());
    };
    // It is no error if the process has already exited.
    let _ = kill_process_group(group, Signal::TERM);
    let all_exited = async {
        process.wait().await?;
        while test_kill_process_group(group).is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
        io::Result::Ok(())
    };
    if let Ok(exited) = timeout(GRACE, all_exited).await {
        return exited;
    }
    let _ = kill_process_group(group, Signal::KILL);
    process.wait().await?;
    Ok(())
}

/// The state of the tests, parsed from the output of `cargo test`.
struct Tests {
    /// The tests that are reported as slow and have not finished.
    slow: BTreeSet<String>,
    last_finished: Instant,
    /// What the test programs printed about failed tests. It is repeated at the end, where a reader looks first.
    failures: Vec<String>,
    /// How many more lines of the current report are kept. It is zero outside of a report.
    report: usize,
}

/// How many lines of the report of one test program are repeated at the end.
const REPORT: usize = 200;

impl Tests {
    fn new() -> Self {
        Self {
            slow: BTreeSet::new(),
            last_finished: Instant::now(),
            failures: Vec::new(),
            report: 0,
        }
    }

    fn pass_on(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        println!("{line}");
        self.read(&line);
    }

    fn read(&mut self, line: &str) {
        if line == "failures:" && self.report == 0 {
            self.report = REPORT;
        } else if line.starts_with("test result: ") {
            self.report = 0;
        }
        if self.report > 0 {
            self.report -= 1;
            self.failures.push(line.to_owned());
        }
        if line.starts_with("running ") {
            // Another test binary starts: the previous one has exited or crashed.
            self.slow.clear();
            self.last_finished = Instant::now();
        }
        let Some(line) = line.strip_prefix("test ") else {
            return;
        };
        if let Some((name, _)) = line.split_once(" has been running for over ") {
            // With one thread, the line follows the name of the same test.
            let name = name.rsplit(" ... test ").next().unwrap_or(name);
            self.slow.insert(name.to_owned());
        } else if let Some((name, _)) = line.split_once(" ... ") {
            // Some harnesses align the results.
            let name = name.trim_end().trim_end_matches(" - should panic");
            self.slow.remove(name);
            self.last_finished = Instant::now();
        }
    }

    fn print_failures(&self) {
        if !self.failures.is_empty() {
            println!("\nxtask: these tests failed:\n{}", self.failures.join("\n"));
        }
    }

    fn named(&self) -> String {
        if self.slow.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = self.slow.iter().map(String::as_str).collect();
        format!("; started and not finished: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::test_kill_process;

    use super::*;

    /// Returns a command that prints `line`, writes the ids of itself and of a child process to a file, and sleeps.
    fn sleeper(folder: &std::path::Path, line: &str) -> Command {
        let mut command = Command::new("sh");
        let script = r#"sleep 600 & echo "$! $$" >pids; echo "$0"; wait"#;
        command.args(["-c", script, line]).current_dir(folder);
        command
    }

    fn killed(command: Command, limits: &Limits) -> String {
        match watch(command, limits).unwrap() {
            Exit::Killed(reason) => reason,
            Exit::Normal(status) => panic!("{status}"),
        }
    }

    fn assert_all_gone(folder: &std::path::Path) {
        let pids = std::fs::read_to_string(folder.join("pids")).unwrap();
        for pid in pids.split_whitespace() {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            assert!(test_kill_process(pid).is_err(), "{pid:?} is still running");
        }
    }

    #[test_support::test]
    fn a_test_that_hangs_is_named_and_killed_with_its_child_processes() {
        let folder = tempfile::tempdir().unwrap();
        let line = "test faults::x has been running for over 60 seconds";
        let limits = Limits {
            deadline: None,
            silence: Some(Duration::from_secs(1)),
        };
        let reason = killed(sleeper(folder.path(), line), &limits);
        assert!(reason.starts_with("no test finished for"), "{reason}");
        assert!(
            reason.ends_with("started and not finished: faults::x"),
            "{reason}"
        );
        assert_all_gone(folder.path());
    }

    #[test_support::test]
    fn a_command_is_killed_at_the_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits {
            deadline: Some(Instant::now() + Duration::from_secs(1)),
            silence: None,
        };
        let reason = killed(sleeper(folder.path(), "building"), &limits);
        assert_eq!(reason, "it took too long");
        assert_all_gone(folder.path());
    }

    #[test_support::test]
    fn a_command_that_fails_in_time_keeps_its_exit_status() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test x ... FAILED'; exit 3"]);
        let limits = Limits {
            deadline: None,
            silence: Some(Duration::from_secs(60)),
        };
        let exit = watch(command, &limits).unwrap();
        assert!(matches!(exit, Exit::Normal(status) if status.code() == Some(3)));
    }

    #[test]
    fn finished_tests_are_not_named() {
        let mut tests = Tests::new();
        tests.read("test a has been running for over 60 seconds");
        tests.read("test b has been running for over 60 seconds");
        tests.read("test c has been running for over 60 seconds");
        tests.read("test d has been running for over 60 seconds");
        tests.read("test a ... ok");
        tests.read("test c - should panic ... ok");
        assert_eq!(tests.named(), "; started and not finished: b, d");
        tests.read("test result: FAILED. 1 passed; 1 failed");
        tests.read("running 3 tests");
        assert_eq!(tests.named(), "");
    }

    #[test]
    fn the_output_of_the_conformance_suite_is_understood() {
        let mut tests = Tests::new();
        tests.read("test file::long has been running for over 60 seconds");
        tests.read("test file::longer has been running for over 60 seconds");
        tests.read("test file::long   ... FAILED");
        tests.read("test file::other  ... ignored (the driver cannot watch)");
        assert_eq!(tests.named(), "; started and not finished: file::longer");
        // With one thread, and aligned.
        tests.read("test file::a    ... test file::a has been running for over 60 seconds");
        assert!(tests.slow.contains("file::a"));
        for line in ["", "failures:", "", "---- file::long ----", "no such value"] {
            tests.read(line);
        }
        assert_eq!(tests.failures.last().unwrap(), "no such value");
    }

    #[test]
    fn reports_of_failed_tests_are_kept_for_the_end() {
        let mut tests = Tests::new();
        for line in [
            "test a ... FAILED",
            "",
            "failures:",
            "---- a stdout ----",
            "no such value",
            "failures:",
            "    a",
            "test result: FAILED. 1 passed; 1 failed",
            "running 3 tests",
        ] {
            tests.read(line);
        }
        let kept = [
            "failures:",
            "---- a stdout ----",
            "no such value",
            "failures:",
            "    a",
        ];
        assert_eq!(tests.failures, kept);
    }

    #[test]
    fn a_long_report_of_a_failed_test_is_cut() {
        let mut tests = Tests::new();
        tests.read("failures:");
        for _ in 0..1_000 {
            tests.read("a line");
        }
        assert_eq!(tests.failures.len(), REPORT);
    }
}
