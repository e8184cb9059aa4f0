//! unstorage's own HTTP driver beside this one, on the same server at the same time.

use driver_http::Dialect;
use serde_json::json;
use session_core::{Driver, DriverExt, ListOptions, Prefix};

use crate::support::{Unstorage, key, sorted};

const DIALECTS: [Dialect; 2] = [Dialect::V1, Dialect::V2];

#[test_support::test]
async fn each_side_reads_the_writes_of_the_other() {
    for dialect in DIALECTS {
        let server = Unstorage::start(dialect, &["memory"]);
        let driver = server.driver();
        let mut unstorage = server.javascript();

        let text = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"köln 😎"]"#;
        driver.put("a:text", text).await.unwrap();
        driver.put("a:bytes", vec![0, 0xff, 1]).await.unwrap();
        let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(unstorage.call("getItem", json!(["a:text"])).await, parsed);
        let bytes = unstorage.call("getItemRaw", json!(["a:bytes"])).await;
        assert_eq!(bytes, json!([0, 255, 1]));
        assert_eq!(
            unstorage.call("hasItem", json!(["a/text"])).await,
            json!(true)
        );

        unstorage
            .call("setItem", json!(["b:new", { "n": 1 }]))
            .await;
        assert_eq!(driver.get("b:new").await.unwrap().unwrap(), r#"{"n":1}"#);
        unstorage.call("setItem", json!(["b:text", "1.0"])).await;
        assert_eq!(driver.get("b:text").await.unwrap().unwrap(), "1.0");
        unstorage
            .call("setItemRaw", json!(["b:raw", [254, 0, 255]]))
            .await;
        assert_eq!(
            driver.get("b:raw").await.unwrap().unwrap(),
            vec![254, 0, 255]
        );

        assert_eq!(
            sorted(unstorage.call("getKeys", json!([])).await),
            ["a:bytes", "a:text", "b:new", "b:raw", "b:text"]
        );
        let below = ListOptions::below(Prefix::new("b").unwrap());
        let mut ours = driver.list(below).await.unwrap().keys;
        ours.sort();
        assert_eq!(ours, ["b:new", "b:raw", "b:text"].map(key));

        unstorage.call("removeItem", json!(["a:bytes"])).await;
        assert_eq!(driver.get("a:bytes").await.unwrap(), None);
        driver.clear(&Prefix::new("b").unwrap()).await.unwrap();
        assert_eq!(
            sorted(unstorage.call("getKeys", json!([])).await),
            ["a:text"]
        );
    }
}

#[test_support::test]
async fn metadata_of_unstorage_is_kept() {
    let server = Unstorage::start(Dialect::V1, &["memory"]);
    let driver = server.driver();
    let mut unstorage = server.javascript();
    unstorage.call("setItem", json!(["k", "value"])).await;
    unstorage
        .call("setMeta", json!(["k", { "owner": "js" }]))
        .await;
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "value");
    driver.put("k", "ours").await.unwrap();
    let meta = unstorage.call("getMeta", json!(["k"])).await;
    assert_eq!(meta.get("owner"), Some(&json!("js")));
    assert_eq!(
        driver.get("k$").await.unwrap().unwrap(),
        r#"{"owner":"js"}"#
    );
    driver.put("k$", r#"{"owner":"rust"}"#).await.unwrap();
    let meta = unstorage.call("getMeta", json!(["k"])).await;
    assert_eq!(meta.get("owner"), Some(&json!("rust")));
    let keys = driver.list(ListOptions::default()).await.unwrap().keys;
    assert_eq!(keys, [key("k")]);
    driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(driver.get("k$").await.unwrap(), None);
}

