//! What the driver stores, reads, lists and refuses, checked through the binding of a Worker.

use std::time::Duration;

use driver_cloudflare_kv::CloudflareKvDriver;
use serde_json::{Value, json};
use session_core::{
    Bytes, Driver, DriverExt, ErrorKind, Expiry, ListOptions, Outcome, Prefix, Timestamp, Write,
    WriteOptions,
};

use crate::support::{Namespace, all_written, key, write};

fn never() -> WriteOptions {
    WriteOptions::default().with_expiry(Expiry::Never)
}

fn until(end: Timestamp) -> WriteOptions {
    WriteOptions::default().with_expiry(Expiry::At(end))
}

async fn names(driver: &CloudflareKvDriver, prefix: &str) -> Vec<String> {
    let options = ListOptions::below(Prefix::new(prefix).unwrap());
    let page = driver.list(options).await.unwrap();
    page.keys
        .iter()
        .map(|key| key.as_str().to_owned())
        .collect()
}

#[test_support::test]
async fn a_value_without_expiry_is_stored_as_unstorage_stores_it() {
    let namespace = Namespace::new();
    let options = namespace.options().with_prefix("app");
    let driver = CloudflareKvDriver::open(options).unwrap();
    for (value, stored) in [
        (&b"text"[..], "text"),
        (b"", ""),
        (b"{ \"a\" : 1 }\n", "{ \"a\" : 1 }\n"),
        ("köln 😎 \u{0}\u{fffd}".as_bytes(), "köln 😎 \u{0}\u{fffd}"),
        (b"\x00\xff", "base64:AP8="),
        (b"base64:AP8=", "base64:YmFzZTY0OkFQOD0="),
    ] {
        write(&driver, "a/b", value, never()).await;
        assert_eq!(
            namespace.stored("app:a:b").await,
            (stored.to_owned(), Value::Null)
        );
        assert_eq!(namespace.expiration("app:a:b").await, None);
        assert_eq!(driver.get("a:b").await.unwrap().unwrap(), value);
    }
}

#[test_support::test]
async fn an_expiry_is_exact_for_readers_and_at_least_sixty_seconds_for_cloudflare() {
    let namespace = Namespace::new();
    let driver = namespace.driver();
    let now = Timestamp::now();
    let end = now.saturating_add(Duration::from_millis(1_500));
    write(&driver, "k", "value", until(end)).await;
    let metadata = json!({ "expiresAtMs": end.as_millis() });
    assert_eq!(namespace.stored("k").await, ("value".to_owned(), metadata));
    let expiration = namespace.expiration("k").await.unwrap();
    assert!(
        expiration >= now.as_millis() / 1_000 + 60,
        "{expiration} for {now}"
    );

    let entry = driver.read(&key("k")).await.unwrap();
    assert!(entry.is_none_or(|entry| entry.expires_at == Some(end)));
    tokio::time::sleep(end.saturating_since(Timestamp::now())).await;
    assert_eq!(driver.read(&key("k")).await.unwrap(), None);
    assert!(!driver.exists(&key("k")).await.unwrap());
    assert!(names(&driver, "").await.is_empty());
    assert_eq!(namespace.names().await, ["k"]);
}

#[test_support::test]
async fn cloudflare_removes_expired_entries_soon_and_never_too_early() {
    let namespace = Namespace::new();
    let driver = namespace.driver();
    for millis in [60_000, 90_500, 3_600_001, 10 * 365 * 86_400_000] {
        let before = Timestamp::now();
        let end = before.saturating_add(Duration::from_millis(millis));
        write(&driver, "k", "value", until(end)).await;
        let expiration = namespace.expiration("k").await.unwrap() * 1_000;
        // The binding counts whole seconds of its own clock.
        assert!(
            expiration + 1_000 >= end.as_millis(),
            "{expiration} for {end}"
        );
        let took = Timestamp::now().saturating_since(before);
        let latest = end.saturating_add(took + Duration::from_secs(1));
        assert!(expiration <= latest.as_millis(), "{expiration} for {end}");
    }
    let forever = until(Timestamp::from_millis(u64::MAX));
    write(&driver, "k", "value", forever).await;
    assert!(driver.read(&key("k")).await.unwrap().is_some());
    // It could not count so far.
    assert_eq!(namespace.expiration("k").await, None);
}

#[test_support::test]
async fn the_shortest_ttl_for_cloudflare_can_be_raised() {
    let namespace = Namespace::new();
    let options = namespace.options().with_min_ttl(Duration::from_secs(300));
    let driver = CloudflareKvDriver::open(options).unwrap();
    let now = Timestamp::now();
    driver
        .put_with_ttl("k", "value", Duration::from_secs(100))
        .await
        .unwrap();
    let expiration = namespace.expiration("k").await.unwrap();
    assert!(expiration >= now.as_millis() / 1_000 + 300);
}

