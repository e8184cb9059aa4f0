//! What the driver does beyond the conformance suite.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{
    ConflictState, Driver, DriverExt, ErrorKind, Expiry, ListOptions, Outcome, Prefix,
    RemoveOptions, RemoveOutcome, Timestamp, TouchOptions, Version, Write, WriteOptions,
    WriteOutcome,
};

use crate::support::{Database, key};

async fn write(driver: &SqliteDriver, name: &str, value: &str, options: WriteOptions) -> Version {
    match driver
        .write(&key(name), value.to_owned().into(), options)
        .await
    {
        Ok(WriteOutcome::Written {
            version: Some(version),
            ..
        }) => version,
        other => panic!("{other:?}"),
    }
}

fn expired() -> WriteOptions {
    WriteOptions::default().with_expiry(Expiry::At(Timestamp::from_millis(1)))
}

#[test_support::test]
async fn text_goes_to_value_and_other_bytes_to_blob() {
    let database = Database::new().await;
    let driver = &database.driver;
    driver.put("text", "köln").await.unwrap();
    driver.put("empty", "").await.unwrap();
    driver.put("bytes", vec![0xff, 0x00, 0xfe]).await.unwrap();
    driver.put("nul", "a\0b").await.unwrap();
    let rows = database.rows(
        "SELECT key || '|' || typeof(value) || '|' || typeof(blob) FROM unstorage ORDER BY key",
    );
    assert_eq!(
        rows.await,
        [
            "bytes|null|blob",
            "empty|text|null",
            "nul|text|null",
            "text|text|null"
        ]
    );
    assert_eq!(driver.get("text").await.unwrap().unwrap(), "köln");
    assert_eq!(driver.get("empty").await.unwrap().unwrap(), "");
    assert_eq!(
        driver.get("bytes").await.unwrap().unwrap(),
        vec![0xff, 0x00, 0xfe]
    );
    assert_eq!(driver.get("nul").await.unwrap().unwrap(), "a\0b");
    let size = driver.metadata(&key("nul")).await.unwrap().unwrap().size;
    assert_eq!(size, Some(3));

    driver.put("bytes", "now text").await.unwrap();
    let rows = database.rows("SELECT typeof(blob) FROM unstorage WHERE key='bytes'");
    assert_eq!(rows.await, ["null"]);
}

#[test_support::test]
async fn a_removed_key_never_gets_a_version_again() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut seen = Vec::new();
    for _ in 0..50 {
        let version = write(driver, "k", "same", WriteOptions::default()).await;
        assert!(!seen.contains(&version));
        driver.delete("k").await.unwrap();
        let late = WriteOptions::if_version(version.clone());
        let outcome = driver.write(&key("k"), "late".into(), late).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Conflict(ConflictState::Absent));
        seen.push(version);
    }
}

#[test_support::test]
async fn a_conflict_carries_the_current_entry() {
    let database = Database::new().await;
    let driver = &database.driver;
    let old = write(driver, "k", "one", WriteOptions::default()).await;
    let new = write(driver, "k", "two", WriteOptions::default()).await;
    for options in [
        WriteOptions::if_absent(),
        WriteOptions::if_version(old.clone()),
    ] {
        match driver
            .write(&key("k"), "three".into(), options)
            .await
            .unwrap()
        {
            WriteOutcome::Conflict(ConflictState::Present(entry)) => {
                assert_eq!(entry.value, "two");
                assert_eq!(entry.version.as_ref(), Some(&new));
            }
            other => panic!("{other:?}"),
        }
    }
    match driver
        .remove(&key("k"), RemoveOptions::if_version(old))
        .await
        .unwrap()
    {
        RemoveOutcome::Conflict(ConflictState::Present(entry)) => assert_eq!(entry.value, "two"),
        other => panic!("{other:?}"),
    }
    let foreign = Version::from_bytes(b"of another driver");
    let refused = driver
        .write(&key("k"), "x".into(), WriteOptions::if_version(foreign))
        .await;
    assert!(matches!(
        refused,
        Ok(WriteOutcome::Conflict(ConflictState::Present(_)))
    ));
}