/// The protocol's own clear acknowledges what it does not do.
#[test_support::test]
async fn a_prefix_that_is_not_a_mount_can_be_cleared() {
    for dialect in DIALECTS {
        let server = Unstorage::start(dialect, &["memory"]);
        let driver = server.driver();
        for name in ["app:a", "app:b:c", "app2:a", "app"] {
            driver.put(name, "value").await.unwrap();
        }
        driver.clear(&Prefix::new("app").unwrap()).await.unwrap();
        let mut left = driver.list(ListOptions::default()).await.unwrap().keys;
        left.sort();
        assert_eq!(left, ["app", "app2:a"].map(key));
    }
}

/// unstorage's `db0` keeps raw bytes in a column of their own and finds no text there.
#[test_support::test]
async fn text_is_found_in_backends_that_store_raw_bytes_separately() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let server = Unstorage::start(Dialect::V1, &["db0", file.to_str().unwrap()]);
    let driver = server.driver();
    driver.put("text", "[1,2]").await.unwrap();
    driver.put("bytes", vec![0xff]).await.unwrap();
    assert_eq!(driver.get("text").await.unwrap().unwrap(), "[1,2]");
    assert_eq!(driver.get("bytes").await.unwrap().unwrap(), vec![0xff]);
    assert_eq!(driver.get("missing").await.unwrap(), None);
    assert!(driver.exists(&key("text")).await.unwrap());
}

/// Keys as the two versions have them in their backends, which is where others meet them.
#[test_support::test]
async fn a_key_has_the_name_that_unstorages_driver_gives_it() {
    for dialect in DIALECTS {
        let server = Unstorage::start(dialect, &["memory"]);
        let driver = server.driver();
        let mut unstorage = server.javascript();
        let names = ["sp ace:ü", "a@b+c&d=e;f,g!h'i(j)", "[a]|{b}~^c`", "日本"];
        for name in names {
            driver.put(name, "ours").await.unwrap();
            assert_eq!(
                unstorage.call("getItem", json!([name])).await,
                json!("ours"),
                "{name}"
            );
            unstorage.call("setItem", json!([name, "theirs"])).await;
            assert_eq!(driver.get(name).await.unwrap().unwrap(), "theirs", "{name}");
        }
        let keys = driver.list(ListOptions::default()).await.unwrap().keys;
        assert_eq!(keys.len(), names.len());
        for name in names {
            assert!(keys.contains(&key(name)), "{name}");
        }
    }
}

/// A name that is decoded once too often or too seldom is another key, which a clear would then leave.
#[test_support::test]
async fn keys_with_percent_signs_are_listed_and_cleared_as_they_were_written() {
    for dialect in DIALECTS {
        let server = Unstorage::start(dialect, &["memory"]);
        let driver = server.driver();
        let mut unstorage = server.javascript();
        let names = [
            "x:%",
            "x:%2525",
            "x:%2e%2e",
            "x:a b",
            "x:a%",
            "x:a%20b",
            "x:a%25b",
            "x:a%2Fb",
            "x:a%3Fb",
            "x:a%5Cb",
            "x:a%b",
            "x:a%zz",
            "x:ü%C3%BC",
        ];
        for name in names {
            driver.put(name, name).await.unwrap();
        }
        let below = ListOptions::below(Prefix::new("x").unwrap());
        let mut listed = driver.list(below).await.unwrap().keys;
        listed.sort();
        assert_eq!(listed, names.map(key));
        for name in names {
            let theirs = unstorage.call("getItem", json!([name])).await;
            assert_eq!(theirs, json!(name), "{dialect:?}");
            assert_eq!(driver.get(name).await.unwrap().unwrap(), name);
        }
        assert_eq!(sorted(unstorage.call("getKeys", json!([])).await), names);
        driver.clear(&Prefix::new("x").unwrap()).await.unwrap();
        assert_eq!(unstorage.call("getKeys", json!([])).await, json!([]));
        for refused in ["x:..", ".:x", "a:.:b"] {
            let error = driver.put(refused, "value").await.unwrap_err();
            assert_eq!(error.kind(), session_core::ErrorKind::InvalidKey);
        }
    }
}
