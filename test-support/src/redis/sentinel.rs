use std::fs;
use std::path::Path;
use std::time::Duration;

use super::RedisServer;
use crate::free_port;

/// A primary with a replica, and three sentinels that watch over them.
pub struct RedisSentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// The name under which the sentinels know the primary.
    pub const NAME: &'static str = "main";

    /// Starts all, with sentinels that fail over after a second. It waits until the replica follows and the sentinels know
    /// of each other.
    pub fn start() -> Self {
        Self::start_with(Duration::from_secs(1), Duration::from_secs(3))
    }

    /// The same with other values of `down-after-milliseconds` and `failover-timeout`.
    pub fn start_with(down_after: Duration, failover_timeout: Duration) -> Self {
        let primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
        let (name, port) = (Self::NAME, primary.port());
        let (down_after, failover_timeout) = (down_after.as_millis(), failover_timeout.as_millis());
        let configuration = format!(
            "sentinel monitor {name} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {name} {down_after}\n\
             sentinel failover-timeout {name} {failover_timeout}\n"
        );
        let replica = RedisServer::start_with(&[
            "--replicaof",
            "127.0.0.1",
            &primary.port().to_string(),
            "--repl-diskless-sync-delay",
            "0",
        ]);
        replica.peer().wait_until("follow its primary", || {
            replica
                .cli(&["INFO", "replication"])
                .contains("master_link_status:up")
        });
        let sentinels: Vec<_> = (0..3).map(|_| start_sentinel(&configuration)).collect();
        for sentinel in &sentinels {
            sentinel.peer().wait_until("know the others", || {
                let state = sentinel.cli(&["SENTINEL", "MASTER", Self::NAME]);
                let is = |field, value| lines_after(&state, field).eq([value]);
                is("num-other-sentinels", "2") && is("num-slaves", "1")
            });
        }
        Self {
            servers: vec![primary, replica],
            sentinels,
        }
    }

    /// `127.0.0.1:PORT` of each sentinel.
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::address).collect()
    }

    /// The sentinels.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The server that was the primary in the beginning, and its replica.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The server that the sentinels call the primary now, among those that were started here.
    pub fn primary(&self) -> &RedisServer {
        let answer = self.sentinels[0].cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]);
        let port = answer.lines().nth(1).and_then(|port| port.parse().ok());
        let is_it = |server: &&RedisServer| Some(server.port()) == port;
        self.servers.iter().find(is_it).unwrap()
    }

    /// Waits until the sentinels name another server than the one at `port`.
    pub fn wait_until_failed_over(&self, port: u16) {
        let sentinel = &self.sentinels[0];
        sentinel
            .peer()
            .wait_until("name another primary", || self.primary().port() != port);
    }

    /// Waits until the primary has its replica, and the sentinels know of it.
    pub fn wait_until_replicated(&self) {
        self.sentinels[0]
            .peer()
            .wait_until("see the replica follow", || {
                let primary = self.primary();
                let replication = primary
                    .try_cli(&["INFO", "replication"])
                    .unwrap_or_default();
                let replicas = self.sentinels[0].cli(&["SENTINEL", "REPLICAS", Self::NAME]);
                replication.contains("role:master")
                    && replication.contains("state=online")
                    && lines_after(&replicas, "flags").eq(["slave"])
            });
    }

    /// Starts the server at `port` anew, after it was killed.
    pub fn start_again_at(&mut self, port: u16) {
        let server = self.servers.iter_mut().find(|server| server.port() == port);
        server.unwrap().restart();
    }

    /// Makes the server at `port` a replica of the primary, as sentinels do some ten seconds after a failover.
    pub fn demote(&self, port: u16) {
        let server = self.servers.iter().find(|server| server.port() == port);
        let primary = self.primary().port().to_string();
        let answer = server.unwrap().cli(&["REPLICAOF", "127.0.0.1", &primary]);
        assert!(answer.starts_with("OK"), "{answer}");
    }

    /// Lets the replica take over, without anything having failed, as soon as the sentinel agrees to it.
    pub fn fail_over(&self) {
        let sentinel = &self.sentinels[0];
        sentinel.peer().wait_until("begin a failover", || {
            sentinel.cli(&["SENTINEL", "FAILOVER", Self::NAME]) == "OK"
        });
    }
}

/// The values of a field in what sentinels print, line by line.
fn lines_after<'a>(printed: &'a str, field: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = printed.lines().zip(printed.lines().skip(1));
    lines.filter_map(move |(name, value)| (name == field).then_some(value))
}

fn start_sentinel(configuration: &str) -> RedisServer {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    fs::write(&file, configuration).unwrap();
    let file = file.to_string_lossy().into_owned();
    let program = Path::new("redis-server");
    RedisServer::start_in(folder, program, port, &[&file, "--sentinel"], &[])
}
