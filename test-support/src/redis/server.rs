use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{Peer, free_port};

/// A server of Redis or Valkey on a port of its own, without persistence unless its arguments say otherwise.
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
    /// Outlives the process, so that a restarted one finds its data.
    data: TempDir,
    /// What `redis-cli` needs to be let in.
    access: Vec<String>,
}

impl RedisServer {
    /// Starts Debian's `redis-server`.
    ///
    /// # Panics
    ///
    /// Without `redis-server` and `redis-cli`, or if it does not come up.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments: `["--appendonly", "yes"]`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_program("redis-server", arguments)
    }

    /// Starts `redis-server` on a port that [`free_port`] gave.
    pub fn start_at(port: u16) -> Self {
        let data = tempfile::tempdir().unwrap();
        Self::start_in(data, Path::new("redis-server"), port, &[], &[])
    }

    /// Starts another program that takes the arguments of `redis-server`, as `valkey-server` does.
    pub fn start_program(program: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        Self::start_in(data, program.as_ref(), free_port(), arguments, &[])
    }

    /// Starts `program` so that it answers on `port`. `access` is what `redis-cli` needs beside the port.
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
        server.wait_until_it_serves();
        server
    }

    /// The port that it listens on, on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &Path {
        self.data.path()
    }

    /// Its process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What `redis-cli` prints for a command, without the line's end; errors come as text, such as `NOAUTH …`.
    ///
    /// # Panics
    ///
    /// If the server is away.
    pub fn cli(&self, command: &[&str]) -> String {
        match self.try_cli(command) {
            Some(output) => output,
            None => panic!("{command:?} had no answer:\n{}", self.peer.log()),
        }
    }

    /// The same; `None` if the server is away.
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

    /// Writes `value` under `key` as other programs do, wherever in a cluster that is.
    ///
    /// # Panics
    ///
    /// If it is not written.
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

    /// What `INFO replication` tells, asked without a process of its own: it is asked after every write of a test.
    ///
    /// # Panics
    ///
    /// If the server is away.
    pub fn replication(&self) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("the server is there");
        let mut answer = String::new();
        stream
            .write_all(b"INFO replication\r\nQUIT\r\n")
            .and_then(|()| stream.read_to_string(&mut answer))
            .expect("the server answers");
        answer
    }

    /// `redis-cli` for this server, for more than a command.
    pub fn cli_command(&self) -> Command {
        let mut cli = Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        cli.args(&self.access).env_remove("REDISCLI_AUTH");
        cli
    }

    /// Stops it without its knowing; [`resume`](Self::resume) lets it go on.
    pub fn pause(&self) {
        self.peer.pause();
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        self.peer.resume();
    }

    /// Kills it at once, as a power cut does.
    pub fn kill(&self) {
        self.peer.kill();
    }

    /// Starts it anew after [`kill`](Self::kill), on its port and its data, and returns without waiting for it.
    pub fn start_again(&mut self) {
        self.peer.kill();
        self.peer = start(&self.program, self.port, &self.arguments, self.data.path());
    }

    /// [`start_again`](Self::start_again), and waits until it serves.
    pub fn restart(&mut self) {
        self.start_again();
        self.wait_until_it_serves();
    }

    /// Waits until it has read its data and answers.
    pub fn wait_until_it_serves(&self) {
        self.peer.wait_until("answer", || {
            self.try_cli(&["PING"]).is_some_and(|answer| {
                answer == "PONG" || answer.starts_with("NOAUTH") || answer.starts_with("NOPERM")
            })
        });
    }
}

fn start(program: &Path, port: u16, arguments: &[String], data: &Path) -> Peer {
    let mut command = Command::new(program);
    // The first words of the arguments may be a configuration file or take the port away.
    command
        .args(arguments.iter().take_while(|word| !word.starts_with("--")))
        .args(["--port", &port.to_string()])
        .args(["--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(data)
        .args(arguments.iter().skip_while(|word| !word.starts_with("--")));
    Peer::start(command)
}
