//! Commands that may hang: they are ended, and what ran then is named.

use std::collections::BTreeSet;
use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, sleep_until, timeout};

use crate::command::Ended;

/// How long what was asked to end may take for it. The servers of tests end when the tests have.
const GRACE: Duration = Duration::from_secs(10);

/// When a command is ended.
pub(crate) struct Limits {
    /// The end of everything.
    pub(crate) end: Option<Instant>,
    /// How long it may be since a test ended. The output is that of `cargo test`, which is read and passed on.
    pub(crate) silence: Option<Duration>,
}

/// Runs `command` in a process group of its own, which is ended as a whole.
pub(crate) fn watch(command: Command, limits: &Limits) -> io::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(command, limits))
}

async fn run(command: Command, limits: &Limits) -> io::Result<Ended> {
    let mut command = tokio::process::Command::from(command);
    command.process_group(0).stdin(Stdio::null());
    if limits.silence.is_some() {
        command.stdout(Stdio::piped());
    }
    // A group of its own is not told of Ctrl-C.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut process = command.spawn()?;
    let mut output = process
        .stdout
        .take()
        .map(|output| BufReader::new(output).split(b'\n'));
    let mut tests = Tests::new();
    let reason = loop {
        let silence = limits.silence.map(|silence| tests.last_end + silence);
        tokio::select! {
            line = async { output.as_mut()?.next_segment().await.ok()? }, if output.is_some() => match line {
                Some(line) => tests.pass_on(&line),
                None => output = None,
            },
            status = process.wait() => {
                // What else it wrote; something that it left behind may hold its output.
                if let Some(output) = &mut output {
                    while let Ok(Ok(Some(line))) = timeout(GRACE, output.next_segment()).await {
                        tests.pass_on(&line);
                    }
                }
                return status.map(Ended::ByItself);
            }
            () = until(limits.end) => break "it took too long".to_owned(),
            () = until(silence) => {
                let minutes = limits.silence.unwrap_or_default().as_secs_f64() / 60.0;
                break format!("no test ended for {minutes:.1} minutes");
            }
            _ = interrupt.recv() => break "it was interrupted".to_owned(),
            _ = terminate.recv() => break "it was interrupted".to_owned(),
        }
    };
    end(&mut process).await?;
    Ok(Ended::Early(format!("{reason}{}", tests.named())))
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Ends the process and its group: gently first, so that the keepers of servers see the tests end and end the servers.
async fn end(process: &mut Child) -> io::Result<()> {
    let group = process
        .id()
        .and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let Some(group) = group else {
        return Ok(());
    };
    // What has ended by itself is no error.
    let _ = kill_process_group(group, Signal::TERM);
    let all_ended = async {
        process.wait().await?;
        while test_kill_process_group(group).is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
        io::Result::Ok(())
    };
    if let Ok(ended) = timeout(GRACE, all_ended).await {
        return ended;
    }
    let _ = kill_process_group(group, Signal::KILL);
    process.wait().await?;
    Ok(())
}

/// What the output of `cargo test` says of the tests.
struct Tests {
    /// Those that have run for long and not ended.
    slow: BTreeSet<String>,
    last_end: Instant,
}

impl Tests {
    fn new() -> Self {
        Self {
            slow: BTreeSet::new(),
            last_end: Instant::now(),
        }
    }

    fn pass_on(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        println!("{line}");
        self.read(&line);
    }

    fn read(&mut self, line: &str) {
        if line.starts_with("running ") {
            // Another program of tests: the one before has ended, be it by a crash.
            self.slow.clear();
            self.last_end = Instant::now();
        }
        let Some(line) = line.strip_prefix("test ") else {
            return;
        };
        if let Some((name, _)) = line.split_once(" has been running for over ") {
            self.slow.insert(name.to_owned());
        } else if let Some((name, _)) = line.split_once(" ... ") {
            self.slow.remove(name.trim_end_matches(" - should panic"));
            self.last_end = Instant::now();
        }
    }

    fn named(&self) -> String {
        if self.slow.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = self.slow.iter().map(String::as_str).collect();
        format!("; begun and not ended: {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::test_kill_process;

    use super::*;

    /// A command that prints this line, and its own id and that of a process that it starts; then it sleeps.
    fn sleeper(folder: &std::path::Path, line: &str) -> Command {
        let mut command = Command::new("sh");
        let script = r#"sleep 600 & echo "$! $$" >pids; echo "$0"; wait"#;
        command.args(["-c", script, line]).current_dir(folder);
        command
    }

    fn ended_early(command: Command, limits: &Limits) -> String {
        match watch(command, limits).unwrap() {
            Ended::Early(reason) => reason,
            Ended::ByItself(status) => panic!("{status}"),
        }
    }

    fn assert_all_gone(folder: &std::path::Path) {
        let pids = std::fs::read_to_string(folder.join("pids")).unwrap();
        for pid in pids.split_whitespace() {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            assert!(test_kill_process(pid).is_err(), "{pid:?} is there");
        }
    }

    #[test_support::test]
    fn a_test_that_hangs_is_ended_with_all_that_it_started_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let line = "test faults::x has been running for over 60 seconds";
        let limits = Limits {
            end: None,
            silence: Some(Duration::from_secs(1)),
        };
        let reason = ended_early(sleeper(folder.path(), line), &limits);
        assert!(reason.starts_with("no test ended for"), "{reason}");
        assert!(
            reason.ends_with("begun and not ended: faults::x"),
            "{reason}"
        );
        assert_all_gone(folder.path());
    }

    #[test_support::test]
    fn a_command_is_ended_at_the_end_of_everything() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits {
            end: Some(Instant::now() + Duration::from_secs(1)),
            silence: None,
        };
        let reason = ended_early(sleeper(folder.path(), "building"), &limits);
        assert_eq!(reason, "it took too long");
        assert_all_gone(folder.path());
    }

    #[test_support::test]
    fn a_command_that_fails_in_time_fails_as_itself() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test x ... FAILED'; exit 3"]);
        let limits = Limits {
            end: None,
            silence: Some(Duration::from_secs(60)),
        };
        let ended = watch(command, &limits).unwrap();
        assert!(matches!(ended, Ended::ByItself(status) if status.code() == Some(3)));
    }

    #[test]
    fn tests_that_ended_are_not_named() {
        let mut tests = Tests::new();
        tests.read("test a has been running for over 60 seconds");
        tests.read("test b has been running for over 60 seconds");
        tests.read("test c has been running for over 60 seconds");
        tests.read("test d has been running for over 60 seconds");
        tests.read("test a ... ok");
        tests.read("test c - should panic ... ok");
        assert_eq!(tests.named(), "; begun and not ended: b, d");
        tests.read("test result: FAILED. 1 passed; 1 failed");
        tests.read("running 3 tests");
        assert_eq!(tests.named(), "");
    }
}
