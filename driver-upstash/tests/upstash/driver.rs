//! The driver's own behaviour.

use std::time::Duration;

use driver_upstash::{UpstashDriver, UpstashOptions};
use session_core::{
    Driver, DriverExt, ErrorKind, Expiry, ListOptions, Prefix, Timestamp, TouchOptions,
    WriteCondition, WriteOptions, WriteOutcome,
};
use test_support::HttpFault;

use crate::support::{Behind, Gateway, TOKEN, key};

#[test_support::test]
async fn keys_and_values_are_those_of_unstorage() {
    let gateway = Gateway::start();
    let options = gateway.options().with_prefix("app:");
    let driver = UpstashDriver::open(options).await.unwrap();
    driver.put("a:b", r#"{"x":1}"#).await.unwrap();
    driver.put("bytes", vec![1, 2, 255]).await.unwrap();
    let life = Duration::from_millis(90_500);
    driver.put_with_ttl("life", "v", life).await.unwrap();
    let redis = gateway.redis();
    assert_eq!(redis.cli(&["GET", "app:a:b"]), r#"{"x":1}"#);
    assert_eq!(redis.cli(&["GET", "app:bytes"]), "base64:AQL/");
    let left: u64 = redis.cli(&["PTTL", "app:life"]).parse().unwrap();
    assert!((85_000..=90_500).contains(&left), "{left}");
    assert_eq!(redis.cli(&["PTTL", "app:a:b"]), "-1");
}

#[test_support::test]
async fn bytes_of_other_programs_can_be_read_and_replaced_on_condition() {
    let gateway = Gateway::start();
    let driver = gateway.driver().await;
    let script = "return redis.call('SET', 'k', string.char(255, 0, 97))";
    gateway.redis().cli(&["EVAL", script, "0"]);
    let entry = driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(entry.value, vec![255, 0, 97]);
    let version = entry.version.unwrap();
    let options = || WriteOptions::if_version(version.clone());
    let written = driver.write(&key("k"), "new".into(), options()).await;
    assert!(matches!(written.unwrap(), WriteOutcome::Written { .. }));
    let refused = driver.write(&key("k"), "late".into(), options()).await;
    assert!(matches!(refused.unwrap(), WriteOutcome::Conflict(_)));
}

#[test_support::test]
async fn the_remaining_time_is_computed_for_each_attempt() {
    let behind = Behind::start(|options| options.retry.attempts = 2).await;
    behind.proxy.next(HttpFault::rate_limited(1));
    let end = Timestamp::now().saturating_add(Duration::from_secs(20));
    let options = WriteOptions::default().with_expiry(Expiry::At(end));
    let _written = behind
        .driver
        .write(&key("k"), "v".into(), options)
        .await
        .unwrap();
    let left: u64 = behind.gateway.redis().cli(&["PTTL", "k"]).parse().unwrap();
    assert!(left <= 19_000, "{left}");
}

#[test_support::test]
async fn an_entry_that_is_written_expired_is_absent_and_conditions_hold() {
    let gateway = Gateway::start();
    let driver = gateway.driver().await;
    let ended = |condition| {
        WriteOptions::default()
            .with_expiry(Expiry::At(Timestamp::from_millis(1)))
            .with_condition(condition)
    };
    driver.put("k", "old").await.unwrap();
    let version = driver
        .read(&key("k"))
        .await
        .unwrap()
        .unwrap()
        .version
        .unwrap();
    let absent = ended(WriteCondition::IfAbsent);
    let outcome = driver.write(&key("k"), "v".into(), absent.clone()).await;
    assert!(matches!(outcome.unwrap(), WriteOutcome::Conflict(_)));
    let outcome = driver.write(&key("none"), "v".into(), absent).await;
    assert!(matches!(outcome.unwrap(), WriteOutcome::Written { .. }));
    assert_eq!(driver.get("none").await.unwrap(), None);
    let replaces = ended(WriteCondition::IfVersion(version.clone()));
    let outcome = driver.write(&key("k"), "v".into(), replaces).await;
    assert!(matches!(outcome.unwrap(), WriteOutcome::Written { .. }));
    assert_eq!(driver.get("k").await.unwrap(), None);
    driver.put("k", "old").await.unwrap();
    let touch = TouchOptions::to(Expiry::At(Timestamp::from_millis(1))).if_version(version);
    assert!(driver.touch(&key("k"), touch).await.unwrap());
    assert_eq!(gateway.redis().cli(&["EXISTS", "k"]), "0");
}

#[test_support::test]
async fn only_keys_below_the_prefix_are_listed_in_steps_and_cleared() {
    let gateway = Gateway::start();
    let driver = gateway.driver().await;
    let fill = "for n = 1, 2500 do redis.call('SET', 'app:' .. n, 'v') end";
    gateway.redis().cli(&["EVAL", fill, "0"]);
    for beside in ["app", "app2:a", "ap:b", "app*:c"] {
        driver.put(beside, "v").await.unwrap();
    }
    let mut keys = std::collections::HashSet::new();
    let mut options = ListOptions::below(Prefix::new("app").unwrap()).with_limit(300);
    let mut steps = 0;
    loop {
        let page = driver.list(options.clone()).await.unwrap();
        keys.extend(page.keys);
        steps += 1;
        match page.next {
            Some(cursor) => options = options.after(cursor),
            None => break,
        }
    }
    assert_eq!(keys.len(), 2_500);
    assert!(steps >= 5, "{steps}");
    driver.clear(&Prefix::new("app").unwrap()).await.unwrap();
    assert_eq!(gateway.redis().cli(&["DBSIZE"]), "4");
}

#[test_support::test]
async fn the_sync_token_of_each_response_is_sent_with_the_next_request() {
    for read_your_writes in [true, false] {
        let behind = Behind::start(|options| options.read_your_writes = read_your_writes).await;
        for _ in 0..3 {
            behind.driver.put("k", "v").await.unwrap();
        }
        let tokens: Vec<_> = behind
            .proxy
            .seen()
            .iter()
            .map(|seen| seen.headers.get("upstash-sync-token").cloned())
            .collect();
        assert_eq!(tokens[0], None);
        assert_eq!(tokens[1].is_some(), read_your_writes);
        assert_eq!(tokens[1] != tokens[2], read_your_writes);
    }
}

#[test_support::test]
async fn a_wrong_token_is_reported_and_not_shown() {
    let gateway = Gateway::start();
    let options = UpstashOptions::new(gateway.url(), "s3cret");
    let driver = UpstashDriver::open(options.clone()).await.unwrap();
    let error = driver.put("a-session-id", "the-value").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let shown = format!("{error} {error:?} {driver:?} {options:?}");
    for secret in ["s3cret", "a-session-id", "the-value", TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test_support::test]
async fn a_close_waits_for_running_calls() {
    let behind = Behind::start(|_| {}).await;
    behind.far_away(Duration::from_millis(300));
    let driver = behind.driver.clone();
    let writing = tokio::spawn(async move { driver.put("k", "v").await });
    while behind.proxy.count() == 0 {
        tokio::task::yield_now().await;
    }
    behind.driver.close().await.unwrap();
    assert!(writing.await.unwrap().is_ok());
    let error = behind.driver.get("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(behind.gateway.redis().cli(&["GET", "k"]), "v");
}

#[test]
fn the_error_of_a_driver_whose_runtime_has_ended_says_so() {
    let gateway = Gateway::start();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let driver = runtime().block_on(gateway.driver());
    let error = runtime().block_on(driver.get("k")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("runtime"), "{error}");
}