#[test_support::test]
async fn conditions_of_concurrent_callers_hold() {
    const CALLERS: usize = 64;
    const ROUNDS: usize = 10;
    let database = Database::new().await;
    database.driver.put("n", "0").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..CALLERS {
        let driver = database.driver.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..ROUNDS {
                crate::support::increment(&*driver, &key("n")).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let count = database.driver.get("n").await.unwrap().unwrap();
    assert_eq!(count, (CALLERS * ROUNDS).to_string());
}

#[test_support::test]
async fn an_expired_entry_counts_as_absent_everywhere() {
    let database = Database::new().await;
    let driver = &database.driver;
    let version = write(driver, "k", "old", expired()).await;
    assert_eq!(database.rows("SELECT value FROM unstorage").await, ["old"]);

    assert_eq!(driver.read(&key("k")).await.unwrap(), None);
    assert!(!driver.exists(&key("k")).await.unwrap());
    assert_eq!(driver.metadata(&key("k")).await.unwrap(), None);
    assert_eq!(driver.read_many(&[key("k")]).await.unwrap(), [None]);
    assert!(
        driver
            .list(ListOptions::default())
            .await
            .unwrap()
            .keys
            .is_empty()
    );
    assert!(
        !driver
            .touch(&key("k"), TouchOptions::to(Expiry::Never))
            .await
            .unwrap()
    );
    let replace = WriteOptions::if_version(version.clone());
    let outcome = driver.write(&key("k"), "x".into(), replace).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Conflict(ConflictState::Absent));
    let outcome = driver
        .remove(&key("k"), RemoveOptions::if_version(version))
        .await
        .unwrap();
    assert_eq!(outcome, RemoveOutcome::Conflict(ConflictState::Absent));
    write(driver, "k", "new", WriteOptions::if_absent()).await;
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "new");
}

#[test_support::test]
async fn an_entry_that_expires_while_a_write_waits_for_the_lock_counts_as_absent() {
    let database = Database::new().await;
    let driver = &database.driver;
    let end = Timestamp::now().saturating_add(Duration::from_millis(50));
    let ending = WriteOptions::default().with_expiry(Expiry::At(end));
    let version = write(driver, "k", "old", ending.clone()).await;
    let other_version = write(driver, "k2", "old", ending).await;
    let mut other = database.connect().await;
    crate::support::run(&mut other, "BEGIN IMMEDIATE").await;

    let alone = {
        let driver = driver.clone();
        let options = WriteOptions::if_version(version);
        tokio::spawn(async move { driver.write(&key("k"), "new".into(), options).await })
    };
    let together = {
        let driver = driver.clone();
        let write = |name: &str, options| Write::new(key(name), "new").with_options(options);
        let writes = vec![
            write("k2", WriteOptions::if_version(other_version)),
            write("k3", WriteOptions::default()),
        ];
        tokio::spawn(async move { driver.write_many(writes).await })
    };
    while Timestamp::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    crate::support::run(&mut other, "ROLLBACK").await;
    let conflict = WriteOutcome::Conflict(ConflictState::Absent);
    assert_eq!(alone.await.unwrap().unwrap(), conflict);
    assert_eq!(together.await.unwrap()[0].as_ref().unwrap(), &conflict);
}

#[test_support::test]
async fn touch_changes_only_the_expiry() {
    let database = Database::new().await;
    let driver = &database.driver;
    let version = write(driver, "k", "v", WriteOptions::default()).await;
    let before = database
        .rows("SELECT value || revision || created_at || updated_at FROM unstorage")
        .await;
    let end = Timestamp::now().saturating_add(Duration::from_secs(315_360_000));
    assert!(
        driver
            .touch(&key("k"), TouchOptions::to(Expiry::At(end)))
            .await
            .unwrap()
    );
    let entry = driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(
        (entry.expires_at, entry.version),
        (Some(end), Some(version))
    );
    let after = database
        .rows("SELECT value || revision || created_at || updated_at FROM unstorage")
        .await;
    assert_eq!(before, after);
}

