//! Faults between the driver and its database.

use std::time::{Duration, Instant};

use session_core::{
    Driver, DriverExt, Error, ErrorKind, ListOptions, Outcome, RemoveOptions, RetryPolicy,
    WriteOptions,
};
use test_support::{HttpFault, HttpProxy};

use crate::support::{Behind, TOKEN, increment, key};

fn assert_error(error: &Error, kind: ErrorKind, outcome: Outcome) {
    assert_eq!(
        (error.kind(), error.outcome()),
        (kind, outcome),
        "{error:?}"
    );
    assert_eq!(error.driver(), Some("upstash"));
    let shown = format!("{error} {error:?}");
    for secret in [TOKEN, "a-session-id", "the-value"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test_support::test]
async fn a_fault_is_neither_a_miss_nor_a_success() {
    use ErrorKind::*;
    use Outcome::*;
    let behind = Behind::start(|options| {
        options.retry = RetryPolicy::never();
        options.timeout = Duration::from_millis(800);
    })
    .await;
    let (driver, proxy) = (&behind.driver, &behind.proxy);
    driver.put("a-session-id", "the-value").await.unwrap();
    let entry = driver.read(&key("a-session-id")).await.unwrap().unwrap();
    let version = entry.version.unwrap();
    let elsewhere = HttpProxy::start("http://127.0.0.1:1");
    for (fault, kind, outcome) in [
        (HttpFault::Cut, Unavailable, Unknown),
        (HttpFault::LostAnswer, Unavailable, Unknown),
        (HttpFault::Truncated, Unavailable, Unknown),
        (HttpFault::Hang, TimedOut, Unknown),
        (HttpFault::HungAnswer, TimedOut, Unknown),
        (HttpFault::garbage_json(), Backend, Unknown),
        (HttpFault::html(), Backend, Unknown),
        (HttpFault::answer(200, &[], "[]"), Backend, Unknown),
        (
            HttpFault::answer(200, &[], r#"[{"result":"the-value"},{"result":[]}]"#),
            Backend,
            Unknown,
        ),
        (HttpFault::rate_limited(7), RateLimited, NotApplied),
        (HttpFault::status(401), Unauthorized, NotApplied),
        (HttpFault::status(413), TooLarge, NotApplied),
        (HttpFault::status(500), Unavailable, Unknown),
        (HttpFault::status(503), Unavailable, Unknown),
        (HttpFault::gzip_bomb(), Backend, Unknown),
        (HttpFault::huge(1 << 30), TooLarge, Unknown),
        (HttpFault::redirect(elsewhere.url()), Backend, Unknown),
    ] {
        proxy.always(fault.clone());
        let key = key("a-session-id");
        assert_error(&driver.read(&key).await.unwrap_err(), kind, NotApplied);
        let write = driver.put("a-session-id", "the-value").await;
        assert_error(&write.unwrap_err(), kind, outcome);
        let write = WriteOptions::if_version(version.clone());
        let write = driver.write(&key, "the-value".into(), write).await;
        assert_error(&write.unwrap_err(), kind, outcome);
        let removal = driver.remove(&key, RemoveOptions::default()).await;
        assert_error(&removal.unwrap_err(), kind, outcome);
        let listing = driver.list(ListOptions::default()).await;
        assert_error(&listing.unwrap_err(), kind, NotApplied);
        let batch = driver.read_many(&[key.clone(), key]).await;
        assert_error(&batch.unwrap_err(), kind, NotApplied);
        proxy.clear();
        driver.put("a-session-id", "the-value").await.unwrap();
    }
    assert_eq!(elsewhere.count(), 0);
}

#[test_support::test]
async fn reading_an_endless_response_ends() {
    let behind = Behind::start(|options| {
        options.retry = RetryPolicy::never();
        options.timeout = Duration::from_secs(20);
    })
    .await;
    behind.proxy.next(HttpFault::endless());
    let started = Instant::now();
    let error = behind.driver.get("k").await.unwrap_err();
    assert_error(&error, ErrorKind::TooLarge, Outcome::NotApplied);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test_support::test]
async fn transient_errors_are_retried_where_that_is_safe() {
    let behind = Behind::start(|options| options.timeout = Duration::from_secs(3)).await;
    let (driver, proxy) = (&behind.driver, &behind.proxy);
    for fault in [
        HttpFault::Cut,
        HttpFault::LostAnswer,
        HttpFault::Truncated,
        HttpFault::HungAnswer,
        HttpFault::status(503),
        HttpFault::rate_limited(0),
    ] {
        proxy.next(fault.clone());
        driver.put("k", "value").await.unwrap();
        proxy.next(fault.clone());
        assert_eq!(
            driver.get("k").await.unwrap().unwrap(),
            "value",
            "{fault:?}"
        );
        proxy.next(fault);
        driver.delete("k").await.unwrap();
    }
}

/// An answer that was lost leaves two truths, and the driver claims neither.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_increment_whose_response_was_lost_is_unknown_and_never_applied_twice() {
    let behind = Behind::start(|options| options.timeout = Duration::from_secs(2)).await;
    behind.driver.put("n", "0").await.unwrap();
    // Every seventh request that may change something loses its answer or does not arrive.
    let seen = std::sync::atomic::AtomicUsize::new(0);
    behind.proxy.on(move |request| {
        let is_change = request.body.windows(4).any(|part| part == b"EVAL");
        let number = is_change.then(|| seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst))?;
        match number % 14 {
            0 => Some(HttpFault::LostAnswer),
            3 => Some(HttpFault::status(503).after_the_server()),
            7 => Some(HttpFault::Cut),
            10 => Some(HttpFault::rate_limited(0)),
            _ => None,
        }
    });
    let tasks = (0..4).map(|_| {
        let driver = behind.driver.clone();
        tokio::spawn(async move {
            let (mut made, mut unknown) = (0, 0);
            for _ in 0..100 {
                match increment(&*driver, &key("n")).await {
                    Ok(done) => made += u64::from(done),
                    Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
                    // A read that failed each time, or a write that was asked to wait until the time was over. The count
                    // below shows that this was not made.
                    Err(error) => assert!(error.is_transient(), "{error}"),
                }
            }
            (made, unknown)
        })
    });
    let (mut made, mut unknown) = (0, 0);
    for task in futures_util::future::join_all(tasks).await {
        let (more, lost) = task.unwrap();
        made += more;
        unknown += lost;
    }
    assert!(unknown > 0);
    let count: u64 = behind.gateway.redis().cli(&["GET", "n"]).parse().unwrap();
    assert!(
        (made..=made + unknown).contains(&count),
        "{made} {count} {unknown}"
    );
}

