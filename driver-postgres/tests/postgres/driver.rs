//! The driver's own behaviour: shared statements, races with expiry, sweeps, plans, pools.

use std::sync::Arc;
use std::time::Duration;

use driver_postgres::{PostgresDriver, PostgresOptions};
use futures_util::future::join_all;
use session_core::{
    Driver, DriverExt, ErrorKind, Expiry, ListOptions, Prefix, Timestamp, Write, WriteOptions,
    WriteOutcome,
};
use sqlx::postgres::PgPoolOptions;

use crate::support::{Database, WAITING, holding, increment, key};

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_wait_at_once_share_statements() {
    let database = Database::new();
    let driver = database.open().await;
    let keys: Vec<_> = (0..200).map(|number| key(&format!("k:{number}"))).collect();
    let writes = keys
        .iter()
        .map(|key| driver.write(key, "value".into(), WriteOptions::if_absent()));
    for outcome in join_all(writes).await {
        assert!(matches!(outcome.unwrap(), WriteOutcome::Written { .. }));
    }
    for entry in join_all(keys.iter().map(|key| driver.read(key))).await {
        assert_eq!(entry.unwrap().unwrap().value, "value");
    }
    assert_eq!(database.psql("SELECT count(*) FROM unstorage"), "200");
    // One transaction for each statement, and each statement for many callers.
    let transactions = "SELECT count(DISTINCT xmin::text) FROM unstorage";
    let transactions: u32 = database.psql(transactions).parse().unwrap();
    assert!(
        transactions <= 20,
        "{transactions} statements for 200 writes"
    );
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_increment_of_many_drivers_is_lost() {
    const DRIVERS: u64 = 3;
    const TASKS: u64 = 4;
    const TIMES: u64 = 10;
    let database = Arc::new(Database::new());
    let first = database.open().await;
    for name in ["a", "b"] {
        first.put(name, "0").await.unwrap();
    }
    let tasks = (0..DRIVERS).map(|_| {
        let database = Arc::clone(&database);
        async move {
            let driver = &database.open().await;
            let tasks = (0..TASKS).map(async |task| {
                let name = key(["a", "b"][usize::try_from(task % 2).unwrap()]);
                for _ in 0..TIMES {
                    increment(driver, &name).await;
                }
            });
            join_all(tasks).await;
        }
    });
    join_all(tasks).await;
    for name in ["a", "b"] {
        let value = first.get(name).await.unwrap().unwrap();
        assert_eq!(value, (DRIVERS * TASKS / 2 * TIMES).to_string());
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_expires_while_its_row_is_waited_for_is_absent() {
    let database = Database::new();
    let driver = Arc::new(database.open().await);
    for (options, is_written) in [("version", false), ("absent", true)] {
        let expires_at = Timestamp::now().saturating_add(Duration::from_millis(1_500));
        let until = WriteOptions::default().with_expiry(Expiry::At(expires_at));
        let written = driver.write(&key("k"), "old".into(), until).await.unwrap();
        let WriteOutcome::Written { version, .. } = written else {
            panic!("{written:?}");
        };
        let holder = holding(&database).await;
        let options = match options {
            "version" => WriteOptions::if_version(version.unwrap()),
            _ => WriteOptions::if_absent(),
        };
        let writing = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move { driver.write(&key("k"), "new".into(), options).await }
        });
        database.until(WAITING, "t").await;
        while Timestamp::now() <= expires_at {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        holder.commit().await.unwrap();
        let outcome = writing.await.unwrap().unwrap();
        assert_eq!(
            matches!(outcome, WriteOutcome::Written { .. }),
            is_written,
            "{outcome:?}"
        );
        let _removed = driver.remove(&key("k"), Default::default()).await.unwrap();
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_row_holds_up_nobody_else() {
    let database = Database::new();
    // Of three connections one is for changes, so that the locked row shares a statement with others.
    let options = database.options().with_timeout(Duration::from_secs(3));
    let driver = PostgresDriver::open(options.with_pool_size(3))
        .await
        .unwrap();
    driver.put("k", "old").await.unwrap();
    let holder = holding(&database).await;
    let keys: Vec<_> = (0..50)
        .map(|number| key(&format!("other:{number}")))
        .collect();
    let others = keys
        .iter()
        .map(|key| driver.write(key, "value".into(), WriteOptions::default()));
    let locked = key("k");
    let (others, locked) = tokio::join!(
        join_all(others),
        driver.write(&locked, "new".into(), WriteOptions::default())
    );
    for outcome in others {
        assert!(matches!(outcome.unwrap(), WriteOutcome::Written { .. }));
    }
    let error = locked.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(!format!("{error:?}").contains("other:"));
    holder.rollback().await.unwrap();
    // The connection that waited serves again.
    driver.put("k", "new").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "new");
}

#[test_support::test]
async fn what_has_expired_is_swept() {
    let database = Database::new();
    let options = database
        .options()
        .with_sweep_interval(Duration::from_millis(100));
    let driver = PostgresDriver::open(options).await.unwrap();
    driver.put("stays", "value").await.unwrap();
    let sql = "INSERT INTO unstorage (key, value, revision, expires_at) \
               SELECT 'gone:' || n, 'value', n, 1 FROM generate_series(1, 1300) n";
    database.psql(sql);
    database.until("SELECT count(*) FROM unstorage", "1").await;
    assert!(driver.get("stays").await.unwrap().is_some());
}

#[test_support::test]
async fn a_refused_write_of_a_batch_fails_alone() {
    let database = Database::new();
    let driver = database.open().await;
    database.psql("ALTER TABLE unstorage ADD CHECK (value <> 'refused')");
    let writes = ["one", "refused", "three"]
        .map(|value| Write::new(key(&format!("k:{value}")), value))
        .to_vec();
    let outcomes = driver.write_many(writes).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!(error.outcome(), session_core::Outcome::NotApplied);
    let shown = format!("{error:?}");
    assert!(shown.contains("23514") && !shown.contains("k:"), "{shown}");
}

#[test_support::test]
async fn listings_follow_an_index_whoever_created_the_table() {
    for is_foreign in [false, true] {
        let database = Database::new();
        if is_foreign {
            database.psql(crate::foreign::CREATE);
        }
        let driver = database.open().await;
        let sql = "INSERT INTO unstorage (key, value) SELECT 'a:' || n, 'v' FROM generate_series(1, 3000) n; ANALYZE";
        database.psql(sql);
        let plan = "EXPLAIN SELECT key FROM unstorage WHERE key COLLATE \"C\" > 'a:' AND key COLLATE \"C\" < 'a;' \
                    ORDER BY key COLLATE \"C\" LIMIT 10";
        let plan = database.psql(plan);
        assert!(plan.contains("Index") && !plan.contains("Sort"), "{plan}");
        let mut count = 0;
        let mut options = ListOptions::below(Prefix::new("a").unwrap()).with_limit(700);
        loop {
            let page = driver.list(options.clone()).await.unwrap();
            count += page.keys.len();
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(count, 3_000);
    }
}

#[test_support::test]
async fn a_pool_of_the_application_stays_open() {
    let database = Database::new();
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool
        .connect(&database.server.url(&database.name))
        .await
        .unwrap();
    let options = PostgresOptions::default().with_sweep_interval(None);
    let driver = PostgresDriver::from_pool(pool.clone(), options)
        .await
        .unwrap();
    driver.put("k", "v").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    driver.close().await.unwrap();
    assert_eq!(driver.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        driver.exists(&key("k")).await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    sqlx::query("SELECT 1").execute(&pool).await.unwrap();

    let options = PostgresOptions::new("postgres://elsewhere/app");
    let error = PostgresDriver::from_pool(pool, options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[test_support::test]
async fn a_key_that_the_table_cannot_hold_is_refused() {
    let database = Database::new();
    let driver = database.open().await;
    let error = driver.put("a\0b", "v").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
    // 255 characters, whatever their bytes.
    driver.put("ü".repeat(255).as_str(), "v").await.unwrap();
    let error = driver.put("ü".repeat(256).as_str(), "v").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
