use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use tempfile::TempDir;

use crate::step;

/// How long a server may take to start. It is generous, because test machines are slow and busy.
const START: Duration = Duration::from_secs(60);

/// Starts a command, prints its process id, and kills it when the standard input is closed or on a signal such as
/// Ctrl-C. The input is also closed if the test process is killed. So no server outlives the tests, even if a `static`
/// holds it, and neither does its folder.
const KEEPER: &str = r#"folder=$1; shift
trap : HUP INT TERM
setsid "$@" </dev/null >"$folder/peer.log" 2>&1 & echo $!
cat >/dev/null
kill -s KILL -- -$! 2>/dev/null; kill -s KILL $! 2>/dev/null; wait
cd /; rm -rf -- "$folder""#;

/// A server process. It is killed with its child processes when this value is dropped or when the test process exits.
///
/// ```
/// use std::process::Command;
/// use test_support::Peer;
///
/// let mut command = Command::new("sleep");
/// command.arg("60");
/// let peer = Peer::start(command);
/// assert!(peer.is_running());
/// peer.kill();
/// assert!(!peer.is_running());
/// ```
pub struct Peer {
    keeper: Child,
    pid: Pid,
    name: String,
    folder: TempDir,
}

impl Peer {
    /// Starts `command`. Its output goes to [`log`](Self::log). Its working folder and its folder for temporary files are
    /// [`folder`](Self::folder), unless the command sets others.
    pub fn start(command: Command) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), command)
    }

    /// Starts `command` in `folder`, which is removed with this value.
    pub fn start_in(folder: TempDir, command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        step(format!("starting {name}"));
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, "peer"])
            .arg(folder.path())
            .env("TMPDIR", folder.path())
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap_or(folder.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => keeper.env(name, value),
                None => keeper.env_remove(name),
            };
        }
        let mut keeper = keeper.spawn().expect("`sh` must start");
        let mut pid = String::new();
        BufReader::new(keeper.stdout.take().unwrap())
            .read_line(&mut pid)
            .unwrap();
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        Self {
            pid: pid.expect("`sh` prints the process id"),
            keeper,
            name,
            folder,
        }
    }

    /// Waits until a server accepts connections on `port` of the loopback interface.
    ///
    /// # Panics
    ///
    /// If the process exits or a minute passes first. The message contains the log.
    pub fn wait_for_port(&self, port: u16) {
        self.wait_until(&format!("listen on port {port}"), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }

    /// Waits until the log contains `text`.
    ///
    /// # Panics
    ///
    /// Like [`wait_for_port`](Self::wait_for_port).
    pub fn wait_for_log(&self, text: &str) {
        self.wait_until(&format!("print `{text}`"), || self.log().contains(text));
    }

    /// Waits until `condition` is true. `what` completes the sentence "the process must …".
    ///
    /// # Panics
    ///
    /// Like [`wait_for_port`](Self::wait_for_port).
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        step(format!("waiting for {} to {what}", self.name));
        let start = Instant::now();
        while !condition() {
            let (name, log) = (&self.name, || self.log());
            assert!(
                self.is_running(),
                "{name} exited and did not {what}:\n{}",
                log()
            );
            assert!(start.elapsed() < START, "{name} did not {what}:\n{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        step(format!("waited for {} to {what}", self.name));
    }

    /// Returns the standard output and standard error of the process.
    pub fn log(&self) -> String {
        let log = fs::read(log_of(&self.folder)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Returns the folder of the process, which is removed with it.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Returns the process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Returns `true` if the process exists, even if it is paused.
    pub fn is_running(&self) -> bool {
        test_kill_process(self.pid).is_ok() && !is_zombie(self.pid)
    }

    /// Pauses the process, as if its machine hung. [`resume`](Self::resume) continues it.
    pub fn pause(&self) {
        step(format!("pausing {}", self.name));
        kill_process(self.pid, Signal::STOP).unwrap();
    }

    /// Continues a paused process.
    pub fn resume(&self) {
        step(format!("resuming {}", self.name));
        kill_process(self.pid, Signal::CONT).unwrap();
    }

    /// Kills the process and its child processes, and waits until they are gone.
    pub fn kill(&self) {
        step(format!("killing {}", self.name));
        let _ = kill_process_group(self.pid, Signal::KILL);
        let _ = kill_process(self.pid, Signal::KILL);
        while self.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn log_of(folder: &TempDir) -> PathBuf {
    folder.path().join("peer.log")
}

/// Returns `true` if the process has exited but was not yet reaped. While one of its threads is still exiting, it holds
/// the resources of the process, such as a port.
fn is_zombie(pid: Pid) -> bool {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let has_ended = fs::read_to_string(process.join("stat")).is_ok_and(|stat| {
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    });
    let threads = || fs::read_dir(process.join("task")).map_or(0, Iterator::count);
    has_ended && threads() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test_support::test]
    fn child_processes_of_a_peer_are_killed_with_it() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]);
        let peer = Peer::start(command);
        peer.wait_until("print a process id", || peer.log().ends_with('\n'));
        let child = Pid::from_raw(peer.log().trim().parse().unwrap()).unwrap();
        assert!(test_kill_process(child).is_ok());
        drop(peer);
        while test_kill_process(child).is_ok() && !is_zombie(child) {
            std::thread::yield_now();
        }
    }

    fn sleeper() -> Peer {
        let mut command = Command::new("sleep");
        command.arg("1000");
        Peer::start(command)
    }

    #[test_support::test]
    fn a_dropped_peer_is_gone() {
        let peer = sleeper();
        let pid = peer.pid;
        drop(peer);
        assert!(test_kill_process(pid).is_err());
    }

    #[test_support::test]
    fn a_peer_whose_owner_was_killed_is_gone() {
        let mut peer = sleeper();
        let pid = peer.pid;
        // The system closes the pipe when it kills the owner.
        drop(peer.keeper.stdin.take());
        let _ = peer.keeper.wait();
        assert!(test_kill_process(pid).is_err());
        assert!(!peer.folder().exists());
    }

    #[test_support::test]
    fn the_log_has_the_output_of_a_peer_and_its_exit_is_noticed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 1"]);
        let peer = Peer::start(command);
        while peer.is_running() {
            std::thread::yield_now();
        }
        assert_eq!(peer.log(), "out\nerr\n");
    }
}
