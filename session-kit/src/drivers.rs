//! The drivers of this build, for use without a configuration file.

#[cfg(feature = "cloudflare-kv")]
pub use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
#[cfg(feature = "dynamodb")]
pub use driver_dynamodb::{DynamoDbDriver, DynamoDbOptions};
#[cfg(feature = "fs")]
pub use driver_fs::{FsDriver, FsOptions};
#[cfg(feature = "http")]
pub use driver_http::{HttpDriver, HttpOptions};
#[cfg(feature = "memory")]
pub use driver_memory::{MemoryDriver, MemoryOptions};
#[cfg(feature = "postgres")]
pub use driver_postgres::{PostgresDriver, PostgresOptions};
#[cfg(feature = "redis")]
pub use driver_redis::{RedisDriver, RedisOptions};
#[cfg(feature = "sqlite")]
pub use driver_sqlite::{SqliteDriver, SqliteOptions};
#[cfg(feature = "upstash")]
pub use driver_upstash::{UpstashDriver, UpstashOptions};
