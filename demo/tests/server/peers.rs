//! The servers for the example configurations.

use std::path::Path;

#[cfg(feature = "dynamodb")]
use test_support::Ministack;
use test_support::{CloudflareKv, PostgresServer, RedisServer, UnstorageServer, UpstashGateway};

/// One server for each driver that needs one.
pub(crate) struct Peers {
    postgres: &'static PostgresServer,
    redis: RedisServer,
    storage: UnstorageServer,
    upstash: UpstashGateway,
    #[cfg(feature = "dynamodb")]
    dynamodb: Ministack,
}

impl Peers {
    pub(crate) fn start() -> Self {
        let folder = |name| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let unstorage = UnstorageServer::packages(folder("demo-unstorage"));
        let upstash = UpstashGateway::packages(folder("demo-upstash"));
        Self {
            postgres: PostgresServer::shared(),
            redis: RedisServer::start(),
            storage: UnstorageServer::start(&unstorage, "1", &["memory"]),
            upstash: UpstashGateway::start(&upstash),
            #[cfg(feature = "dynamodb")]
            dynamodb: Ministack::start(folder("demo-ministack")),
        }
    }

    /// Returns an example with the addresses of these servers.
    pub(crate) fn fill_in(&self, example: &str) -> String {
        example
            .replace("http://127.0.0.1:3001", self.storage.url())
            .replace(
                "postgres://localhost/sessions",
                &self.postgres.url("postgres"),
            )
            .replace("redis://127.0.0.1:6379", &self.redis.url())
            .replace(
                "https://api.cloudflare.com",
                CloudflareKv::shared().api_url(),
            )
    }

    /// Returns the environment variables that the examples use.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let namespace = CloudflareKv::shared().namespace();
        let own = [
            ("STORAGE_TOKEN", UnstorageServer::TOKEN.to_owned()),
            ("CLOUDFLARE_ACCOUNT_ID", CloudflareKv::ACCOUNT.to_owned()),
            ("CLOUDFLARE_KV_NAMESPACE_ID", namespace),
            ("CLOUDFLARE_API_TOKEN", CloudflareKv::TOKEN.to_owned()),
            ("UPSTASH_REDIS_REST_URL", self.upstash.url().to_owned()),
            ("UPSTASH_REDIS_REST_TOKEN", UpstashGateway::TOKEN.to_owned()),
        ];
        own.into_iter().chain(self.environment_of_aws()).collect()
    }

    /// Returns the environment variables of the AWS SDK: region, credentials and endpoint.
    #[cfg(feature = "dynamodb")]
    fn environment_of_aws(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.url()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "any".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "any".to_owned()),
        ]
    }

    #[cfg(not(feature = "dynamodb"))]
    fn environment_of_aws(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