#[test_support::test]
async fn the_expiry_that_a_worker_sets_is_respected() {
    let namespace = Namespace::new();
    let driver = namespace.driver();
    let now = Timestamp::now().as_millis() / 1_000;
    namespace
        .witness("put", json!(["k", "theirs", { "expirationTtl": 90 }]))
        .await;
    let entry = driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(entry.value, "theirs");
    let end = entry.expires_at.unwrap().as_millis() / 1_000;
    assert!((now + 90..now + 120).contains(&end), "{end}");

    let metadata = json!({ "metadata": { "expiresAtMs": "soon", "by": "them" } });
    namespace
        .witness("put", json!(["k", "again", metadata]))
        .await;
    let entry = driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!((entry.value, entry.expires_at), ("again".into(), None));
    namespace.witness("delete", json!(["k"])).await;
    assert_eq!(driver.read(&key("k")).await.unwrap(), None);

    driver.put("ours", "value").await.unwrap();
    driver.delete("ours").await.unwrap();
    assert!(namespace.names().await.is_empty());
}

#[test_support::test]
async fn bytes_that_a_worker_wrote_are_read_unchanged() {
    let namespace = Namespace::new();
    for driver in [
        namespace.driver(),
        CloudflareKvDriver::open(namespace.explorer_options()).unwrap(),
    ] {
        let end = Timestamp::now()
            .saturating_add(Duration::from_secs(100))
            .as_millis();
        let metadata = json!({ "metadata": { "expiresAtMs": end } });
        namespace
            .witness("put", json!(["k", [0, 255, 128, 65], metadata]))
            .await;
        let entry = driver.read(&key("k")).await.unwrap().unwrap();
        assert_eq!(entry.value, &[0, 255, 128, 65][..]);
        assert_eq!(entry.expires_at, Some(Timestamp::from_millis(end)));

        let ended = json!({ "metadata": { "expiresAtMs": 1 } });
        namespace
            .witness("put", json!(["k", [0, 255], ended]))
            .await;
        assert_eq!(driver.read(&key("k")).await.unwrap(), None);
    }
}

#[test_support::test]
async fn values_that_exceed_one_response_together_are_read() {
    let namespace = Namespace::new();
    let driver = namespace.driver();
    let keys: Vec<_> = (0..5).map(|number| key(&format!("k{number}"))).collect();
    let end = Timestamp::now().saturating_add(Duration::from_secs(600));
    let writes = keys.iter().zip(b'a'..).map(|(key, letter)| {
        Write::new(key.clone(), vec![letter; 9 * 1024 * 1024]).with_options(until(end))
    });
    all_written(driver.write_many(writes.collect()).await);
    let read = driver.read_many(&keys).await.unwrap();
    assert_eq!(read.len(), 5);
    for (entry, letter) in read.into_iter().zip(b'a'..) {
        let entry = entry.unwrap();
        assert_eq!(entry.expires_at, Some(end));
        assert_eq!(entry.value.len(), 9 * 1024 * 1024);
        assert!(entry.value.iter().all(|byte| *byte == letter));
    }
}

#[test_support::test]
async fn limits_are_checked_before_sending_and_named() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    let too_long = "k".repeat(513);
    let refused =
        async |name: &str, value| driver.write(&key(name), value, never()).await.unwrap_err();
    let (short, long) = (
        Bytes::from("v"),
        Bytes::from(vec![b'v'; 25 * 1024 * 1024 + 1]),
    );
    let long_when_stored = Bytes::from(vec![255; 20 * 1024 * 1024]);
    for (error, limit) in [
        (refused(&too_long, short.clone()).await, "512 bytes"),
        (driver.get(&too_long).await.unwrap_err(), "512 bytes"),
        (driver.delete(&too_long).await.unwrap_err(), "512 bytes"),
        (refused("k", long).await, "25 MiB"),
        (refused("k", long_when_stored).await, "25 MiB"),
    ] {
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(error.outcome(), Outcome::NotApplied);
        assert!(error.to_string().contains(limit), "{error}");
    }
    for name in [".", "..", "a\nb", "a\u{0}b", "\u{85}"] {
        assert_eq!(
            refused(name, short.clone()).await.kind(),
            ErrorKind::InvalidKey
        );
    }
    let far = Prefix::new(&"p".repeat(512)).unwrap();
    assert!(
        driver
            .list(ListOptions::below(far.clone()))
            .await
            .unwrap()
            .keys
            .is_empty()
    );
    driver.clear(&far).await.unwrap();
    assert_eq!(proxy.count(), 0);
}

