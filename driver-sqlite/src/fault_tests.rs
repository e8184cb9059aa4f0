//! Faults that are made on the driver's own connection.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{Driver, DriverExt, ErrorKind, Key, Outcome, Write, WriteOutcome};
use tempfile::TempDir;

use crate::database::WRITER;
use crate::{SqliteDriver, SqliteOptions};

async fn opened() -> (TempDir, SqliteDriver) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("test.db")).with_sweep_interval(None);
    (folder, SqliteDriver::open(options).await.unwrap())
}

fn run(driver: &SqliteDriver, sql: &str) {
    let connection = driver.database.connection(WRITER).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn write(name: &str, size: usize) -> Write {
    Write::new(Key::new(name).unwrap(), vec![b'x'; size])
}

#[test_support::test]
async fn a_full_database_refuses_what_does_not_fit_and_keeps_the_rest() {
    let (_folder, driver) = opened().await;
    driver.put("small", "v").await.unwrap();
    run(&driver, "PRAGMA max_page_count=40");
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
    run(&driver, "PRAGMA query_only=ON");
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
    run(&driver, "PRAGMA query_only=OFF");
    driver.put("k", "new").await.unwrap();
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_on_a_connection_that_hangs_end_in_time_and_what_did_not_begin_is_not_made_later() {
    const TIMEOUT: Duration = Duration::from_millis(500);
    const CALLERS: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("test.db"))
        .with_timeout(TIMEOUT)
        .with_sweep_interval(None);
    let driver = SqliteDriver::open(options).await.unwrap();
    // The writer waits for its connection, so it can be taken away only as long as it has nothing to do.
    let gate = driver.database.connection(WRITER).unwrap();

    let started = Instant::now();
    let names: Vec<_> = (0..CALLERS).map(|caller| format!("k{caller}")).collect();
    let writes = join_all(names.iter().map(|name| driver.put(name, "v")));
    let writes = tokio::time::timeout(TIMEOUT * 20, writes).await;
    let writes = writes.expect("a call did not end");
    let late = tokio::time::timeout(TIMEOUT * 20, driver.put("late", "v")).await;
    let late = late.expect("a call did not end").unwrap_err();
    assert_eq!(late.outcome(), Outcome::NotApplied);
    let close = tokio::time::timeout(TIMEOUT * 20, driver.close()).await;
    let close = close.expect("closing did not end").unwrap_err();
    assert_eq!(close.kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() < TIMEOUT * 3 + Duration::from_secs(2));
    drop(gate);
    driver.close().await.unwrap();

    let driver = SqliteDriver::open(SqliteOptions::new(folder.path().join("test.db")));
    let driver = driver.await.unwrap();
    for (name, written) in names.iter().zip(writes) {
        let error = written.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert_eq!(driver.get(name).await.unwrap(), None, "{name}");
    }
    assert_eq!(driver.get("late").await.unwrap(), None);
}
