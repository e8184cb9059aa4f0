use std::fs;
use std::path::Path;

use super::RedisServer;
use crate::free_port;

/// A primary with a replica, and three sentinels that fail over after a second.
pub struct RedisSentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// The name of the primary in the sentinels.
    pub const NAME: &'static str = "main";

    /// Starts all servers, and waits until the replica follows and the sentinels know each other.
    pub fn start() -> Self {
        let primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
        let of = format!("127.0.0.1 {}", primary.port());
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
        let sentinels: Vec<_> = (0..3).map(|_| start_sentinel(&of)).collect();
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

    /// Returns `127.0.0.1:PORT` of each sentinel.
    pub fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::address).collect()
    }

    /// Returns the sentinels.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// Returns the initial primary and its replica.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Returns the server that the sentinels currently report as the primary.
    pub fn primary(&self) -> &RedisServer {
        let answer = self.sentinels[0].cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::NAME]);
        let port = answer.lines().nth(1).and_then(|port| port.parse().ok());
        let is_it = |server: &&RedisServer| Some(server.port()) == port;
        self.servers.iter().find(is_it).unwrap()
    }

    /// Waits until the sentinels report a primary that is not at `port`.
    pub fn wait_until_failed_over(&self, port: u16) {
        let sentinel = &self.sentinels[0];
        sentinel
            .peer()
            .wait_until("name another primary", || self.primary().port() != port);
    }

    /// Waits until the replica is connected to the primary and the sentinels know it.
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

    /// Restarts the server at `port` after it was killed.
    pub fn start_again_at(&mut self, port: u16) {
        let server = self.servers.iter_mut().find(|server| server.port() == port);
        server.unwrap().restart();
    }

    /// Triggers a failover without a failure.
    pub fn fail_over(&self) {
        crate::step("asking the sentinels for a failover");
        let answer = self.sentinels[0].cli(&["SENTINEL", "FAILOVER", Self::NAME]);
        assert_eq!(answer, "OK");
    }
}

/// Returns the values of a field in the output of a sentinel.
fn lines_after<'a>(printed: &'a str, field: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = printed.lines().zip(printed.lines().skip(1));
    lines.filter_map(move |(name, value)| (name == field).then_some(value))
}

fn start_sentinel(of: &str) -> RedisServer {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    let name = RedisSentinels::NAME;
    let text = format!(
        "sentinel monitor {name} {of} 2\nsentinel down-after-milliseconds {name} 1000\n\
         sentinel failover-timeout {name} 3000\n"
    );
    fs::write(&file, text).unwrap();
    let file = file.to_string_lossy().into_owned();
    let program = Path::new("redis-server");
    RedisServer::start_in(folder, program, port, &[&file, "--sentinel"], &[])
}
