//! What a near-cache hears of the changes of others.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use driver_postgres::{Layout, PostgresDriver};
use parking_lot::Mutex;
use session_core::decorators::{NearCache, NearCacheOptions};
use session_core::{Driver, DriverExt, ErrorKind, InvalidationListener, Key};
use test_support::{TcpFault, TcpProxy};

use crate::support::{Database, key};

/// What a listener has heard since it was last asked.
#[derive(Default)]
struct Heard {
    keys: BTreeSet<Key>,
    everything: bool,
}

#[derive(Default)]
struct Ear(Mutex<Heard>);

impl InvalidationListener for Ear {
    fn invalidate(&self, key: &Key) {
        self.0.lock().keys.insert(key.clone());
    }

    fn invalidate_all(&self) {
        self.0.lock().everything = true;
    }
}

impl Ear {
    async fn of(driver: &PostgresDriver) -> Arc<Self> {
        let ear = Arc::new(Self::default());
        driver.listen(ear.clone()).await.unwrap();
        ear
    }

    /// What was changed before this call, as far as it has not told yet.
    async fn heard(&self, driver: &PostgresDriver) -> Heard {
        driver.sync_invalidations().await.unwrap();
        std::mem::take(&mut *self.0.lock())
    }

    async fn wait_for_everything(&self) {
        while !self.0.lock().everything {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

const FOREIGN_INSERT: &str = "INSERT INTO unstorage (key, value) VALUES ('app:k', 'theirs')";

#[test_support::test]
async fn what_other_programs_change_is_heard_below_the_prefix() {
    let database = Database::new();
    let options = database.options().with_prefix("app");
    let driver = PostgresDriver::open(options).await.unwrap();
    let ear = Ear::of(&driver).await;
    database.psql(FOREIGN_INSERT);
    database.psql("INSERT INTO unstorage (key, value) VALUES ('other:k', 'theirs')");
    for sql in [
        "UPDATE unstorage SET value = 'anew' WHERE key IN ('app:k', 'other:k')",
        "DELETE FROM unstorage",
    ] {
        database.psql(sql);
        let heard = ear.heard(&driver).await;
        assert_eq!(heard.keys, [key("k")].into(), "{sql}");
        assert!(!heard.everything, "{sql}");
    }
    database.psql("TRUNCATE unstorage");
    assert!(ear.heard(&driver).await.everything);
}

#[test_support::test]
async fn everything_is_forgotten_when_the_connection_that_listens_is_lost() {
    let database = Database::new();
    let driver = database.open().await;
    driver.put("k", "v").await.unwrap();
    let ear = Ear::of(&driver).await;
    let ended = database.psql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    assert_eq!(ended, "1");
    ear.wait_for_everything().await;
    ear.heard(&driver).await;
    database.psql("UPDATE unstorage SET value = 'anew'");
    assert_eq!(ear.heard(&driver).await.keys, [key("k")].into());
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_fell_silent_proves_nothing_and_is_replaced() {
    let database = Database::new();
    database.open().await.close().await.unwrap();
    let server = (Ipv4Addr::LOCALHOST, database.server.port()).into();
    let proxy = TcpProxy::start(server).await;
    let listen_url = format!(
        "postgres://postgres@127.0.0.1:{}/{}",
        proxy.port(),
        database.name
    );
    let options = database.options().with_listen_url(listen_url);
    // Long enough for a busy machine, and the time for which the silence is waited for.
    let options = options.with_timeout(Duration::from_secs(4));
    let driver = PostgresDriver::open(options).await.unwrap();
    let ear = Ear::of(&driver).await;
    driver.sync_invalidations().await.unwrap();
    proxy.set(TcpFault::Stall);
    let error = driver.sync_invalidations().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    ear.wait_for_everything().await;
    proxy.set(TcpFault::None);
    while driver.sync_invalidations().await.is_err() {}
    driver.put("k", "v").await.unwrap();
    ear.heard(&driver).await;
    database.psql("UPDATE unstorage SET value = 'anew'");
    assert_eq!(ear.heard(&driver).await.keys, [key("k")].into());
}

#[test_support::test]
async fn behind_a_pooler_nobody_listens_without_a_way_past_it() {
    let database = Database::new();
    let options = database.options().with_pooler(true);
    let driver = PostgresDriver::open(options.clone()).await.unwrap();
    assert!(!driver.capabilities().invalidations);
    let error = NearCache::new(driver, NearCacheOptions::default()).await;
    let error = error.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("set `listen_url`"), "{error}");
    let options = options.with_listen_url(database.server.url(&database.name));
    let driver = PostgresDriver::open(options).await.unwrap();
    let cache = NearCache::new(driver, NearCacheOptions::default()).await;
    cache.unwrap().close().await.unwrap();
}

#[test_support::test]
async fn a_table_notifies_only_if_it_was_migrated_so() {
    for layout in [Layout::Unstorage, Layout::Bytes] {
        let database = Database::new();
        let options = database.options().with_layout(layout);
        let schema = options.schema_sql().unwrap();
        database.psql(&schema);
        let driver = PostgresDriver::open(options.clone().with_migrate(false)).await;
        let driver = driver.unwrap();
        let ear = Arc::new(Ear::default());
        let error = driver.listen(ear.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("`invalidation_sql`"), "{error}");
        assert_eq!(Arc::strong_count(&ear), 1, "the driver kept the listener");
        // Twice, since it can be run again.
        for _ in 0..2 {
            database.psql(&options.invalidation_sql().unwrap());
        }
        driver.listen(ear.clone()).await.unwrap();
        driver.put("k", "v").await.unwrap();
        driver.put("k", "w").await.unwrap();
        assert_eq!(ear.heard(&driver).await.keys, [key("k")].into());
    }
}

#[test_support::test]
async fn a_near_cache_returns_what_another_process_wrote() {
    let database = Database::new();
    let (mine, theirs) = (database.open().await, database.open().await);
    let staleness = Duration::from_millis(200);
    let options = NearCacheOptions::default().with_max_staleness(staleness);
    let cache = NearCache::new(mine, options).await.unwrap();
    for number in 0..20 {
        let value = number.to_string();
        theirs.put("k", value.clone()).await.unwrap();
        tokio::time::sleep(staleness).await;
        // The second read fills the cache, and the third is answered from it.
        for _ in 0..3 {
            assert_eq!(cache.get("k").await.unwrap().unwrap(), value);
        }
    }
    cache.close().await.unwrap();
}
