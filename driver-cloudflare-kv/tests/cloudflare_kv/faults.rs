//! Faults between the driver and Cloudflare: the kind and outcome of each error, what is retried, and that no secret is
//! shown.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driver_cloudflare_kv::CloudflareKvDriver;
use parking_lot::Mutex;
use session_core::{
    Driver, DriverExt, Error, ErrorKind, ListOptions, Outcome, Prefix, RemoveOptions, RetryPolicy,
    Write, WriteOptions,
};
use test_support::{CloudflareKv, HttpFault, HttpProxy};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Namespace, all_written, key};

const SECRET_KEY: &str = "dc7c2f5a-session-id";
const SECRET_VALUE: &str = "correct horse battery staple";

/// The policy of these tests, which does not make them wait.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 3,
    min_delay: Duration::from_millis(1),
    max_delay: Duration::from_secs(1),
};

/// A driver that does not wait long for what does not come.
fn quick(namespace: &Namespace, proxy: &HttpProxy, retry: RetryPolicy) -> CloudflareKvDriver {
    waiting(Duration::from_millis(500), namespace, proxy, retry)
}

/// One that waits for a machine that is busy.
fn patient(namespace: &Namespace, proxy: &HttpProxy, retry: RetryPolicy) -> CloudflareKvDriver {
    waiting(Duration::from_secs(60), namespace, proxy, retry)
}

fn waiting(
    timeout: Duration,
    namespace: &Namespace,
    proxy: &HttpProxy,
    retry: RetryPolicy,
) -> CloudflareKvDriver {
    let options = namespace
        .options()
        .with_api_url(proxy.url())
        .with_timeout(timeout)
        .with_retry(retry);
    CloudflareKvDriver::open(options).unwrap()
}

/// The error of each operation that reads.
async fn failed_reads(driver: &CloudflareKvDriver) -> Vec<Error> {
    let key = key(SECRET_KEY);
    vec![
        driver.read(&key).await.expect_err("no miss"),
        driver.exists(&key).await.expect_err("no miss"),
        driver.metadata(&key).await.expect_err("no miss"),
        driver
            .read_many(&[key.clone(), key])
            .await
            .expect_err("no miss"),
        driver
            .list(ListOptions::default())
            .await
            .expect_err("no empty listing"),
    ]
}

/// The error of each operation that changes something.
async fn failed_changes(driver: &CloudflareKvDriver) -> Vec<Error> {
    let key = key(SECRET_KEY);
    let options = WriteOptions::default;
    let write = Write::new(key.clone(), SECRET_VALUE).with_options(options());
    let mut errors = vec![
        driver
            .write(&key, SECRET_VALUE.into(), options())
            .await
            .expect_err("no success"),
        driver
            .remove(&key, RemoveOptions::default())
            .await
            .expect_err("no success"),
        driver
            .remove_many(std::slice::from_ref(&key))
            .await
            .expect_err("no success"),
    ];
    errors.extend(
        driver
            .write_many(vec![write])
            .await
            .into_iter()
            .map(|written| written.expect_err("no success")),
    );
    errors
}

