//! The real unstorage on Node.js, on the same server at the same time; and what Astro stored.

use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;
use driver_redis::{RawFormat, RedisDriver, RedisOptions};
use serde_json::{Value, json};
use session_core::{Driver, DriverExt, Expiry, ListOptions, Timestamp, WriteOptions, WriteOutcome};
use test_support::{NodePackages, RedisServer, Script};

use crate::support::key;

/// A process that runs unstorage, `1` or `2`, on the server, with a base or without.
fn unstorage(version: &str, server: &RedisServer, base: Option<&str>) -> Script {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    let packages = PACKAGES.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
        let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-redis-js");
        NodePackages::install(sources, into)
    });
    let mut command = packages.script("unstorage.mjs");
    command.args([version, &server.url()]).args(base);
    Script::start(command)
}

async fn on(server: &RedisServer, base: Option<&str>, raw_format: RawFormat) -> RedisDriver {
    let mut options = RedisOptions::new(server.url()).with_raw_format(raw_format);
    options.prefix = base.map(str::to_owned);
    RedisDriver::open(options).await.unwrap()
}

#[test_support::test]
async fn each_side_reads_what_the_other_wrote_with_a_base_and_without() {
    let versions = [("1", RawFormat::Base64), ("2", RawFormat::Binary)];
    for (version, format) in versions {
        for base in [None, Some("app:"), Some("a:b")] {
            let server = RedisServer::start();
            let driver = on(&server, base, format).await;
            let mut theirs = unstorage(version, &server, base);

            let end = Timestamp::now().saturating_add(std::time::Duration::from_secs(60));
            let ending = WriteOptions::default().with_expiry(Expiry::At(end));
            let text = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"köln 😎"]"#;
            let _written = driver
                .write(&key("s:text"), text.into(), ending)
                .await
                .unwrap();
            driver.put("s:bytes", vec![0, 0xff, 1]).await.unwrap();
            let parsed: Value = serde_json::from_str(text).unwrap();
            assert_eq!(theirs.call("getItem", json!(["s:text"])).await, parsed);
            let raw = theirs.call("getItemRaw", json!(["s:bytes"])).await;
            assert_eq!(
                raw,
                json!([0, 255, 1]),
                "unstorage {version}, base {base:?}"
            );
            assert_eq!(theirs.call("hasItem", json!(["s/text"])).await, json!(true));

            let before = driver.read(&key("s:text")).await.unwrap().unwrap();
            theirs.call("setItem", json!(["s:text", "theirs"])).await;
            let after = driver.read(&key("s:text")).await.unwrap().unwrap();
            assert_eq!((&after.value[..], after.expires_at), (&b"theirs"[..], None));
            let late = WriteOptions::if_version(before.version.unwrap());
            let refused = driver
                .write(&key("s:text"), "late".into(), late)
                .await
                .unwrap();
            assert!(matches!(refused, WriteOutcome::Conflict(_)));

            theirs
                .call("setItem", json!(["new", { "n": 1 }, { "ttl": 100 }]))
                .await;
            let entry = driver.read(&key("new")).await.unwrap().unwrap();
            assert_eq!(entry.value, r#"{"n":1}"#);
            let life = entry.expires_at.unwrap().saturating_since(Timestamp::now());
            assert!((90..=100).contains(&life.as_secs()), "{life:?}");
            theirs
                .call("setItemRaw", json!(["raw", [254, 0, 255]]))
                .await;
            assert_eq!(driver.get("raw").await.unwrap().unwrap(), vec![254, 0, 255]);
            theirs.call("removeItem", json!(["s:bytes"])).await;
            assert_eq!(driver.get("s:bytes").await.unwrap(), None);

            let listed = theirs.call("getKeys", json!([])).await;
            let mut listed: Vec<String> = serde_json::from_value(listed).unwrap();
            let page = driver.list(ListOptions::default()).await.unwrap();
            let mut ours: Vec<&str> = page.keys.iter().map(|key| key.as_str()).collect();
            listed.sort();
            ours.sort_unstable();
            assert_eq!(listed, ours);
        }
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_the_same_time_and_none_of_our_changes_is_lost() {
    let server = RedisServer::start();
    let driver = std::sync::Arc::new(on(&server, None, RawFormat::Binary).await);
    let mut theirs = unstorage("1", &server, None);
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let driver = driver.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    crate::support::increment(&*driver, &key("n")).await;
                }
            })
        })
        .collect();
    for n in 0..200 {
        theirs
            .call("setItem", json!([format!("js:{n}"), "x"]))
            .await;
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(theirs.call("getItem", json!(["n"])).await, json!(320));
    let page = driver.list(ListOptions::below(session_core::Prefix::new("js").unwrap()));
    assert_eq!(page.await.unwrap().keys.len(), 200);
}

/// The bytes that Astro left in Redis, each under its key.
fn astro() -> Vec<(String, Bytes, i64)> {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../astro-redis.json")).unwrap();
    let text = |vector: &Value, name: &str| vector[name].as_str().unwrap().to_owned();
    vectors
        .iter()
        .map(|vector| {
            (
                text(vector, "key"),
                text(vector, "value").into(),
                vector["ttl"].as_i64().unwrap(),
            )
        })
        .collect()
}

#[test_support::test]
async fn what_astro_stored_is_read_byte_for_byte_and_written_as_it_did() {
    let server = RedisServer::start();
    let plain = on(&server, None, RawFormat::Binary).await;
    let below_a_base = on(&server, Some("sess:ttl:"), RawFormat::Binary).await;
    let vectors = astro();
    assert!(vectors.len() > 10);
    for (stored_key, value, ttl) in vectors {
        server.set(&stored_key, &value);
        let (driver, name) = match stored_key.strip_prefix("sess:ttl:") {
            Some(name) => (&below_a_base, name),
            None => (&plain, stored_key.as_str()),
        };
        let theirs = driver.read(&key(name)).await.unwrap().unwrap();
        assert_eq!(theirs.value, value);

        let options = match u64::try_from(ttl) {
            Ok(ttl) => WriteOptions::default()
                .with_expiry(Expiry::after(std::time::Duration::from_secs(ttl))),
            Err(_) => WriteOptions::default(),
        };
        driver.delete(name).await.unwrap();
        let _written = driver
            .write(&key(name), value.clone(), options)
            .await
            .unwrap();
        let stored = server.cli(&["GET", &stored_key]);
        assert_eq!(stored.as_bytes(), value);
        assert_eq!(server.cli(&["TYPE", &stored_key]), "string");
        let left: i64 = server.cli(&["TTL", &stored_key]).parse().unwrap();
        assert!(left == ttl || left == ttl - 1, "{left}");
    }
}
