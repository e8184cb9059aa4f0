//! What goes wrong outside of the driver, and what its callers get to know of it.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::time::Duration;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{Driver, DriverExt, Error, ErrorKind, Outcome, Write};

use crate::support::{Database, connect, key, run};

async fn refused(options: SqliteOptions) -> Error {
    let error = SqliteDriver::open(options)
        .await
        .expect_err("it must not open");
    assert_eq!(error.driver(), Some("sqlite"));
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error:?}");
    error
}

fn assert_says(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test_support::test]
async fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("test.db");
    let error = refused(SqliteOptions::new(&path)).await;
    assert_says(
        &error,
        ErrorKind::InvalidConfig,
        "missing` of the database does not exist",
    );
}

#[test_support::test]
async fn a_folder_is_not_accepted_as_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(SqliteOptions::new(folder.path())).await;
    assert_says(&error, ErrorKind::InvalidConfig, "is a folder");
}

#[test_support::test]
async fn invalid_options_are_named() {
    for (change, words) in [
        (
            Box::new(|options: &mut SqliteOptions| options.table = "a\"; DROP".to_owned())
                as Box<dyn Fn(&mut SqliteOptions)>,
            "`table`",
        ),
        (
            Box::new(|options| options.table = "sqlite_x".to_owned()),
            "`table`",
        ),
        (Box::new(|options| options.table = String::new()), "`table`"),
        (Box::new(|options| options.pool_size = 0), "`pool_size`"),
        (Box::new(|options| options.path = "".into()), "`path`"),
        (Box::new(|options| options.path = "file:x".into()), "`path`"),
        (
            Box::new(|options| options.busy_timeout = Duration::MAX),
            "`busy_timeout`",
        ),
        (
            Box::new(|options| options.sweep_interval = Some(Duration::ZERO)),
            "`sweep_interval`",
        ),
    ] {
        let mut options = SqliteOptions::new(":memory:");
        change(&mut options);
        assert_says(&refused(options).await, ErrorKind::InvalidConfig, words);
    }
}

#[test_support::test]
async fn a_file_that_is_not_a_database_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "dear diary, ".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    let error = refused(SqliteOptions::new(&path)).await;
    assert_says(&error, ErrorKind::CorruptData, "not a SQLite database");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test_support::test]
async fn a_table_of_another_shape_is_not_changed() {
    for (schema, words) in [
        (
            "CREATE TABLE unstorage(id TEXT PRIMARY KEY, value TEXT)",
            "no column `key`",
        ),
        (
            "CREATE TABLE unstorage(key TEXT,value TEXT,blob BLOB,created_at TEXT,updated_at TEXT)",
            "primary key",
        ),
        (
            "CREATE TABLE unstorage(key TEXT PRIMARY KEY,value TEXT,blob BLOB,created_at TEXT,\
             updated_at TEXT,revision TEXT)",
            "`revision` is not an INTEGER",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        run(&mut connect(&path).await, schema).await;
        let error = refused(SqliteOptions::new(&path)).await;
        assert_says(&error, ErrorKind::InvalidConfig, words);
        let mut connection = connect(&path).await;
        let (kept,): (String,) = sqlx::query_as("SELECT sql FROM sqlite_master WHERE type='table'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(kept, schema);
    }
}

#[test_support::test]
async fn a_database_in_utf_16_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    run(
        &mut connect(&path).await,
        "PRAGMA encoding='UTF-16'; CREATE TABLE t(x)",
    )
    .await;
    let error = refused(SqliteOptions::new(&path)).await;
    assert_says(&error, ErrorKind::InvalidConfig, "UTF-16");
}

#[test_support::test]
async fn a_locked_database_is_reported_and_works_once_it_is_free() {
    let database = Database::with(|options| {
        options.busy_timeout = Duration::from_millis(10);
    })
    .await;
    let driver = &database.driver;
    driver.put("k", "old").await.unwrap();
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;

    let error = driver.put("k", "new").await.unwrap_err();
    assert_says(&error, ErrorKind::Unavailable, "locked");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let write = Write::new(key("k"), "new");
    let mut second = write.clone();
    second.key = key("k2");
    for outcome in driver.write_many(vec![write, second]).await {
        let error = outcome.unwrap_err();
        assert_says(&error, ErrorKind::Unavailable, "locked");
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    // Readers do not wait for a writer.
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "old");

    run(&mut other, "ROLLBACK").await;
    driver.put("k", "new").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "new");
}

#[test_support::test]
async fn a_read_only_file_is_reported() {
    for with_a_table in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        std::fs::write(&path, "").unwrap();
        if with_a_table {
            let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();
            driver.close().await.unwrap();
        }
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        let may_write_anyway = std::fs::OpenOptions::new().write(true).open(&path).is_ok();
        match SqliteDriver::open(SqliteOptions::new(&path)).await {
            Ok(_) => assert!(may_write_anyway, "only the system's administrator may"),
            Err(error) => assert_says(&error, ErrorKind::Unauthorized, "cannot be written"),
        }
    }
}

#[test_support::test]
async fn a_locked_database_opens_and_later_writes_wait_for_the_lock() {
    let database = Database::new().await;
    database.driver.put("k", "v").await.unwrap();
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let driver = SqliteDriver::open(SqliteOptions::new(&database.path))
        .await
        .unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    let writing = tokio::spawn(async move { driver.put("k", "new").await });
    tokio::task::yield_now().await;
    run(&mut other, "ROLLBACK").await;
    writing.await.unwrap().unwrap();
}

#[test_support::test]
async fn a_damaged_file_is_reported_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();
    for index in 0..200 {
        driver
            .put(&format!("k{index}"), "x".repeat(1_000))
            .await
            .unwrap();
    }
    driver.close().await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in bytes.iter_mut().skip(5 * 4096) {
        *byte = 0xa5;
    }
    std::fs::write(&path, &bytes).unwrap();

    let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();
    let mut corrupt = 0;
    for index in 0..200 {
        match driver.get(&format!("k{index}")).await {
            Ok(_) => {}
            Err(error) => {
                assert_says(&error, ErrorKind::CorruptData, "damaged");
                corrupt += 1;
            }
        }
    }
    assert!(corrupt > 0);
}

#[test_support::test]
async fn no_error_shows_a_key_or_a_value() {
    let database = Database::with(|options| {
        options.busy_timeout = Duration::from_millis(1);
    })
    .await;
    let driver = &database.driver;
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let locked = driver.put("s3cr3t-key", "s3cr3t-value").await.unwrap_err();
    run(&mut other, "ROLLBACK").await;
    run(
        &mut other,
        "CREATE TRIGGER refuse BEFORE INSERT ON unstorage BEGIN SELECT RAISE(ABORT,'refused'); END",
    )
    .await;
    let refused = driver.put("s3cr3t-key", "s3cr3t-value").await.unwrap_err();
    run(&mut other, "DROP TABLE unstorage").await;
    let missing = driver.put("s3cr3t-key", "s3cr3t-value").await.unwrap_err();
    let unread = driver.get("s3cr3t-key").await.unwrap_err();
    for error in [locked, refused, missing, unread] {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{shown}");
    }
}
