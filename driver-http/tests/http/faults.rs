//! Faults between the driver and its server.

use std::time::Duration;

use driver_http::{Dialect, HttpDriver};
use session_core::{Driver, DriverExt, Error, ErrorKind, ListOptions, Outcome, RetryPolicy};
use test_support::{HttpFault, HttpProxy};

use crate::support::{TOKEN, Unstorage, key};

struct Broken {
    proxy: HttpProxy,
    driver: HttpDriver,
    _server: Unstorage,
}

fn broken(retry: RetryPolicy) -> Broken {
    broken_with(Duration::from_millis(800), retry)
}

fn broken_with(timeout: Duration, retry: RetryPolicy) -> Broken {
    let server = Unstorage::start(Dialect::V2, &["memory"]);
    let proxy = HttpProxy::start(&server.url);
    let options = server
        .options()
        .with_url(proxy.url())
        .with_timeout(timeout)
        .with_retry(retry);
    Broken {
        driver: HttpDriver::open(options).unwrap(),
        proxy,
        _server: server,
    }
}

fn assert_error(error: &Error, kind: ErrorKind, outcome: Outcome) {
    assert_eq!(
        (error.kind(), error.outcome()),
        (kind, outcome),
        "{error:?}"
    );
    assert_eq!(error.driver(), Some("http"));
    let shown = format!("{error} {error:?}");
    for secret in [TOKEN, "a-session-id", "the-value"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test_support::test]
async fn a_fault_is_neither_a_miss_nor_a_success() {
    use ErrorKind::*;
    use Outcome::*;
    let broken = broken(RetryPolicy::never());
    let (driver, proxy) = (&broken.driver, &broken.proxy);
    driver.put("a-session-id", "the-value").await.unwrap();
    let elsewhere = HttpProxy::start("http://127.0.0.1:1");
    let redirect = HttpFault::redirect(elsewhere.url());
    for (fault, kind, outcome) in [
        (HttpFault::Cut, Unavailable, Unknown),
        (HttpFault::LostAnswer, Unavailable, Unknown),
        (HttpFault::Truncated, Unavailable, Unknown),
        (HttpFault::Hang, TimedOut, Unknown),
        (HttpFault::HungAnswer, TimedOut, Unknown),
        (HttpFault::rate_limited(7), RateLimited, NotApplied),
        (HttpFault::status(500), Unavailable, Unknown),
        (HttpFault::status(503), Unavailable, Unknown),
        (HttpFault::status(404), Backend, NotApplied),
        (HttpFault::status(413), TooLarge, NotApplied),
        (HttpFault::gzip_bomb(), Backend, Unknown),
        (HttpFault::huge(1 << 30), TooLarge, Unknown),
        (redirect, Backend, Unknown),
    ] {
        proxy.always(fault.clone());
        let key = key("a-session-id");
        assert_error(&driver.read(&key).await.unwrap_err(), kind, NotApplied);
        let write = driver.put("a-session-id", "the-value").await;
        assert_error(&write.unwrap_err(), kind, outcome);
        let removal = driver.delete("a-session-id").await;
        assert_error(&removal.unwrap_err(), kind, outcome);
        let listing = driver.list(ListOptions::default()).await;
        assert_error(&listing.unwrap_err(), kind, NotApplied);
        proxy.clear();
        driver.put("a-session-id", "the-value").await.unwrap();
    }
    for fault in [HttpFault::garbage_json(), HttpFault::html()] {
        proxy.next(fault);
        let listing = driver.list(ListOptions::default()).await;
        assert_error(&listing.unwrap_err(), Backend, NotApplied);
    }
    assert_eq!(elsewhere.count(), 0);
}

#[test_support::test]
async fn transient_errors_are_retried() {
    // Long enough for a second attempt after one that is never answered.
    let broken = broken_with(Duration::from_secs(4), RetryPolicy::default());
    let (driver, proxy) = (&broken.driver, &broken.proxy);
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

#[test_support::test]
async fn a_killed_server_is_an_outage_and_not_a_miss() {
    let server = Unstorage::start(Dialect::V1, &["memory"]);
    let driver = server.driver();
    driver.put("k", "value").await.unwrap();
    server.server.peer().kill();
    let error = driver.get("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
