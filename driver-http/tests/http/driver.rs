//! The driver's own behaviour.

use std::time::Duration;

use driver_http::{Dialect, HttpDriver, SecretString};
use session_core::{Driver, DriverExt, ErrorKind, Expiry, Timestamp, Write, WriteOptions};
use test_support::{HttpFault, HttpProxy, RedisServer};

use crate::support::{TOKEN, Unstorage, key};

#[test_support::test]
async fn the_remaining_time_is_sent_in_whole_seconds() {
    let redis = RedisServer::start();
    let server = Unstorage::start(Dialect::V1, &["redis", &redis.url()]);
    let proxy = HttpProxy::start(&server.url);
    let options = server
        .options()
        .with_url(proxy.url())
        .with_ttl(Duration::from_secs(100));
    let driver = HttpDriver::open(options).unwrap();
    driver.put("default", "v").await.unwrap();
    let short = Duration::from_millis(10_500);
    driver.put_with_ttl("short", "v", short).await.unwrap();
    let never = WriteOptions::default().with_expiry(Expiry::Never);
    let _written = driver
        .write(&key("never"), "v".into(), never)
        .await
        .unwrap();
    let sent: Vec<Option<String>> = proxy
        .seen()
        .iter()
        .map(|seen| Some(seen.headers.get("x-ttl")?.to_str().ok()?.to_owned()))
        .collect();
    assert_eq!(sent, [Some("100".to_owned()), Some("11".to_owned()), None]);
    assert_eq!(redis.cli(&["TTL", "v1:short"]), "11");
    assert_eq!(redis.cli(&["TTL", "v1:never"]), "-1");

    let past = Expiry::At(Timestamp::from_millis(1));
    let ended = WriteOptions::default().with_expiry(past);
    let _written = driver
        .write(&key("never"), "v".into(), ended)
        .await
        .unwrap();
    assert_eq!(redis.cli(&["EXISTS", "v1:never"]), "0");

    let far = Expiry::At(Timestamp::from_millis(u64::MAX));
    let far = WriteOptions::default().with_expiry(far);
    let _written = driver.write(&key("far"), "v".into(), far).await.unwrap();
    assert_eq!(driver.get("far").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn text_that_is_written_between_two_requests_of_a_read_is_not_parsed() {
    let server = Unstorage::start(Dialect::V2, &["memory"]);
    let proxy = HttpProxy::start(&server.url);
    let driver = HttpDriver::open(server.options().with_url(proxy.url())).unwrap();
    driver.put("k", "1.10").await.unwrap();
    // The request for raw bytes comes before the write, and the one for text after it.
    proxy.next(HttpFault::answer(404, &[], "KV value not found"));
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "1.10");
}

#[test_support::test]
async fn requests_of_a_batch_run_concurrently() {
    let server = Unstorage::start(Dialect::V2, &["memory"]);
    let proxy = HttpProxy::start(&server.url);
    let delay = Duration::from_millis(200);
    proxy.always(HttpFault::Delay(delay));
    let options = server.options().with_url(proxy.url());
    let driver = HttpDriver::open(options).unwrap();
    let keys: Vec<_> = (0..16).map(|number| key(&format!("k{number}"))).collect();
    let writes = keys.iter().map(|key| Write::new(key.clone(), "v"));
    let started = std::time::Instant::now();
    for outcome in driver.write_many(writes.collect()).await {
        let _written = outcome.unwrap();
    }
    assert_eq!(driver.read_many(&keys).await.unwrap().len(), 16);
    driver.remove_many(&keys).await.unwrap();
    assert_eq!(proxy.count(), 48);
    assert!(started.elapsed() < 16 * delay, "{:?}", started.elapsed());
}

#[test_support::test]
async fn a_missing_or_wrong_token_is_reported_and_not_shown() {
    let server = Unstorage::start(Dialect::V1, &["memory"]);
    for token in [None, Some(SecretString::from("s3cret"))] {
        let mut options = server.options();
        options.token = token;
        let driver = HttpDriver::open(options).unwrap();
        let error = driver.put("a-session-id", "value").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let shown = format!("{error} {error:?} {driver:?}");
        for secret in ["s3cret", "a-session-id", "value"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    let options = server.options();
    assert!(!format!("{options:?}").contains(TOKEN));
}

#[test_support::test]
async fn custom_headers_are_sent() {
    let server = Unstorage::start(Dialect::V1, &["memory"]);
    let authorization = SecretString::from(format!("Bearer {TOKEN}"));
    let mut options = server.options().with_header("Authorization", authorization);
    options.token = None;
    assert!(!format!("{options:?}").contains(TOKEN));
    let both = options.clone().with_token("x");
    let driver = HttpDriver::open(options).unwrap();
    driver.put("k", "v").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    let error = HttpDriver::open(both).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}

#[test_support::test]
async fn the_text_for_an_empty_value_is_refused_as_a_value() {
    let server = Unstorage::start(Dialect::V1, &["memory"]);
    let driver = server.driver();
    let error = driver.put("k", "base64:=").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    driver.put("k", "").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "");
    let server = Unstorage::start(Dialect::V2, &["memory"]);
    let driver = server.driver();
    driver.put("k", "base64:=").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "base64:=");
}

#[test_support::test]
async fn a_client_of_the_application_is_used() {
    let server = Unstorage::start(Dialect::V2, &["memory"]);
    let proxy = HttpProxy::start(&server.url);
    let client = driver_http::reqwest::Client::builder()
        .user_agent("the application")
        .build()
        .unwrap();
    let options = server.options().with_url(proxy.url()).with_client(client);
    assert!(format!("{options:?}").contains("ApplicationClient"));
    let driver = HttpDriver::open(options).unwrap();
    driver.put("k", "v").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    let seen = proxy.seen();
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert_eq!(request.headers["user-agent"], "the application");
        let token = format!("Bearer {TOKEN}");
        assert_eq!(request.headers["authorization"], token.as_str());
    }
}