#[test_support::test]
async fn a_killed_gateway_is_an_outage_and_not_a_miss() {
    let behind = Behind::start(|_| {}).await;
    behind.driver.put("k", "value").await.unwrap();
    behind.gateway.kill();
    let error = behind.driver.get("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test_support::test]
async fn a_redis_that_hangs_behind_the_gateway_times_out() {
    let behind = Behind::start(|options| {
        options.timeout = Duration::from_millis(400);
        options.retry = RetryPolicy::never();
    })
    .await;
    behind.driver.put("k", "value").await.unwrap();
    behind.gateway.redis().pause();
    let error = behind.driver.get("k").await.unwrap_err();
    assert_error(&error, ErrorKind::TimedOut, Outcome::NotApplied);
    behind.gateway.redis().resume();
    assert_eq!(behind.driver.get("k").await.unwrap().unwrap(), "value");
}

#[test_support::test]
async fn the_outcome_is_unknown_if_the_gateway_loses_its_database() {
    let behind = Behind::start(|options| options.retry = RetryPolicy::never()).await;
    behind
        .driver
        .put("a-session-id", "the-value")
        .await
        .unwrap();
    behind.gateway.redis().kill();
    let driver = &behind.driver;
    let unknown = |error: &Error| assert_error(error, ErrorKind::Unavailable, Outcome::Unknown);
    let error = driver.get("a-session-id").await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, Outcome::NotApplied);
    unknown(&driver.put("a-session-id", "another").await.unwrap_err());
    let (new, if_absent) = (key("b"), WriteOptions::if_absent());
    let write = driver.write(&new, "the-value".into(), if_absent).await;
    unknown(&write.unwrap_err());
    let removal = driver.remove(&new, RemoveOptions::default()).await;
    unknown(&removal.unwrap_err());
}
