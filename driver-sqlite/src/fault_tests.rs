//! Faults that are made on the driver's own connection.

use session_core::{Driver, DriverExt, ErrorKind, Key, Outcome, Write, WriteOutcome};
use sqlx::{AssertSqlSafe, Executor};
use tempfile::TempDir;

use crate::{SqliteDriver, SqliteOptions};

async fn opened() -> (TempDir, SqliteDriver) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        sweep_interval: None,
        ..SqliteOptions::new(folder.path().join("test.db"))
    };
    (folder, SqliteDriver::open(options).await.unwrap())
}

async fn run(driver: &SqliteDriver, sql: &str) {
    test_support::step(sql);
    let mut lease = driver.writing.lock().await;
    let connection = lease.connection().await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

fn write(name: &str, size: usize) -> Write {
    Write::new(Key::new(name).unwrap(), vec![b'x'; size])
}

#[test_support::test]
async fn a_full_database_refuses_what_does_not_fit_and_keeps_the_rest() {
    let (_folder, driver) = opened().await;
    driver.put("small", "v").await.unwrap();
    run(&driver, "PRAGMA max_page_count=40").await;
    let writes = vec![write("a", 10), write("huge", 900_000), write("b", 10)];
    let outcomes = driver.write_many(writes).await;
    assert!(matches!(outcomes[0], Ok(WriteOutcome::Written { .. })));
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.to_string().contains("full"), "{error}");
    assert!(matches!(outcomes[2], Ok(WriteOutcome::Written { .. })));
    for (name, there) in [("a", true), ("b", true), ("small", true), ("huge", false)] {
        assert_eq!(driver.get(name).await.unwrap().is_some(), there, "{name}");
    }
    let alone = driver.put("huge", vec![b'x'; 900_000]).await.unwrap_err();
    assert_eq!(alone.outcome(), Outcome::NotApplied);
}

#[test_support::test]
async fn a_database_that_became_read_only_refuses_writes_and_is_read() {
    let (_folder, driver) = opened().await;
    driver.put("k", "v").await.unwrap();
    run(&driver, "PRAGMA query_only=ON").await;
    let mut errors = vec![driver.put("k", "new").await.unwrap_err()];
    let writes = vec![write("a", 10), write("b", 10)];
    for outcome in driver.write_many(writes).await {
        errors.push(outcome.unwrap_err());
    }
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    run(&driver, "PRAGMA query_only=OFF").await;
    driver.put("k", "new").await.unwrap();
}

#[test_support::test]
async fn a_transaction_that_was_left_open_is_undone_before_the_next_write() {
    let (_folder, driver) = opened().await;
    {
        let mut lease = driver.writing.lock().await;
        let connection = lease.transaction().await.unwrap();
        let half = "BEGIN IMMEDIATE; INSERT INTO unstorage(key,value) VALUES('half','v')";
        connection.execute(half).await.unwrap();
    }
    driver.put("k", "v").await.unwrap();
    assert_eq!(driver.get("half").await.unwrap(), None);
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
}
