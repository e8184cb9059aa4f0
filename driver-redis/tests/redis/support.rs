//! Servers that tests share, and drivers on them.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use driver_redis::{RedisDriver, RedisOptions, Sentinel, Tls, TlsOptions};
use session_core::Key;
use test_support::{RedisCluster, RedisSentinels, RedisServer, RedisTls, free_port};

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

pub(crate) fn valkey() -> &'static RedisServer {
    static SERVER: LazyLock<RedisServer> = LazyLock::new(start_valkey);
    &SERVER
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
    RedisOptions {
        base: Some(RedisTls::BASE.to_owned()),
        tls: Some(Tls::On(TlsOptions {
            ca: Some(server.files().ca()),
            ..TlsOptions::default()
        })),
        ..RedisOptions::new(server.url())
    }
}

pub(crate) fn on_sentinels(servers: &RedisSentinels) -> RedisOptions {
    RedisOptions {
        sentinel: Some(Sentinel {
            name: RedisSentinels::NAME.to_owned(),
            nodes: servers.addresses().into_iter().map(Into::into).collect(),
            ..Sentinel::default()
        }),
        ..RedisOptions::default()
    }
}

pub(crate) fn on_cluster(servers: &RedisCluster) -> RedisOptions {
    let nodes = servers.addresses().into_iter().take(2);
    RedisOptions {
        cluster: Some(nodes.map(Into::into).collect()),
        ..RedisOptions::default()
    }
}

/// A driver whose server is nowhere.
pub(crate) async fn unreachable() -> RedisDriver {
    let options = RedisOptions {
        pre_connect: Some(false),
        timeout: Some(Duration::from_millis(200)),
        ..RedisOptions::new(format!("redis://127.0.0.1:{}", free_port()))
    };
    RedisDriver::open(options).await.unwrap()
}
