//! Servers that tests share, and drivers on them.

use std::path::Path;
use std::sync::LazyLock;

use driver_redis::{RedisOptions, Sentinel, Tls, TlsOptions};
use session_core::{Driver, Key, WriteCondition, WriteOptions, WriteOutcome};
use test_support::{RedisCluster, RedisSentinels, RedisServer, RedisTls};

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// A server that tests of undisturbed servers share.
pub(crate) fn server() -> &'static RedisServer {
    static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);
    &SERVER
}

pub(crate) fn start_valkey() -> RedisServer {
    let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-redis-valkey");
    RedisServer::start_valkey(&into, &[])
}

pub(crate) fn tls() -> &'static RedisTls {
    static SERVER: LazyLock<RedisTls> = LazyLock::new(RedisTls::start);
    &SERVER
}

pub(crate) fn sentinels() -> &'static RedisSentinels {
    static SERVERS: LazyLock<RedisSentinels> = LazyLock::new(RedisSentinels::start);
    &SERVERS
}

pub(crate) fn cluster() -> &'static RedisCluster {
    static SERVERS: LazyLock<RedisCluster> = LazyLock::new(RedisCluster::start);
    &SERVERS
}

pub(crate) fn on_tls(server: &RedisTls) -> RedisOptions {
    RedisOptions::new(server.url())
        .with_prefix(RedisTls::BASE)
        .with_tls(Tls::On(TlsOptions::new().with_ca(server.files().ca())))
}

pub(crate) fn on_sentinels(servers: &RedisSentinels) -> RedisOptions {
    RedisOptions::sentinel(Sentinel::new(RedisSentinels::NAME, servers.addresses()))
}

pub(crate) fn on_cluster(servers: &RedisCluster) -> RedisOptions {
    RedisOptions::cluster(servers.addresses().into_iter().take(2))
}

/// Adds one to a number on condition that nobody else did; the first one makes it.
pub(crate) async fn increment(driver: &dyn Driver, key: &Key) {
    loop {
        let (number, condition) = match driver.read(key).await.unwrap() {
            Some(entry) => {
                let text = std::str::from_utf8(&entry.value).unwrap();
                let number: u64 = text.parse().unwrap();
                (number, WriteCondition::IfVersion(entry.version.unwrap()))
            }
            None => (0, WriteCondition::IfAbsent),
        };
        let options = WriteOptions::default().with_condition(condition);
        let value = (number + 1).to_string().into();
        if let WriteOutcome::Written { .. } = driver.write(key, value, options).await.unwrap() {
            return;
        }
    }
}

/// How often the server was asked for `command` since it started.
pub(crate) fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let begin = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&begin));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}
