//! The driver on this project's own server: the whole contract, conditions included, over memory and over SQLite.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use conformance_tests::Subject;
use driver_http::{Dialect, HttpDriver, HttpOptions};
use driver_memory::MemoryDriver;
use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::future::try_join_all;
use session_core::{
    Driver, DriverExt, ErrorKind, Expiry, Outcome, RetryPolicy, TouchOptions, WriteOptions,
    WriteOutcome,
};
use session_server::{Authorization, StorageService};
use session_storage::Storage;
use tempfile::TempDir;
use test_support::{HttpFault, HttpProxy, free_port};
use tokio::runtime::Runtime;

use crate::support::{TOKEN, key};

const TTL: Duration = Duration::from_secs(3_600);

/// Enough time for large batches on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Opening = Pin<Box<dyn Future<Output = Arc<dyn Driver>>>>;

/// A server with a runtime of its own, since each test has another.
struct Server {
    url: String,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Server {
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

    fn options(&self) -> HttpOptions {
        HttpOptions::new(&self.url)
            .with_token(TOKEN)
            .with_dialect(Dialect::SessionServer)
    }
}

fn over_memory() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::start(|_| Box::pin(async { Arc::new(MemoryDriver::new()) as Arc<dyn Driver> }))
    })
}

fn over_sqlite() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::start(|path| {
            Box::pin(async {
                let driver = SqliteDriver::open(SqliteOptions::new(path)).await;
                Arc::new(driver.unwrap()) as Arc<dyn Driver>
            })
        })
    })
}

fn on(server: &Server, prefix: Option<&str>) -> Subject {
    let mut options = server.options().with_ttl(TTL).with_timeout(PATIENCE);
    options.prefix = prefix.map(str::to_owned);
    let unreachable = options
        .clone()
        .with_url(format!("http://127.0.0.1:{}", free_port()))
        .with_retry(RetryPolicy::never());
    // What unstorage's own driver does, which knows nothing of conditions and of times.
    let mut foreign = options.clone().with_dialect(Dialect::V2);
    foreign.ttl = None;
    let foreign = Arc::new(HttpDriver::open(foreign).unwrap());
    Subject::new(HttpDriver::open(options).unwrap())
        .with_outage(HttpDriver::open(unreachable).unwrap())
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let foreign = Arc::clone(&foreign);
            async move { Ok(foreign.put(key.as_str(), value).await?) }
        })
}

mod in_memory {
    conformance_tests::suite!(|| async { super::on(super::over_memory(), None) });
}

mod on_sqlite {
    use crate::conformance::BRIEF;

    conformance_tests::suite!(|| async {
        super::on(super::over_sqlite(), Some("app:sessions")).with_budget(BRIEF)
    });
}

#[test_support::test]
async fn a_conditional_write_whose_response_was_lost_is_unknown_and_not_retried() {
    let proxy = HttpProxy::start(over_memory().url.trim_end_matches("/kv"));
    let options = over_memory()
        .options()
        .with_url(format!("{}/kv", proxy.url()));
    let driver = HttpDriver::open(options).unwrap();
    let key = key("lost");
    driver.put("lost", "1").await.unwrap();
    let version = driver.read(&key).await.unwrap().unwrap().version.unwrap();
    proxy.clear();
    proxy.next(HttpFault::LostAnswer);
    let write = WriteOptions::if_version(version);
    let error = driver.write(&key, "2".into(), write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(proxy.count(), 1);
    assert_eq!(driver.get("lost").await.unwrap().unwrap(), "2");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_servers_lose_no_increment() {
    let drivers = (0..4).map(|_| Arc::new(HttpDriver::open(over_sqlite().options()).unwrap()));
    let drivers: Vec<_> = drivers.collect();
    drivers[0].put("n", "0").await.unwrap();
    let tasks = drivers.into_iter().map(|driver| {
        tokio::spawn(async move {
            let mut made = 0;
            while made < 25 {
                let entry = driver.read(&key("n")).await.unwrap().unwrap();
                let number: u32 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                let options = WriteOptions::if_version(entry.version.unwrap());
                let next = (number + 1).to_string().into();
                if let WriteOutcome::Written { .. } =
                    driver.write(&key("n"), next, options).await.unwrap()
                {
                    made += 1;
                }
            }
        })
    });
    try_join_all(tasks).await.unwrap();
    let all = HttpDriver::open(over_sqlite().options()).unwrap();
    assert_eq!(all.get("n").await.unwrap().unwrap(), "100");
}

/// Sessions that are only read stay alive by this.
#[test_support::test]
async fn expiry_is_reported_and_moved_by_a_touch_without_a_new_version() {
    for server in [over_memory(), over_sqlite()] {
        let driver = HttpDriver::open(server.options()).unwrap();
        let capabilities = driver.capabilities();
        assert!(capabilities.reports_expiry && capabilities.touch);
        let key = key("touched");
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
        driver
            .put_with_ttl("touched", "value", minute)
            .await
            .unwrap();
        let before = driver.read(&key).await.unwrap().unwrap();
        let options =
            TouchOptions::to(Expiry::after(hour)).if_version(before.version.clone().unwrap());
        assert!(driver.touch(&key, options).await.unwrap());
        let after = driver.read(&key).await.unwrap().unwrap();
        assert_eq!(
            (&after.value, &after.version),
            (&before.value, &before.version)
        );
        let moved = after
            .expires_at
            .unwrap()
            .saturating_since(before.expires_at.unwrap());
        assert!(moved > hour - 2 * minute && moved < hour, "{moved:?}");
        let never = TouchOptions::to(Expiry::Never);
        assert!(driver.touch(&key, never.clone()).await.unwrap());
        assert_eq!(driver.read(&key).await.unwrap().unwrap().expires_at, None);
        driver.put("touched", "other").await.unwrap();
        let stale = never.clone().if_version(before.version.unwrap());
        assert!(!driver.touch(&key, stale).await.unwrap());
        driver.delete("touched").await.unwrap();
        assert!(!driver.touch(&key, never).await.unwrap());
    }
}
