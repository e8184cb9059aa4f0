use std::sync::Arc;
use std::time::Duration;

use driver_memory::MemoryDriver;
use driver_redis::{RedisDriver, RedisOptions};
use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::Driver;
use session_core::decorators::{NearCache, NearCacheOptions};
use tempfile::TempDir;
use test_support::RedisServer;

/// How long an operation may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A driver on a backend of its own, which ends with it.
pub struct Backend {
    pub(crate) driver: Arc<dyn Driver>,
    _files: Option<TempDir>,
    _redis: Option<RedisServer>,
}

impl Backend {
    /// Returns a driver that keeps entries in memory.
    pub fn memory() -> Self {
        Self {
            driver: Arc::new(MemoryDriver::new()),
            _files: None,
            _redis: None,
        }
    }

    /// Returns a driver on a SQLite database.
    pub async fn sqlite() -> Self {
        let files = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(files.path().join("sessions.db")).with_timeout(PATIENCE);
        Self {
            driver: Arc::new(SqliteDriver::open(options).await.unwrap()),
            _files: Some(files),
            _redis: None,
        }
    }

    /// Returns a driver on a Redis server.
    pub async fn redis() -> Self {
        let server = RedisServer::start();
        Self {
            driver: Arc::new(open(&server).await),
            _files: None,
            _redis: Some(server),
        }
    }

    /// Returns a driver on a Redis server, with a cache in this process.
    pub async fn cached_redis() -> Self {
        let server = RedisServer::start();
        let cached = NearCache::new(open(&server).await, NearCacheOptions::default()).await;
        Self {
            driver: Arc::new(cached.unwrap()),
            _files: None,
            _redis: Some(server),
        }
    }
}

async fn open(server: &RedisServer) -> RedisDriver {
    let options = RedisOptions::new(server.url()).with_timeout(PATIENCE);
    RedisDriver::open(options).await.unwrap()
}
