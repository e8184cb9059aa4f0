//! The servers that the examples name.

use std::path::Path;

use test_support::{CloudflareKv, NodePackages, Peer, RedisServer, free_port};

const TOKEN: &str = "a token of the tests";

/// One server for each driver that needs one, on ports of their own.
pub(crate) struct Peers {
    storage: String,
    _storage: Peer,
    redis: RedisServer,
}

impl Peers {
    pub(crate) fn start() -> Self {
        let port = free_port();
        let mut unstorage = packages("driver-http").script("server.mjs");
        unstorage.args([&port.to_string(), "1", "memory"]);
        let storage = Peer::start(with_token(unstorage));
        storage.wait_for_port(port);
        Self {
            storage: format!("http://127.0.0.1:{port}"),
            _storage: storage,
            redis: RedisServer::start(),
        }
    }

    /// An example with the places of these servers in it.
    pub(crate) fn placed_in(&self, example: &str) -> String {
        example
            .replace("http://127.0.0.1:3001", &self.storage)
            .replace("redis://127.0.0.1:6379", &self.redis.url())
            .replace(
                "https://api.cloudflare.com",
                CloudflareKv::shared().api_url(),
            )
    }

    /// The environment that the examples speak of.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let namespace = CloudflareKv::shared().namespace();
        vec![
            ("STORAGE_TOKEN", TOKEN.to_owned()),
            ("CLOUDFLARE_ACCOUNT_ID", CloudflareKv::ACCOUNT.to_owned()),
            ("CLOUDFLARE_KV_NAMESPACE_ID", namespace),
            ("CLOUDFLARE_API_TOKEN", CloudflareKv::TOKEN.to_owned()),
        ]
    }
}

fn with_token(mut command: std::process::Command) -> std::process::Command {
    command.env("STORAGE_TOKEN", TOKEN);
    command
}

/// What the tests of a driver run by Node.js.
fn packages(driver: &str) -> NodePackages {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(driver);
    NodePackages::install(
        sources.join("tests/js"),
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("demo-{driver}-js")),
    )
}
