//! Every call ends by its timeout, and a write that its caller gave up is not made later.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{Driver, DriverExt, ErrorKind, Outcome, Prefix, Write};

use crate::support::{Database, key, run};

const TIMEOUT: Duration = Duration::from_secs(1);
const CALLERS: usize = 64;

/// A database whose driver would wait for a lock for longer than a call may take.
async fn patient() -> Database {
    Database::with(|options| {
        options.timeout = TIMEOUT;
        options.busy_timeout = Duration::from_secs(60);
    })
    .await
}

async fn in_time<T>(started: Instant, call: impl Future<Output = T>) -> T {
    let limit = TIMEOUT * 10;
    let done = tokio::time::timeout(limit, call).await;
    let done = done.expect("a call did not end");
    assert!(started.elapsed() < TIMEOUT + Duration::from_secs(1));
    done
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beside_a_held_lock_end_in_time_and_write_nothing_later() {
    let database = patient().await;
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;

    let started = Instant::now();
    let driver = &database.driver;
    let single = (0..CALLERS).map(|caller| async move {
        let name = format!("single{caller}");
        in_time(started, driver.put(&name, "v")).await
    });
    let batch = (0..CALLERS).map(|caller| Write::new(key(&format!("batch{caller}")), "v"));
    let batch = in_time(started, driver.write_many(batch.collect()));
    let keys = [key("a"), key("b")];
    let removal = in_time(started, driver.remove_many(&keys));
    let (single, batch, removal) = tokio::join!(join_all(single), batch, removal);
    let single = single.into_iter().map(Result::unwrap_err);
    let batch = batch.into_iter().map(Result::unwrap_err);
    for error in single.chain(batch).chain([removal.unwrap_err()]) {
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
        let kinds = [ErrorKind::TimedOut, ErrorKind::Unavailable];
        assert!(kinds.contains(&error.kind()), "{error}");
        assert_eq!(error.driver(), Some("sqlite"));
    }

    run(&mut other, "ROLLBACK").await;
    // It comes after everything that is still queued.
    driver.put("last", "v").await.unwrap();
    let keys = database.rows("SELECT key FROM unstorage").await;
    assert_eq!(keys, ["last"]);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_dropped_while_it_waits_for_a_lock_is_not_made_later() {
    let database = patient().await;
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let driver = &database.driver;
    let dropped = (0..CALLERS).map(|caller| async move {
        let name = format!("k{caller}");
        let write = driver.put(&name, "v");
        let in_between = TIMEOUT / 10;
        tokio::time::timeout(in_between, write).await.unwrap_err();
    });
    join_all(dropped).await;
    // It comes after the attempt that was under way when its caller was dropped.
    driver.put("refused", "v").await.unwrap_err();
    run(&mut other, "ROLLBACK").await;
    driver.put("last", "v").await.unwrap();
    let keys = database.rows("SELECT key FROM unstorage").await;
    assert_eq!(keys, ["last"]);
}

#[test_support::test]
async fn a_lock_that_is_released_in_time_is_waited_for() {
    let database = patient().await;
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let driver = &database.driver;
    let names: Vec<_> = (0..8).map(|caller| format!("k{caller}")).collect();
    let writes = names.iter().map(|name| driver.put(name, "v"));
    let release = async {
        tokio::time::sleep(TIMEOUT / 10).await;
        run(&mut other, "ROLLBACK").await;
    };
    let (written, ()) = tokio::join!(join_all(writes), release);
    assert!(written.iter().all(Result::is_ok), "{written:?}");
}

#[test_support::test]
async fn a_clear_beside_a_held_lock_ends_by_its_busy_timeout() {
    let database = Database::with(|options| options.busy_timeout = TIMEOUT / 10).await;
    database.driver.put("k", "v").await.unwrap();
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let everything = Prefix::root();
    let clear = database.driver.clear(&everything);
    let error = in_time(Instant::now(), clear).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    run(&mut other, "ROLLBACK").await;
    assert!(database.driver.get("k").await.unwrap().is_some());
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_waited_too_long_for_a_lock_were_certainly_not_made_and_never_are() {
    const WRITES: usize = 150;
    let database = Database::with(|options| options.busy_timeout = TIMEOUT / 5).await;
    let driver = &database.driver;
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let names: Vec<_> = (0..WRITES).map(|number| format!("k{number}")).collect();
    let started = Instant::now();
    let writes = join_all(names.iter().map(|name| driver.put(name, "v")));
    for error in in_time(started, writes).await {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
        assert!(error.is_transient());
    }
    run(&mut other, "ROLLBACK").await;
    driver.put("last", "v").await.unwrap();
    let keys = database.rows("SELECT key FROM unstorage").await;
    assert_eq!(keys, ["last"]);
}