#[test_support::test]
async fn sweeping_removes_expired_entries_only() {
    let database = Database::with(|options| {
        options.sweep_interval = Some(Duration::from_millis(20));
    })
    .await;
    let driver = &database.driver;
    let mut writes = Vec::new();
    for index in 0..1_000 {
        let options = if index % 2 == 0 {
            expired()
        } else {
            WriteOptions::default()
        };
        writes.push(Write::new(key(&format!("k{index}")), "v").with_options(options));
    }
    for outcome in driver.write_many(writes).await {
        assert!(matches!(outcome, Ok(WriteOutcome::Written { .. })));
    }
    database
        .until("SELECT count(*) || '' FROM unstorage", "500")
        .await;
    assert!(driver.get("k1").await.unwrap().is_some());
}

#[test_support::test]
async fn sweeping_continues_after_an_error() {
    let database = Database::with(|options| {
        options.sweep_interval = Some(Duration::from_millis(10));
        options.busy_timeout = Duration::from_millis(1);
    })
    .await;
    write(&database.driver, "k", "v", expired()).await;
    let mut other = database.connect().await;
    crate::support::run(&mut other, "BEGIN IMMEDIATE").await;
    // The sweeper meets the lock, as any write does.
    let locked = database.driver.put("x", "y").await.unwrap_err();
    assert_eq!(locked.kind(), ErrorKind::Unavailable);
    crate::support::run(&mut other, "ROLLBACK").await;
    database
        .until("SELECT count(*) || '' FROM unstorage", "0")
        .await;
}

#[test_support::test]
async fn a_listing_by_pages_has_each_key_once_and_clearing_stays_below_its_prefix() {
    let database = Database::new().await;
    let driver = &database.driver;
    let names = [
        "a", "a:1", "a:2", "a:%", "a:_x", "a2:1", "A:1", "a:b:c", "a;1", "ab",
    ];
    for name in names {
        driver.put(name, "v").await.unwrap();
    }
    let mut options = ListOptions::below(Prefix::new("a").unwrap()).with_limit(2);
    let mut listed = Vec::new();
    loop {
        let page = driver.list(options.clone()).await.unwrap();
        assert!(page.keys.len() <= 2);
        listed.extend(page.keys.iter().map(|key| key.as_str().to_owned()));
        match page.next {
            Some(cursor) => options.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(listed, ["a:%", "a:1", "a:2", "a:_x", "a:b:c"]);
    driver.clear(&Prefix::new("a").unwrap()).await.unwrap();
    let rest = database
        .rows("SELECT key FROM unstorage ORDER BY key")
        .await;
    assert_eq!(rest, ["A:1", "a", "a2:1", "a;1", "ab"]);
    driver.clear(&Prefix::root()).await.unwrap();
    assert!(database.rows("SELECT key FROM unstorage").await.is_empty());
}

#[test_support::test]
async fn clearing_more_than_a_batch_clears_all() {
    let database = Database::new().await;
    let writes = (0..1_500).map(|index| Write::new(key(&format!("a:{index}")), "v"));
    for outcome in database.driver.write_many(writes.collect()).await {
        assert!(outcome.is_ok());
    }
    database
        .driver
        .clear(&Prefix::new("a").unwrap())
        .await
        .unwrap();
    assert!(database.rows("SELECT key FROM unstorage").await.is_empty());
}

#[test_support::test]
async fn of_two_writes_to_one_key_in_a_batch_the_later_wins() {
    let database = Database::new().await;
    let writes = ["one", "two", "three"].map(|value| Write::new(key("k"), value));
    for outcome in database.driver.write_many(writes.to_vec()).await {
        assert!(matches!(outcome, Ok(WriteOutcome::Written { .. })));
    }
    assert_eq!(database.driver.get("k").await.unwrap().unwrap(), "three");
    let keys = [key("k"), key("missing"), key("k")];
    let read = database.driver.read_many(&keys).await.unwrap();
    assert_eq!(
        read.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true]
    );
}

#[test_support::test]
async fn one_write_that_fails_leaves_the_others_of_its_batch_their_own_results() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut other = database.connect().await;
    crate::support::run(
        &mut other,
        "CREATE TRIGGER refuse BEFORE INSERT ON unstorage WHEN NEW.value='bad' \
         BEGIN SELECT RAISE(ABORT,'refused'); END",
    )
    .await;
    let version = write(driver, "there", "v", WriteOptions::default()).await;
    let put = |name: &str, value: &'static str, options| {
        Write::new(key(name), value).with_options(options)
    };
    let outcomes = driver
        .write_many(vec![
            put("a", "good", WriteOptions::default()),
            put("b", "bad", WriteOptions::default()),
            put("there", "new", WriteOptions::if_absent()),
            put("c", "good", WriteOptions::default()),
            put("gone", "x", WriteOptions::if_version(version)),
        ])
        .await;
    assert!(
        matches!(outcomes[0], Ok(WriteOutcome::Written { .. })),
        "{outcomes:?}"
    );
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Backend, Outcome::NotApplied)
    );
    assert!(matches!(
        outcomes[2],
        Ok(WriteOutcome::Conflict(ConflictState::Present(_)))
    ));
    assert!(matches!(outcomes[3], Ok(WriteOutcome::Written { .. })));
    assert_eq!(
        outcomes[4].as_ref().unwrap(),
        &WriteOutcome::Conflict(ConflictState::Absent)
    );
    let rows = database
        .rows("SELECT key || value FROM unstorage ORDER BY key")
        .await;
    assert_eq!(rows, ["agood", "cgood", "therev"]);
}

