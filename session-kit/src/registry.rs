use session_core::config::Registry;

/// Every driver that this build has, under the name by which configuration picks it.
///
/// ```
/// let registry = session_kit::registry();
/// assert!(registry.names().any(|name| name == "memory"));
/// ```
///
/// A driver that exists and is not compiled in is known too: picking it is an error that names the feature to
/// enable. It is a value of its own, to which drivers of one's own are added:
///
/// ```
/// use session_kit::{config::NoOptions, drivers::MemoryDriver};
///
/// let mut registry = session_kit::registry();
/// registry.register_with("mine", |_: NoOptions, _| async { Ok(MemoryDriver::new()) });
/// ```
pub fn registry() -> Registry {
    let mut registry = Registry::new();

    #[cfg(feature = "cloudflare-kv")]
    registry.register::<driver_cloudflare_kv::CloudflareKvOptions>("cloudflare-kv");
    #[cfg(not(feature = "cloudflare-kv"))]
    registry.register_unavailable("cloudflare-kv", "cloudflare-kv");
    #[cfg(feature = "dynamodb")]
    registry.register::<driver_dynamodb::DynamoDbOptions>("dynamodb");
    #[cfg(not(feature = "dynamodb"))]
    registry.register_unavailable("dynamodb", "dynamodb");

    #[cfg(feature = "fs")]
    registry.register::<driver_fs::FsOptions>("fs");
    #[cfg(not(feature = "fs"))]
    registry.register_unavailable("fs", "fs");
    #[cfg(feature = "http")]
    registry.register::<driver_http::HttpOptions>("http");
    #[cfg(not(feature = "http"))]
    registry.register_unavailable("http", "http");

    #[cfg(feature = "memory")]
    registry.register::<driver_memory::MemoryOptions>("memory");
    #[cfg(not(feature = "memory"))]
    registry.register_unavailable("memory", "memory");

    #[cfg(feature = "redis")]
    registry.register::<driver_redis::RedisOptions>("redis");
    #[cfg(not(feature = "redis"))]
    registry.register_unavailable("redis", "redis");

    #[cfg(feature = "sqlite")]
    registry.register::<driver_sqlite::SqliteOptions>("sqlite");
    #[cfg(not(feature = "sqlite"))]
    registry.register_unavailable("sqlite", "sqlite");

    #[cfg(feature = "upstash")]
    registry.register::<driver_upstash::UpstashOptions>("upstash");
    #[cfg(not(feature = "upstash"))]
    registry.register_unavailable("upstash", "upstash");

    registry
}
