//! PostgreSQL servers and PgBouncer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::{Peer, free_port, step};

/// A PostgreSQL server on a free port, which keeps its data across restarts.
///
/// ```
/// use test_support::PostgresServer;
///
/// let server = PostgresServer::shared();
/// let database = server.create_database();
/// assert_eq!(server.psql(&database, "SELECT 1 + 1"), "2");
/// ```
///
/// It accepts the user `postgres` without a password.
pub struct PostgresServer {
    peer: Peer,
    settings: Vec<String>,
    port: u16,
    folder: TempDir,
}

impl PostgresServer {
    /// Returns a server that tests of undisturbed servers share.
    pub fn shared() -> &'static Self {
        static SERVER: LazyLock<PostgresServer> = LazyLock::new(PostgresServer::start);
        &SERVER
    }

    /// Starts Debian's PostgreSQL.
    ///
    /// # Panics
    ///
    /// If it is not installed or does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts PostgreSQL with more settings, such as `["max_connections=10"]`.
    pub fn start_with(settings: &[&str]) -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        step("creating a PostgreSQL cluster");
        let mut initdb = unprivileged(&programs().join("initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        initdb.args(["--locale=C.UTF-8", "-D"]).arg(&data);
        let output = initdb
            .current_dir("/")
            .output()
            .expect("`initdb` must start");
        assert!(output.status.success(), "{output:?}");
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let port = free_port();
        let server = Self {
            peer: start(&data, port, &settings),
            settings,
            port,
            folder,
        };
        server.wait_until_ready();
        server
    }

    /// Returns its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database and returns its name.
    ///
    /// # Panics
    ///
    /// If the server is unreachable.
    pub fn create_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.psql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0"),
        );
        name
    }

    /// Runs `sql` with `psql` and returns the rows without headings, one in a line.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        step(sql);
        let output = self.psql_command(database, sql).output();
        let output = output.expect("`psql` must start");
        assert!(
            output.status.success(),
            "{sql}: {output:?}\n{}",
            self.peer.log()
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    fn psql_command(&self, database: &str, sql: &str) -> Command {
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        psql.arg(self.url(database)).env_remove("PGOPTIONS");
        psql
    }

    /// Pauses the server with all its processes. [`resume`](Self::resume) continues it.
    pub fn pause(&self) {
        self.peer.pause();
        self.signal_children(Signal::STOP);
    }

    /// Continues a paused server.
    pub fn resume(&self) {
        self.signal_children(Signal::CONT);
        self.peer.resume();
    }

    /// Kills the server with all its processes at once, like a power failure.
    pub fn kill(&self) {
        // Paused, it cannot start another process meanwhile.
        self.peer.pause();
        self.signal_children(Signal::KILL);
        self.peer.kill();
    }

    /// Starts the server again after [`kill`](Self::kill), on the same port and data, and waits until it is ready.
    pub fn restart(&mut self) {
        self.peer = start(&self.folder.path().join("data"), self.port, &self.settings);
        self.wait_until_ready();
    }

    /// Starts a streaming replica, which accepts only reads until `SELECT pg_promote()`.
    ///
    /// # Panics
    ///
    /// If the server cannot be copied.
    pub fn replica(&self) -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        let mut copy = unprivileged(&programs().join("pg_basebackup"));
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
        copy.arg("-D")
            .arg(&data)
            .arg("-d")
            .arg(self.url("postgres"));
        let output = copy.current_dir("/").output();
        let output = output.expect("`pg_basebackup` must start");
        assert!(output.status.success(), "{output:?}");
        let port = free_port();
        let replica = Self {
            peer: start(&data, port, &self.settings),
            settings: self.settings.clone(),
            port,
            folder,
        };
        replica.wait_until_ready();
        replica
    }

    /// Starts the server again at the address of `failed`, which was killed, as if that address had been moved.
    pub fn move_to(&mut self, failed: Self) {
        self.kill();
        self.port = failed.port;
        drop(failed);
        self.restart();
    }

    fn wait_until_ready(&self) {
        self.peer.wait_until("answer", || {
            let output = self.psql_command("postgres", "SELECT 1").output();
            output.expect("`psql` must start").status.success()
        });
    }

    fn signal_children(&self, signal: Signal) {
        let pid = self.peer.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        for child in children.split_whitespace() {
            let child = child.parse().ok().and_then(Pid::from_raw);
            // It may have ended.
            let _sent = kill_process(child.expect("a process id"), signal);
        }
    }
}

fn start(data: &Path, port: u16, settings: &[String]) -> Peer {
    let mut command = unprivileged(&programs().join("postgres"));
    command
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-k", ""]);
    for setting in [
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "shared_buffers=32MB",
        "max_connections=200",
    ] {
        command.args(["-c", setting]);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    command.current_dir("/").env("LC_ALL", "C.UTF-8");
    Peer::start(command)
}

/// PgBouncer in transaction mode before a server, on a free port.
///
/// ```
/// use test_support::{PgBouncer, PostgresServer};
///
/// let server = PostgresServer::shared();
/// let database = server.create_database();
/// let pooler = PgBouncer::start(server);
/// assert!(pooler.url(&database).ends_with(&database));
/// ```
pub struct PgBouncer {
    port: u16,
    _peer: Peer,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts Debian's PgBouncer.
    ///
    /// # Panics
    ///
    /// If it is not installed or does not start.
    pub fn start(server: &PostgresServer) -> Self {
        let (folder, port) = (folder(), free_port());
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n",
            server.port()
        );
        std::fs::write(&file, settings).unwrap();
        let mut command = unprivileged(Path::new("pgbouncer"));
        // Debian installs it where only root looks.
        command.env(
            "PATH",
            format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
        );
        command.arg(&file).current_dir("/");
        let peer = Peer::start(command);
        peer.wait_for_port(port);
        Self {
            port,
            _peer: peer,
            _folder: folder,
        }
    }

    /// Returns the URL of a database of the server behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// A folder that belongs to the user that the servers run as.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if geteuid().is_root() {
        let mut chown = Command::new("chown");
        let status = chown.arg("nobody:nogroup").arg(folder.path()).status();
        assert!(status.expect("`chown` must start").success());
    }
    folder
}

/// A command of the user `nobody` if this is root, whom PostgreSQL refuses.
fn unprivileged(program: &Path) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    command.arg(program);
    command
}

/// The folder of the newest PostgreSQL that Debian has installed.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            let version = version.ok()?;
            let number = version.file_name().to_str()?.parse().ok()?;
            let programs = version.path().join("bin");
            programs
                .join("postgres")
                .is_file()
                .then_some((number, programs))
        })
        .collect();
    versions.sort();
    let newest = versions.pop();
    newest
        .expect("PostgreSQL must be installed: `apt install postgresql`")
        .1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test_support::test]
    fn a_killed_server_keeps_its_data() {
        let mut server = PostgresServer::start();
        server.psql("postgres", "CREATE TABLE t AS SELECT 7 AS n");
        server.psql("postgres", "CHECKPOINT");
        server.kill();
        server.restart();
        assert_eq!(server.psql("postgres", "SELECT n FROM t"), "7");
    }
}