#[test_support::test]
async fn dropped_callers_leave_the_old_value_or_the_new_one_and_no_transaction() {
    let database = Database::new().await;
    let driver = database.driver.clone();
    let mut tasks = Vec::new();
    for caller in 0..32 {
        let driver = driver.clone();
        tasks.push(tokio::spawn(async move {
            for round in 0..50_u64 {
                let name = key(&format!("k{}", caller % 4));
                let value = format!("{caller}-{round}");
                let write = driver.write(&name, value.into(), WriteOptions::default());
                let _given_up = tokio::time::timeout(Duration::from_micros(round * 7), write).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    // It comes after all that dropped callers left in the queue.
    driver.put("k0", "last").await.unwrap();
    assert_eq!(driver.get("k0").await.unwrap().unwrap(), "last");
    // Another process could not write if a transaction were left open.
    let mut other = database.connect().await;
    crate::support::run(&mut other, "BEGIN IMMEDIATE").await;
    crate::support::run(&mut other, "ROLLBACK").await;
}

#[test_support::test]
async fn closing_finishes_what_was_queued_and_then_refuses_everything() {
    let database = Database::new().await;
    let driver = database.driver.clone();
    let mut tasks = Vec::new();
    for index in 0..200 {
        let driver = driver.clone();
        tasks.push(tokio::spawn(async move {
            driver.put(&format!("k{index}"), "v").await
        }));
    }
    tokio::task::yield_now().await;
    driver.close().await.unwrap();
    driver.close().await.unwrap();
    let mut written = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => written += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
        }
    }
    let rows = database.rows("SELECT count(*) || '' FROM unstorage").await;
    assert_eq!(rows, [written.to_string()]);

    let k = key("k");
    let kinds = [
        driver.read(&k).await.unwrap_err(),
        driver.put("k", "v").await.unwrap_err(),
        driver.delete("k").await.unwrap_err(),
        driver.list(ListOptions::default()).await.unwrap_err(),
        driver.exists(&k).await.unwrap_err(),
        driver.metadata(&k).await.unwrap_err(),
        driver
            .touch(&k, TouchOptions::to(Expiry::Never))
            .await
            .unwrap_err(),
        driver
            .read_many(std::slice::from_ref(&k))
            .await
            .unwrap_err(),
        driver
            .remove_many(std::slice::from_ref(&k))
            .await
            .unwrap_err(),
        driver.clear(&Prefix::root()).await.unwrap_err(),
    ]
    .map(|error| error.kind());
    assert_eq!(kinds, [ErrorKind::Closed; 10]);
}

#[test_support::test]
async fn dropping_the_driver_ends_its_threads_and_frees_the_file() {
    let database = Database::with(|options| options.pool_size = 2).await;
    database.driver.put("k", "v").await.unwrap();
    let Database {
        driver,
        folder,
        path,
        ..
    } = database;
    drop(driver);
    // Without a connection SQLite takes the log away; the last one does so as its thread ends.
    let log = path.with_extension("db-wal");
    crate::support::eventually(|| !log.exists()).await;
    drop(folder);
}

#[test_support::test]
async fn a_database_in_memory_serves_many_callers_and_is_its_own() {
    let first = SqliteDriver::open(SqliteOptions::new(":memory:"))
        .await
        .unwrap();
    let second = SqliteDriver::open(SqliteOptions::new(":memory:"))
        .await
        .unwrap();
    first.put("k", "v").await.unwrap();
    assert_eq!(second.get("k").await.unwrap(), None);
    first.put("n", "0").await.unwrap();
    let n = key("n");
    let increments = (0..32).map(|_| crate::support::increment(&first, &n));
    futures_util::future::join_all(increments).await;
    assert_eq!(first.get("n").await.unwrap().unwrap(), "32");
}

#[test_support::test]
async fn a_prefix_keeps_to_its_own_keys() {
    let database = Database::with(|options| options.prefix = Some("app".to_owned())).await;
    let driver = &database.driver;
    driver.put("k", "v").await.unwrap();
    let mut other = database.connect().await;
    crate::support::run(
        &mut other,
        "INSERT INTO unstorage(key,value) VALUES('app2:k','x'),('k','y')",
    )
    .await;
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    let page = driver.list(ListOptions::default()).await.unwrap();
    assert_eq!(page.keys, [key("k")]);
    driver.clear(&Prefix::root()).await.unwrap();
    let rest = database
        .rows("SELECT key FROM unstorage ORDER BY key")
        .await;
    assert_eq!(rest, ["app2:k", "k"]);
}

#[test_support::test]
async fn an_entry_without_expiry_of_its_own_lives_for_the_ttl() {
    let database = Database::with(|options| options.ttl = Some(Duration::from_secs(60))).await;
    let driver = &database.driver;
    driver.put("default", "v").await.unwrap();
    write(
        driver,
        "never",
        "v",
        WriteOptions::default().with_expiry(Expiry::Never),
    )
    .await;
    let now = Timestamp::now();
    let end = driver
        .read(&key("default"))
        .await
        .unwrap()
        .unwrap()
        .expires_at
        .unwrap();
    assert!(end > now.saturating_add(Duration::from_secs(50)));
    assert!(end <= now.saturating_add(Duration::from_secs(60)));
    assert_eq!(
        driver
            .read(&key("never"))
            .await
            .unwrap()
            .unwrap()
            .expires_at,
        None
    );
}

#[test_support::test]
async fn metadata_tells_when_an_entry_was_made_and_changed() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut other = database.connect().await;
    crate::support::run(
        &mut other,
        "INSERT INTO unstorage(key,value,created_at,updated_at) \
         VALUES('k','four','2026-01-02 03:04:05','2026-01-02 03:04:06')",
    )
    .await;
    let metadata = driver.metadata(&key("k")).await.unwrap().unwrap();
    assert_eq!(metadata.size, Some(4));
    assert_eq!(
        metadata.created_at,
        Some(Timestamp::from_millis(1_767_323_045_000))
    );
    assert_eq!(
        metadata.modified_at,
        Some(Timestamp::from_millis(1_767_323_046_000))
    );

    driver.put("k", "new").await.unwrap();
    let written = driver.metadata(&key("k")).await.unwrap().unwrap();
    assert_eq!(written.created_at, metadata.created_at);
    assert!(written.modified_at > metadata.modified_at);
}
