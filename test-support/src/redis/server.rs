use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{Peer, free_port};

/// A Redis or Valkey server on a free port, without persistence by default.
///
/// ```
/// use test_support::RedisServer;
///
/// let server = RedisServer::start();
/// assert_eq!(server.cli(&["SET", "k", "v"]), "OK");
/// assert_eq!(server.cli(&["GET", "k"]), "v");
/// ```
pub struct RedisServer {
    peer: Peer,
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    /// Kept across restarts, so that a restarted server finds its data.
    data: TempDir,
    /// The arguments that `redis-cli` needs for access.
    access: Vec<String>,
}

impl RedisServer {
    /// Starts Debian's `redis-server`.
    ///
    /// # Panics
    ///
    /// If `redis-server` or `redis-cli` is missing, or if the server does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts `redis-server` with more arguments, such as `["--appendonly", "yes"]`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_program("redis-server", arguments)
    }

    /// Starts `redis-server` on a port from [`free_port`].
    pub fn start_at(port: u16) -> Self {
        let data = tempfile::tempdir().unwrap();
        Self::start_in(data, Path::new("redis-server"), port, &[], &[])
    }

    /// Starts another program with the arguments of `redis-server`, such as `valkey-server`.
    pub fn start_program(program: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        Self::start_in(data, program.as_ref(), free_port(), arguments, &[])
    }

    /// Starts `program` on `port`. `access` has the arguments that `redis-cli` needs beside the port.
    pub(super) fn start_in(
        data: TempDir,
        program: &Path,
        port: u16,
        arguments: &[&str],
        access: &[String],
    ) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let server = Self {
            peer: start(program, port, &arguments, data.path()),
            program: program.to_owned(),
            arguments,
            port,
            data,
            access: access.to_vec(),
        };
        server.wait_until_ready();
        server
    }

    /// Returns its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Returns the folder of its data.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// Returns its process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Runs a command with `redis-cli` and returns its output without the newline. Errors are text, such as `NOAUTH …`.
    ///
    /// # Panics
    ///
    /// If the server is unreachable.
    pub fn cli(&self, command: &[&str]) -> String {
        match self.try_cli(command) {
            Some(output) => output,
            None => panic!("{command:?} got no response:\n{}", self.peer.log()),
        }
    }

    /// Like [`cli`](Self::cli), but returns `None` if the server is unreachable.
    pub fn try_cli(&self, command: &[&str]) -> Option<String> {
        let mut cli = self.cli_command();
        let output = cli.args(command).output().expect("`redis-cli` must start");
        let answered = output.status.success();
        answered.then(|| {
            String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()
        })
    }

    /// Writes `value` under `key` as another program would. It follows redirections in a cluster.
    ///
    /// # Panics
    ///
    /// If the write fails.
    pub fn set(&self, key: &str, value: &[u8]) {
        let mut cli = self.cli_command();
        cli.args(["-c", "-x", "SET", key]);
        let mut cli = cli
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`redis-cli` must start");
        cli.stdin.take().unwrap().write_all(value).unwrap();
        let output = cli.wait_with_output().unwrap();
        assert_eq!(output.stdout.trim_ascii(), b"OK", "{output:?}");
    }

    /// Returns `INFO replication`. It starts no process, because tests call it after every write.
    ///
    /// # Panics
    ///
    /// If the server is unreachable.
    pub fn replication(&self) -> String {
        let mut stream =
            TcpStream::connect(self.address()).expect("the server accepts connections");
        let mut answer = String::new();
        stream
            .write_all(b"INFO replication\r\nQUIT\r\n")
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("the server responds");
        answer
    }

    /// Returns a `redis-cli` command for this server.
    pub fn cli_command(&self) -> Command {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        cli.args(&self.access).env_remove("REDISCLI_AUTH");
        cli
    }

    /// Pauses the server. [`resume`](Self::resume) continues it.
    pub fn pause(&self) {
        self.peer.pause();
    }

    /// Continues a paused server.
    pub fn resume(&self) {
        self.peer.resume();
    }

    /// Kills the server at once, like a power failure.
    pub fn kill(&self) {
        self.peer.kill();
    }

    /// Starts the server again after [`kill`](Self::kill), on the same port and data, and returns without waiting.
    pub fn start_again(&mut self) {
        self.peer.kill();
        self.peer = start(&self.program, self.port, &self.arguments, self.data.path());
    }

    /// Starts the server again like [`start_again`](Self::start_again), and waits until it is ready.
    pub fn restart(&mut self) {
        self.start_again();
        self.wait_until_ready();
    }

    /// Waits until the server has loaded its data and responds.
    pub fn wait_until_ready(&self) {
        self.peer.wait_until("answer", || {
            self.try_cli(&["PING"]).is_some_and(|answer| {
                answer == "PONG" || answer.starts_with("NOAUTH") || answer.starts_with("NOPERM")
            })
        });
    }
}

fn start(program: &Path, port: u16, arguments: &[String], data: &Path) -> Peer {
    let mut command = Command::new(program);
    // The first arguments may be a configuration file or change the port.
    command
        .args(arguments.iter().take_while(|word| !word.starts_with("--")))
        .args(["--port", &port.to_string()])
        .args(["--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(data)
        .args(arguments.iter().skip_while(|word| !word.starts_with("--")));
    Peer::start(command)
}
