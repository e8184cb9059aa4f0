//! Faults between the driver and the table: the outcome of each error, what is retried, and that nothing hangs or uses too
//! much memory.

use std::time::{Duration, Instant};

use driver_dynamodb::{DynamoDbDriver, DynamoDbOptions};
use session_core::{
    Driver, DriverExt, Error, ErrorKind, ListOptions, Outcome, RemoveOptions, Result, RetryPolicy,
    TouchOptions, Version, Write, WriteOptions, WriteOutcome,
};
use test_support::{Dynalite, HttpFault, HttpProxy};

use crate::support::{DYNALITE, client, item, key, open, options, text};

const SECRET: &str = "value-that-nobody-may-see";

/// A driver whose requests go through a proxy, and an entry `k`.
struct Table {
    proxy: HttpProxy,
    driver: DynamoDbDriver,
    name: String,
    version: Version,
}

impl Table {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut DynamoDbOptions)) -> Self {
        let proxy = HttpProxy::start(&DYNALITE.url());
        let mut options = options(proxy.url());
        change(&mut options);
        let name = options.table.clone();
        let driver = open(options).await;
        driver.put("k", "old").await.unwrap();
        let entry = driver.read(&key("k")).await.unwrap().unwrap();
        proxy.clear();
        Self {
            proxy,
            driver,
            name,
            version: entry.version.unwrap(),
        }
    }

    async fn write_on_condition(&self) -> Result<WriteOutcome> {
        let options = WriteOptions::if_version(self.version.clone());
        self.driver.write(&key("k"), SECRET.into(), options).await
    }

    /// What the table holds, past the proxy.
    async fn holds(&self) -> String {
        let item = item(&client(&DYNALITE.url()), &self.name, "k").await;
        item.unwrap()["value"].as_s().unwrap().clone()
    }
}

fn assert_error(error: &Error, kind: ErrorKind, outcome: Outcome) {
    assert_eq!(
        (error.kind(), error.outcome()),
        (kind, outcome),
        "{error:?}"
    );
    assert_eq!(error.driver(), Some("dynamodb"));
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains(SECRET) && !shown.contains("secret-of"),
        "{shown}"
    );
}

#[test_support::test]
async fn a_conditional_write_that_may_have_been_applied_is_unknown_and_sent_once() {
    use ErrorKind::*;
    for (fault, kind, applied) in [
        (HttpFault::Cut, Unavailable, false),
        (HttpFault::LostAnswer, Unavailable, true),
        (HttpFault::status(500), Unavailable, false),
        (HttpFault::status(502).after_the_server(), Unavailable, true),
        (HttpFault::status(503), Unavailable, false),
        (
            HttpFault::garbage_json().after_the_server(),
            Unavailable,
            true,
        ),
    ] {
        let table = Table::new().await;
        table.proxy.next(fault.clone());
        let error = table.write_on_condition().await.unwrap_err();
        assert_error(&error, kind, Outcome::Unknown);
        assert_eq!(table.proxy.count(), 1, "{fault:?}");
        let expected = if applied { SECRET } else { "old" };
        assert_eq!(table.holds().await, expected, "{fault:?}");

        table.proxy.clear();
        table.proxy.next(fault.clone());
        let removal = RemoveOptions::if_version(table.version.clone());
        let error = table.driver.remove(&key("k"), removal).await.unwrap_err();
        assert_error(&error, kind, Outcome::Unknown);
        table.proxy.next(fault.clone());
        let touch = TouchOptions::default().if_version(table.version.clone());
        let error = table.driver.touch(&key("k"), touch).await.unwrap_err();
        assert_error(&error, kind, Outcome::Unknown);
        assert_eq!(table.proxy.count(), 2, "{fault:?}");
    }
}

#[test_support::test]
async fn a_conditional_write_that_times_out_is_unknown_and_sent_once() {
    let table = Table::with(|options| options.timeout = Duration::from_secs(1)).await;
    table.proxy.next(HttpFault::HungAnswer);
    let started = Instant::now();
    let error = table.write_on_condition().await.unwrap_err();
    assert_error(&error, ErrorKind::TimedOut, Outcome::Unknown);
    assert!(started.elapsed() >= Duration::from_millis(500));
    assert_eq!(table.proxy.count(), 1);
    assert_eq!(table.holds().await, SECRET);
}

