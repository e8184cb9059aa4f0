use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use tempfile::TempDir;

use crate::step;

/// How long a server may take to be there. Generous: machines of tests are slow and busy.
const START: Duration = Duration::from_secs(60);

/// Starts what follows it, prints its process id, and kills it when the standard input ends, which it also does when
/// the process of the tests is killed, and also if a signal to all of them, as by Ctrl-C, meets this one too. So nothing
/// outlives the tests, also not what a `static` holds, nor the folder with all that servers keep for the time they run.
const KEEPER: &str = r#"folder=$1; shift
trap : HUP INT TERM
setsid "$@" </dev/null >"$folder/peer.log" 2>&1 & echo $!
cat >/dev/null
kill -s KILL -- -$! 2>/dev/null; kill -s KILL $! 2>/dev/null; wait
cd /; rm -rf -- "$folder""#;

/// A server in a process of its own, killed with those that it started when this value is dropped or when the tests end in any way.
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
    /// Starts `command`. Its output goes to [`log`](Self::log); its working folder, and that for its temporary files, is
    /// [`folder`](Self::folder) unless the command has another.
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

    /// Waits until something accepts connections at `port` on loopback.
    ///
    /// # Panics
    ///
    /// With the log, if the process ends or a minute passes before.
    pub fn wait_for_port(&self, port: u16) {
        self.wait_until(&format!("listen on port {port}"), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
    }

    /// Waits until the log contains `text`.
    ///
    /// # Panics
    ///
    /// As [`wait_for_port`](Self::wait_for_port).
    pub fn wait_for_log(&self, text: &str) {
        self.wait_until(&format!("print `{text}`"), || self.log().contains(text));
    }

    /// Waits until `condition` is true of what the process was to do, as named by `what`.
    ///
    /// # Panics
    ///
    /// As [`wait_for_port`](Self::wait_for_port).
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        step(format!("waiting for {} to {what}", self.name));
        let start = Instant::now();
        while !condition() {
            let (name, log) = (&self.name, || self.log());
            assert!(
                self.is_running(),
                "{name} ended and did not {what}:\n{}",
                log()
            );
            assert!(start.elapsed() < START, "{name} did not {what}:\n{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        step(format!("waited for {} to {what}", self.name));
    }

    /// What the process wrote to its output and its errors.
    pub fn log(&self) -> String {
        let log = fs::read(log_of(&self.folder)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// A folder of its own, removed with it.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether the process is there; a stopped one is.
    pub fn is_running(&self) -> bool {
        test_kill_process(self.pid).is_ok() && !is_zombie(self.pid)
    }

    /// Stops the process without its knowing, as a machine that hangs; [`resume`](Self::resume) lets it go on.
    pub fn pause(&self) {
        step(format!("pausing {}", self.name));
        kill_process(self.pid, Signal::STOP).unwrap();
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        step(format!("letting {} go on", self.name));
        kill_process(self.pid, Signal::CONT).unwrap();
    }

    /// Kills the process at once, with those that it started, and returns when it is gone.
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

/// A process that has ended and that its parent has not yet been told of. While one of its threads is still ending, it
/// holds what the process held, such as a port.
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
    fn what_a_peer_started_is_gone_with_it() {
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
        // What the system does to the pipe when it kills the owner.
        drop(peer.keeper.stdin.take());
        let _ = peer.keeper.wait();
        assert!(test_kill_process(pid).is_err());
        assert!(!peer.folder().exists());
    }

    #[test_support::test]
    fn the_log_has_what_a_peer_printed_and_its_end_is_noticed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 1"]);
        let peer = Peer::start(command);
        while peer.is_running() {
            std::thread::yield_now();
        }
        assert_eq!(peer.log(), "out\nerr\n");
    }
}