fn assert_error(error: &Error, fault: &str, kind: ErrorKind, outcome: Option<Outcome>) {
    let shown = format!("{fault}: {error} {error:?}");
    assert_eq!(error.kind(), kind, "{shown}");
    if let Some(outcome) = outcome {
        assert_eq!(error.outcome(), outcome, "{shown}");
    }
    assert_eq!(error.driver(), Some("cloudflare-kv"), "{shown}");
    for secret in [SECRET_KEY, SECRET_VALUE, CloudflareKv::TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

fn json(body: &str) -> HttpFault {
    HttpFault::answer(200, &[], body)
}

#[test_support::test]
async fn each_fault_has_its_kind_and_outcome_and_is_never_a_miss() {
    use ErrorKind::*;
    use Outcome::{NotApplied, Unknown};
    let namespace = Namespace::new();
    namespace
        .driver()
        .put(SECRET_KEY, SECRET_VALUE)
        .await
        .unwrap();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let quick = quick(&namespace, &proxy, RetryPolicy::never());
    let patient = patient(&namespace, &proxy, RetryPolicy::never());
    let elsewhere = HttpProxy::start("http://127.0.0.1:1");
    for (fault, kind, outcome) in [
        (HttpFault::Delay(Duration::from_secs(60)), TimedOut, Unknown),
        (HttpFault::Hang, TimedOut, Unknown),
        (HttpFault::HungAnswer, TimedOut, Unknown),
        (HttpFault::Cut, Unavailable, Unknown),
        (HttpFault::LostAnswer, Unavailable, Unknown),
        (HttpFault::Truncated, Unavailable, Unknown),
        (HttpFault::garbage_json(), Backend, Unknown),
        (HttpFault::html(), Backend, Unknown),
        (json(""), Backend, Unknown),
        (json("{}"), Backend, Unknown),
        (json("[]"), Backend, Unknown),
        (
            json(r#"{"success":false,"errors":[],"result":null}"#),
            Backend,
            Unknown,
        ),
        (HttpFault::rate_limited(7), RateLimited, NotApplied),
        (HttpFault::status(401), Unauthorized, NotApplied),
        (HttpFault::status(403), Unauthorized, NotApplied),
        (HttpFault::status(404), Backend, NotApplied),
        (HttpFault::status(500), Unavailable, Unknown),
        (HttpFault::status(503), Unavailable, Unknown),
        (HttpFault::redirect(elsewhere.url()), Backend, Unknown),
        (HttpFault::gzip_bomb(), Backend, Unknown),
        (HttpFault::huge(1 << 30), TooLarge, Unknown),
    ] {
        let driver = if kind == TimedOut { &quick } else { &patient };
        let name = format!("{fault:?}");
        let name: String = name.chars().take(200).collect();
        proxy.always(fault);
        for error in failed_reads(driver).await {
            assert_error(&error, &name, kind, Some(NotApplied));
            if kind == RateLimited {
                assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            }
        }
        for error in failed_changes(driver).await {
            assert_error(&error, &name, kind, Some(outcome));
        }
        let error = driver.clear(&Prefix::root()).await.unwrap_err();
        assert_error(&error, &name, kind, None);
    }
    assert_eq!(elsewhere.count(), 0, "a token went elsewhere");
    // It works again as soon as the network does.
    proxy.clear();
    patient.put(SECRET_KEY, SECRET_VALUE).await.unwrap();
    assert_eq!(
        patient.get(SECRET_KEY).await.unwrap().unwrap(),
        SECRET_VALUE
    );
}

#[test_support::test]
async fn responses_that_do_not_match_the_request_are_errors() {
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let driver = patient(&namespace, &proxy, RetryPolicy::never());
    for body in [
        r#"{"success":true,"result":null}"#,
        r#"{"success":true,"result":{}}"#,
        r#"{"success":true,"result":{"values":{}}}"#,
        r#"{"success":true,"result":{"values":{"another":null}}}"#,
        r#"{"success":true,"result":{"values":{"k":7}}}"#,
        r#"{"success":true,"result":{"values":{"k":{"metadata":null}}}}"#,
    ] {
        proxy.next(json(body));
        let error = driver.get("k").await.expect_err(body);
        assert_eq!(error.kind(), ErrorKind::Backend, "{body}: {error}");
        proxy.clear();
    }
    assert_eq!(driver.get("k").await.unwrap(), None);
}

#[test_support::test]
async fn an_endless_response_is_refused_and_not_buffered() {
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let options = namespace
        .options()
        .with_api_url(proxy.url())
        .with_retry(RetryPolicy::never());
    let driver = CloudflareKvDriver::open(options).unwrap();
    proxy.always(HttpFault::endless());
    let error = driver.get(SECRET_KEY).await.unwrap_err();
    assert_error(&error, "endless", ErrorKind::TooLarge, None);
}

#[test_support::test]
async fn transient_errors_are_retried() {
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let patient = patient(&namespace, &proxy, RETRY);
    let quick = waiting(Duration::from_secs(3), &namespace, &proxy, RETRY);
    for fault in [
        HttpFault::Cut,
        HttpFault::Hang,
        HttpFault::LostAnswer,
        HttpFault::Truncated,
        HttpFault::status(500),
        HttpFault::status(503),
        HttpFault::rate_limited(0),
    ] {
        let driver = match fault {
            HttpFault::Hang => &quick,
            _ => &patient,
        };
        proxy.clear();
        proxy.next(fault.clone());
        driver.put("k", "value").await.unwrap();
        assert_eq!(proxy.count(), 2, "{fault:?}");
        proxy.next(fault.clone());
        assert_eq!(driver.get("k").await.unwrap().unwrap(), "value");
        proxy.next(fault.clone());
        assert_eq!(
            driver
                .list(ListOptions::default())
                .await
                .unwrap()
                .keys
                .len(),
            1
        );
        proxy.next(fault.clone());
        driver.delete("k").await.unwrap();
        assert_eq!(proxy.count(), 8, "{fault:?}");
        assert_eq!(driver.get("k").await.unwrap(), None);
    }
}

#[test_support::test]
async fn permanent_errors_are_not_retried() {
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let driver = patient(&namespace, &proxy, RETRY);
    for fault in [
        HttpFault::status(400),
        HttpFault::status(401),
        HttpFault::status(403),
        HttpFault::garbage_json(),
    ] {
        proxy.clear();
        proxy.always(fault.clone());
        driver.put("k", "value").await.unwrap_err();
        driver.get("k").await.unwrap_err();
        assert_eq!(proxy.count(), 2, "{fault:?}");
    }
}

#[test_support::test]
async fn the_wait_that_cloudflare_asks_for_is_respected_up_to_a_limit() {
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let driver = patient(&namespace, &proxy, RETRY);
    proxy.next(HttpFault::rate_limited(1));
    let started = Instant::now();
    driver.put("k", "value").await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    proxy.next(HttpFault::rate_limited(300));
    let error = driver.put("k", "again").await.unwrap_err();
    assert_error(
        &error,
        "429",
        ErrorKind::RateLimited,
        Some(Outcome::NotApplied),
    );
    assert_eq!(error.retry_after(), Some(Duration::from_secs(300)));
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "value");
}

#[test_support::test]
async fn unprocessed_keys_are_retried_and_reported_separately() {
    const LEFT_OUT: &str =
        r#"{"success":true,"result":{"successful_key_count":2,"unsuccessful_keys":["b"]}}"#;
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let driver = patient(&namespace, &proxy, RETRY);
    let writes = || ["a", "b", "c"].map(|name| Write::new(key(name), "value"));
    proxy.next(json(LEFT_OUT).after_the_server());
    all_written(driver.write_many(writes().into()).await);
    let again = proxy.seen().pop().unwrap().body;
    assert_eq!(again, r#"[{"key":"b","value":"value"}]"#);

    proxy.always(json(LEFT_OUT).after_the_server());
    let written = driver.write_many(writes().into()).await;
    let kinds: Vec<_> = written
        .iter()
        .map(|result| result.as_ref().err().map(Error::kind))
        .collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Unavailable), None]);
    assert_eq!(written[1].as_ref().unwrap_err().outcome(), Outcome::Unknown);
    let error = driver.remove_many(&["a", "b"].map(key)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    proxy.clear();
    driver.remove_many(&["a", "b", "c"].map(key)).await.unwrap();
    assert!(namespace.names().await.is_empty());
}

#[test_support::test]
async fn the_remaining_time_to_live_is_computed_for_each_attempt() {
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let driver = patient(&namespace, &proxy, RETRY);
    proxy.next(HttpFault::rate_limited(1));
    proxy.next(HttpFault::rate_limited(1));
    driver
        .put_with_ttl("k", "value", Duration::from_millis(100_500))
        .await
        .unwrap();
    let told = proxy.seen().into_iter().map(|seen| {
        let pairs: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
        (
            pairs[0]["expiration_ttl"].as_u64().unwrap(),
            pairs[0]["metadata"].clone(),
        )
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 3);
    assert_eq!(told[0].0, 101);
    assert!(told[2].0 < told[0].0, "{told:?}");
    assert_eq!(told[0].1, told[2].1);
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test_support::test]
async fn no_log_line_and_no_debug_shows_a_token_a_key_or_a_value() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(captured.clone())
        .finish();
    // Everything but the proxy runs on this thread.
    let namespace = Namespace::new();
    let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
    let driver = patient(&namespace, &proxy, RETRY);
    let logging = tracing::subscriber::set_default(subscriber);
    driver.put(SECRET_KEY, SECRET_VALUE).await.unwrap();
    driver.get(SECRET_KEY).await.unwrap().unwrap();
    proxy.next(HttpFault::status(503));
    driver.get(SECRET_KEY).await.unwrap().unwrap();
    proxy.always(HttpFault::status(500));
    for error in failed_reads(&driver).await {
        tracing::error!(?error, %error, ?driver, "the caller logs what it has");
    }
    drop(logging);
    let text = String::from_utf8_lossy(&captured.0.lock()).into_owned();
    assert!(text.contains("the caller logs what it has"), "{text}");
    for secret in [SECRET_KEY, SECRET_VALUE, CloudflareKv::TOKEN] {
        assert!(!text.contains(secret), "{text}");
        assert!(!format!("{driver:?} {:?}", namespace.options()).contains(secret));
    }
}