#[test_support::test]
async fn a_throttled_conditional_write_is_retried() {
    let table = Table::new().await;
    table
        .proxy
        .next(refusal("ProvisionedThroughputExceededException"));
    table.proxy.next(refusal("ThrottlingException"));
    let outcome = table.write_on_condition().await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Written { .. }));
    assert_eq!(table.proxy.count(), 3);
    assert_eq!(table.holds().await, SECRET);
}

/// An answer of DynamoDB's that refuses the request.
fn refusal(code: &str) -> HttpFault {
    crate::errors::answer(400, code, "as documented")
}

#[test_support::test]
async fn requests_that_are_safe_to_repeat_are_retried() {
    let table = Table::new().await;
    let faults = [
        HttpFault::Cut,
        HttpFault::LostAnswer,
        HttpFault::Truncated,
        HttpFault::status(500),
        HttpFault::garbage_json(),
        HttpFault::html(),
        refusal("ThrottlingException"),
    ];
    for fault in faults {
        let repeated = |what: &str| {
            assert_eq!(table.proxy.count(), 2, "{what} after {fault:?}");
            table.proxy.clear();
            table.proxy.next(fault.clone());
        };
        table.proxy.next(fault.clone());
        assert_eq!(table.driver.get("k").await.unwrap().unwrap(), "old");
        repeated("a read");
        assert!(table.driver.exists(&key("k")).await.unwrap());
        repeated("exists");
        assert!(table.driver.read_many(&[key("k")]).await.unwrap()[0].is_some());
        repeated("a batch of reads");
        let listed = table.driver.list(ListOptions::default()).await.unwrap();
        assert_eq!(listed.keys.len(), 1);
        repeated("a listing");
        table.driver.put("k", "old").await.unwrap();
        repeated("a write");
        table.driver.put("gone", "v").await.unwrap();
        repeated("another write");
        table.driver.remove_many(&[key("gone")]).await.unwrap();
        repeated("a batch of removals");
        table.driver.delete("gone").await.unwrap();
        repeated("a removal");
        let touched = table.driver.touch(&key("k"), TouchOptions::default()).await;
        assert!(touched.unwrap());
        repeated("a touch");
        table.proxy.clear();
    }
}

#[test_support::test]
async fn retries_end_and_the_last_error_is_returned() {
    let table = Table::new().await;
    table.proxy.always(HttpFault::status(503));
    assert_error(
        &table.driver.get("k").await.unwrap_err(),
        ErrorKind::Unavailable,
        Outcome::NotApplied,
    );
    assert_eq!(table.proxy.count(), 3);
    table.proxy.clear();
    table.proxy.always(refusal("ThrottlingException"));
    let error = table.write_on_condition().await.unwrap_err();
    assert_error(&error, ErrorKind::RateLimited, Outcome::NotApplied);
    assert_eq!(table.proxy.count(), 3);

    let never = Table::with(|options| options.retry = RetryPolicy::never()).await;
    never.proxy.always(HttpFault::status(503));
    never.driver.get("k").await.unwrap_err();
    assert_eq!(never.proxy.count(), 1);
}

#[test_support::test]
async fn a_wait_that_the_server_asks_for_is_reported() {
    let table = Table::new().await;
    table.proxy.always(HttpFault::rate_limited(60));
    let error = table.write_on_condition().await.unwrap_err();
    assert_error(&error, ErrorKind::RateLimited, Outcome::NotApplied);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(table.proxy.count(), 1);
}

