//! The servers that the examples name.

use std::path::Path;

use test_support::{CloudflareKv, RedisServer, UnstorageServer, UpstashGateway};

/// One server for each driver that needs one, on ports of their own.
pub(crate) struct Peers {
    redis: RedisServer,
    storage: UnstorageServer,
    upstash: UpstashGateway,
}

impl Peers {
    pub(crate) fn start() -> Self {
        let folder = |name| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let unstorage = UnstorageServer::packages(folder("demo-unstorage"));
        let upstash = UpstashGateway::packages(folder("demo-upstash"));
        Self {
            redis: RedisServer::start(),
            storage: UnstorageServer::start(&unstorage, "1", &["memory"]),
            upstash: UpstashGateway::start(&upstash),
        }
    }

    /// An example with the places of these servers in it.
    pub(crate) fn placed_in(&self, example: &str) -> String {
        example
            .replace("http://127.0.0.1:3001", self.storage.url())
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
            ("STORAGE_TOKEN", UnstorageServer::TOKEN.to_owned()),
            ("CLOUDFLARE_ACCOUNT_ID", CloudflareKv::ACCOUNT.to_owned()),
            ("CLOUDFLARE_KV_NAMESPACE_ID", namespace),
            ("CLOUDFLARE_API_TOKEN", CloudflareKv::TOKEN.to_owned()),
            ("UPSTASH_REDIS_REST_URL", self.upstash.url().to_owned()),
            ("UPSTASH_REDIS_REST_TOKEN", UpstashGateway::TOKEN.to_owned()),
        ]
    }
}
