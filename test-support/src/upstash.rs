use std::path::Path;

use crate::{NodePackages, Peer, RedisServer, free_port};

/// A gateway with the REST API of Upstash, in front of its own Redis.
///
/// The tests of `driver-upstash` check it with the official client.
///
/// ```
/// use test_support::{NodePackages, UpstashGateway};
///
/// # fn run(folder: &std::path::Path) {
/// let gateway = UpstashGateway::start(&UpstashGateway::packages(folder));
/// assert!(gateway.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(gateway.redis().cli(&["DBSIZE"]), "0");
/// # }
/// ```
pub struct UpstashGateway {
    url: String,
    redis: RedisServer,
    peer: Peer,
}

impl UpstashGateway {
    /// The bearer token.
    pub const TOKEN: &str = "t0ken-that-nobody-may-see";

    /// Installs the packages of the gateway into `folder`, which must be below `CARGO_TARGET_TMPDIR`.
    pub fn packages(folder: impl AsRef<Path>) -> NodePackages {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../driver-upstash/tests/js");
        NodePackages::install(sources, folder)
    }

    /// Starts the gateway of `packages` and a Redis behind it.
    pub fn start(packages: &NodePackages) -> Self {
        let redis = RedisServer::start();
        let port = free_port();
        let mut command = packages.script("gateway.mjs");
        command.args([&port.to_string(), &redis.url()]);
        command.env("GATEWAY_TOKEN", Self::TOKEN);
        let peer = Peer::start(command);
        peer.wait_for_port(port);
        Self {
            url: format!("http://127.0.0.1:{port}"),
            redis,
            peer,
        }
    }

    /// Returns its URL, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the Redis server behind it.
    pub fn redis(&self) -> &RedisServer {
        &self.redis
    }

    /// Returns its process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}