#[test_support::test]
async fn unprocessed_items_of_a_batch_are_sent_again() {
    let table = Table::new().await;
    let undone = |requests: &str| {
        let body = format!(
            r#"{{"UnprocessedItems":{{"{}":[{requests}]}}}}"#,
            table.name
        );
        crate::errors::json(200, &body)
    };
    let put = |name: &str| {
        format!(r#"{{"PutRequest":{{"Item":{{"key":{{"S":"{name}"}},"value":{{"S":"v"}}}}}}}}"#)
    };
    let writes = ["a", "b"].map(|name| Write::new(key(name), "v"));
    // First nothing was done, then half of it.
    table.proxy.next(undone(&[put("a"), put("b")].join(",")));
    table.proxy.next(undone(&put("b")));
    let results = table.driver.write_many(writes.to_vec()).await;
    assert!(results.into_iter().all(|result| result.is_ok()));
    let seen = table.proxy.seen();
    assert_eq!(seen.len(), 3);
    let last = String::from_utf8(seen[2].body.to_vec()).unwrap();
    assert!(
        last.contains(r#"{"S":"b"}"#) && !last.contains(r#"{"S":"a"}"#),
        "{last}"
    );
    assert!(table.driver.exists(&key("b")).await.unwrap());

    table.proxy.clear();
    let both = [put("a"), put("b")].join(",");
    table.proxy.always(undone(&both));
    for result in table.driver.write_many(writes.to_vec()).await {
        let error = result.unwrap_err();
        assert_error(&error, ErrorKind::RateLimited, Outcome::NotApplied);
    }
    assert_eq!(table.proxy.count(), 3);
}

#[test_support::test]
async fn reads_that_exceed_one_response_are_complete() {
    let table = Table::new().await;
    let value = "v".repeat(380_000);
    let keys: Vec<_> = (0..45).map(|number| key(&format!("k{number}"))).collect();
    let writes = keys
        .iter()
        .map(|key| Write::new(key.clone(), value.clone()));
    for result in table.driver.write_many(writes.collect()).await {
        let _unconditional = result.unwrap();
    }
    table.proxy.clear();
    let found = table.driver.read_many(&keys).await.unwrap();
    assert!(
        table.proxy.count() > 1,
        "16 MB are more than an answer holds"
    );
    assert_eq!(found.len(), keys.len());
    for entry in found {
        assert_eq!(entry.unwrap().value, value);
    }
}

#[test_support::test]
async fn an_endless_response_is_refused() {
    let table = Table::with(|options| options.retry = RetryPolicy::never()).await;
    for fault in [HttpFault::huge(u64::from(u32::MAX)), HttpFault::endless()] {
        table.proxy.next(fault);
        let error = table.write_on_condition().await.unwrap_err();
        assert_error(&error, ErrorKind::TooLarge, Outcome::Unknown);
    }
    table.proxy.next(HttpFault::gzip_bomb());
    let error = table.write_on_condition().await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, Outcome::Unknown);
    assert!(matches!(
        table.write_on_condition().await.unwrap(),
        WriteOutcome::Written { .. }
    ));
}

#[test_support::test]
async fn a_redirect_is_not_followed() {
    let (table, other) = (Table::new().await, HttpProxy::start(&DYNALITE.url()));
    table.proxy.next(HttpFault::redirect(other.url()));
    let error = table.write_on_condition().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend, "{error:?}");
    assert_eq!(other.count(), 0);
}

#[test_support::test]
async fn a_call_to_a_hanging_server_ends_by_its_timeout() {
    let table = Table::with(|options| {
        options.timeout = Duration::from_secs(2);
        options.retry = RetryPolicy::never();
    })
    .await;
    table.proxy.always(HttpFault::Hang);
    let started = Instant::now();
    let error = table.driver.get("k").await.unwrap_err();
    assert_error(&error, ErrorKind::TimedOut, Outcome::NotApplied);
    assert!(started.elapsed() < Duration::from_secs(30));
    table.proxy.clear();
    assert_eq!(table.driver.get("k").await.unwrap().unwrap(), "old");
}

#[test_support::test]
async fn a_restarted_server_is_used_again() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-dynamodb-dynalite");
    // Where the packages are, no two may install them at once.
    DYNALITE.url();
    let mut server = Dynalite::start(folder);
    let options = options(&server.url()).with_retry(RetryPolicy::never());
    let driver = open(options.clone()).await;
    driver.put("k", "v").await.unwrap();
    let version = driver
        .read(&key("k"))
        .await
        .unwrap()
        .unwrap()
        .version
        .unwrap();

    server.peer().kill();
    // The connection that was kept is found broken, and nobody listens any more.
    let error = loop {
        let write = WriteOptions::if_version(version.clone());
        let error = driver
            .write(&key("k"), "new".into(), write)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        if error.outcome() == Outcome::NotApplied {
            break error;
        }
    };
    assert_error(&error, ErrorKind::Unavailable, Outcome::NotApplied);

    server.restart();
    // It has forgotten its tables.
    open(options).await;
    driver
        .put("k", text("again").as_s().unwrap().clone())
        .await
        .unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "again");

    server.peer().pause();
    let impatient =
        async { tokio::time::timeout(Duration::from_millis(200), driver.get("k")).await };
    assert!(impatient.await.is_err());
    server.peer().resume();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "again");
}
