//! This project's own server, over memory and over SQLite.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use axum::Router;
use driver_http::{Dialect, HttpOptions};
use driver_memory::MemoryDriver;
use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::Driver;
use session_server::{Authorization, StorageService};
use session_storage::Storage;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::TOKEN;

type Opening = Pin<Box<dyn Future<Output = Arc<dyn Driver>>>>;

/// A server with a runtime of its own, since each test has another.
pub(crate) struct StorageServer {
    pub(crate) url: String,
    _runtime: Runtime,
    _folder: TempDir,
}

impl StorageServer {
    /// Serves the driver that `open` gives for a database at a path.
    fn start(open: fn(PathBuf) -> Opening) -> Self {
        // A thread of a test may be one of a runtime, which cannot wait for another.
        std::thread::spawn(move || Self::start_here(open))
            .join()
            .unwrap()
    }

    fn start_here(open: fn(PathBuf) -> Opening) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (listener, storage) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            (
                listener,
                Storage::new(open(folder.path().join("test.db")).await),
            )
        });
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = StorageService::new(storage, Authorization::token(TOKEN).unwrap());
        let app: Router = Router::new().nest_service("/kv", service);
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            url: url + "/kv",
            _runtime: runtime,
            _folder: folder,
        }
    }

    pub(crate) fn options(&self) -> HttpOptions {
        HttpOptions::new(&self.url)
            .with_token(TOKEN)
            .with_dialect(Dialect::SessionServer)
    }
}

pub(crate) fn over_memory() -> &'static StorageServer {
    static SERVER: OnceLock<StorageServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        StorageServer::start(|_| {
            Box::pin(async { Arc::new(MemoryDriver::new()) as Arc<dyn Driver> })
        })
    })
}

pub(crate) fn over_sqlite() -> &'static StorageServer {
    static SERVER: OnceLock<StorageServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        StorageServer::start(|path| {
            Box::pin(async {
                let driver = SqliteDriver::open(SqliteOptions::new(path)).await;
                Arc::new(driver.unwrap()) as Arc<dyn Driver>
            })
        })
    })
}
