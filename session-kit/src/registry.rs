//! The registry of the drivers of this build.

use session_core::config::Registry;

/// Returns a registry of all drivers of this build.
///
/// ```
/// let registry = session_kit::registry();
/// assert!(registry.names().any(|name| name == "memory"));
/// ```
///
/// Opening a driver that is not compiled in is an error that names the cargo feature to enable. You can register your
/// own drivers:
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

    for name in ["postgres", "postgresql"] {
        #[cfg(feature = "postgres")]
        registry.register::<driver_postgres::PostgresOptions>(name);
        #[cfg(not(feature = "postgres"))]
        registry.register_unavailable(name, "postgres");
    }

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