#[test_support::test]
async fn a_refused_write_of_a_batch_does_not_affect_the_others() {
    let namespace = Namespace::new();
    let driver = namespace.driver();
    let named =
        |name: &str, options: WriteOptions| Write::new(key(name), "value").with_options(options);
    let written = driver
        .write_many(vec![
            named("a", never()),
            named(&"k".repeat(513), never()),
            named("b", WriteOptions::if_absent()),
            named("c", never()),
        ])
        .await;
    let kinds: Vec<_> = written
        .iter()
        .map(|result| result.as_ref().err().map(|e| e.kind()))
        .collect();
    let refused = [
        None,
        Some(ErrorKind::TooLarge),
        Some(ErrorKind::Unsupported),
        None,
    ];
    assert_eq!(kinds, refused);
    assert_eq!(namespace.names().await, ["a", "c"]);
}

#[test_support::test]
async fn a_listing_pages_by_cursors() {
    let namespace = Namespace::new();
    let driver = namespace.driver();
    let writes = (0..35)
        .map(|number| Write::new(key(&format!("list:{number:02}")), "v").with_options(never()));
    all_written(driver.write_many(writes.collect()).await);
    driver.put("list2:beside", "v").await.unwrap();
    let mut options = ListOptions::below(Prefix::new("list").unwrap()).with_limit(10);
    let (mut sizes, mut listed) = (Vec::new(), Vec::new());
    loop {
        let page = driver.list(options.clone()).await.unwrap();
        sizes.push(page.keys.len());
        listed.extend(page.keys.iter().map(|key| key.as_str().to_owned()));
        match page.next {
            Some(cursor) => options = options.after(cursor),
            None => break,
        }
    }
    assert_eq!(sizes, [10, 10, 10, 5]);
    let all: Vec<String> = (0..35).map(|number| format!("list:{number:02}")).collect();
    assert_eq!(listed, all);
}

#[test_support::test]
async fn a_clear_removes_only_keys_below_its_prefix() {
    let namespace = Namespace::new();
    let options = namespace.options().with_prefix("app");
    let driver = CloudflareKvDriver::open(options).unwrap();
    let ended = json!({ "metadata": { "expiresAtMs": 1 } });
    for name in [
        "app:a",
        "app:b:c",
        "app::odd",
        "app2:a",
        "app",
        "a",
        "application",
    ] {
        namespace.witness("put", json!([name, "value"])).await;
    }
    namespace
        .witness("put", json!(["app:ended", "value", ended]))
        .await;
    assert_eq!(names(&driver, "").await, ["a", "b:c"]);
    driver.clear(&Prefix::new("b").unwrap()).await.unwrap();
    assert_eq!(names(&driver, "").await, ["a"]);
    driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(
        namespace.names().await,
        ["a", "app", "app2:a", "application"]
    );
}

#[test_support::test]
async fn each_kind_of_credentials_works_and_wrong_ones_fail() {
    let namespace = Namespace::new();
    let by_key = namespace
        .options()
        .with_api_key("tests@example.com", "key-for-tests");
    let by_service_key = namespace
        .options()
        .with_user_service_key("service-key-for-tests");
    for options in [namespace.options(), by_key, by_service_key] {
        let driver = CloudflareKvDriver::open(options).unwrap();
        assert_eq!(driver.get("missing").await.unwrap(), None);
    }
    let mut wrong = namespace.options();
    wrong.api_token = Some("another".into());
    let mut other_account = namespace.options();
    other_account.account_id = Some("f".repeat(32));
    for options in [wrong, other_account] {
        let driver = CloudflareKvDriver::open(options).unwrap();
        for error in [
            driver.get("k").await.unwrap_err(),
            driver.put("k", "value").await.unwrap_err(),
            driver.delete("k").await.unwrap_err(),
            driver.clear(&Prefix::root()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
            assert_eq!(error.outcome(), Outcome::NotApplied);
        }
    }
}

#[test_support::test]
async fn a_missing_namespace_is_a_configuration_error() {
    let namespace = Namespace::new();
    let mut options = namespace.options();
    options.namespace_id = "f".repeat(32);
    let driver = CloudflareKvDriver::open(options).unwrap();
    for error in [
        driver.get("k").await.unwrap_err(),
        driver.put("k", "value").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.to_string().contains("`namespace_id`"), "{error}");
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_waits_for_submitted_calls() {
    let namespace = Namespace::new();
    let driver = std::sync::Arc::new(namespace.driver());
    let start = |number: usize| {
        let driver = driver.clone();
        tokio::spawn(async move { driver.put(&format!("k{number:02}"), "value").await })
    };
    let writes: Vec<_> = (0..50).map(start).collect();
    driver.close().await.unwrap();
    let mut written = Vec::new();
    for (number, write) in writes.into_iter().enumerate() {
        match write.await.unwrap() {
            Ok(()) => written.push(format!("k{number:02}")),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                assert_eq!(error.outcome(), Outcome::NotApplied);
            }
        }
    }
    assert_eq!(namespace.names().await, written);
    assert_eq!(
        driver.get("k00").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}
