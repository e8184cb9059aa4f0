//! The real unstorage on Node.js, on the same file at the same time.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::Path;
use std::sync::OnceLock;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use serde_json::{Value, json};
use session_core::{Driver, DriverExt, Expiry, ListOptions, Prefix, Timestamp, WriteOptions};
use test_support::{NodePackages, Script};

use crate::support::{Database, key};

/// A process that runs unstorage on the file at `path`.
fn unstorage_on(path: &Path) -> Script {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    let packages = PACKAGES.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
        NodePackages::install(
            sources,
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-sqlite-js"),
        )
    });
    let mut command = packages.script("unstorage.mjs");
    command.arg(path);
    Script::start(command)
}

#[test_support::test]
async fn each_side_reads_what_the_other_wrote() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut unstorage = unstorage_on(&database.path);

    let end = Timestamp::now().saturating_add(std::time::Duration::from_secs(60));
    let ending = WriteOptions::default().with_expiry(Expiry::At(end));
    let text = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"köln 😎"]"#;
    let _written = driver
        .write(&key("a:text"), text.into(), ending)
        .await
        .unwrap();
    driver.put("a:bytes", vec![0, 0xff, 1]).await.unwrap();
    let parsed: Value = serde_json::from_str(text).unwrap();
    assert_eq!(unstorage.call("getItem", json!(["a:text"])).await, parsed);
    assert_eq!(
        unstorage.call("getItemRaw", json!(["a:bytes"])).await,
        json!([0, 255, 1])
    );
    assert_eq!(
        unstorage.call("hasItem", json!(["a/text"])).await,
        json!(true)
    );

    let before = driver.read(&key("a:text")).await.unwrap().unwrap();
    unstorage.call("setItem", json!(["a:text", "theirs"])).await;
    let after = driver.read(&key("a:text")).await.unwrap().unwrap();
    assert_eq!(after.value, "theirs");
    assert_eq!(after.expires_at, None);
    assert_ne!(after.version, before.version);
    let late = WriteOptions::if_version(before.version.unwrap());
    let refused = driver
        .write(&key("a:text"), "late".into(), late)
        .await
        .unwrap();
    assert!(matches!(refused, session_core::WriteOutcome::Conflict(_)));

    unstorage.call("setItem", json!(["new", { "n": 1 }])).await;
    assert_eq!(driver.get("new").await.unwrap().unwrap(), r#"{"n":1}"#);
    unstorage
        .call("setItemRaw", json!(["raw", [254, 0, 255]]))
        .await;
    assert_eq!(driver.get("raw").await.unwrap().unwrap(), vec![254, 0, 255]);
    unstorage.call("removeItem", json!(["a:bytes"])).await;
    assert_eq!(driver.get("a:bytes").await.unwrap(), None);

    let mut theirs: Vec<String> =
        serde_json::from_value(unstorage.call("getKeys", json!([])).await).unwrap();
    theirs.sort();
    let page = driver.list(ListOptions::default()).await.unwrap();
    let ours: Vec<&str> = page.keys.iter().map(|key| key.as_str()).collect();
    assert_eq!(theirs, ours);
}

#[test_support::test]
async fn bytes_that_happen_to_be_text_are_raw_items_on_both_sides() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut unstorage = unstorage_on(&database.path);
    let raw = WriteOptions::default().with_raw(true);
    let _written = driver
        .write(&key("ours"), "text".into(), raw.clone())
        .await
        .unwrap();
    let theirs = unstorage.call("getItemRaw", json!(["ours"])).await;
    assert_eq!(theirs, json!(b"text".to_vec()));
    unstorage
        .call("setItemRaw", json!(["theirs", b"text".to_vec()]))
        .await;
    for name in ["ours", "theirs"] {
        // As unstorage has it: a raw item is no text, and the other way round.
        assert_eq!(unstorage.call("getItem", json!([name])).await, Value::Null);
        assert_eq!(driver.get(name).await.unwrap().unwrap(), "text");
    }
    // The last write counts, whichever of the two it was.
    driver.put("ours", "now text").await.unwrap();
    assert_eq!(
        unstorage.call("getItem", json!(["ours"])).await,
        json!("now text")
    );
    assert_eq!(
        unstorage.call("getItemRaw", json!(["ours"])).await,
        Value::Null
    );
    let _written = driver.write(&key("ours"), "raw".into(), raw).await.unwrap();
    assert_eq!(driver.get("ours").await.unwrap().unwrap(), "raw");
    assert_eq!(
        unstorage.call("getItem", json!(["ours"])).await,
        Value::Null
    );
}

#[test_support::test]
async fn a_file_that_unstorage_made_is_taken_over_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut unstorage = unstorage_on(&path);
    unstorage.call("setItem", json!(["k", "old"])).await;
    let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "old");
    let version = driver.read(&key("k")).await.unwrap().unwrap().version;
    unstorage.call("setItem", json!(["k", "new"])).await;
    let entry = driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(entry.value, "new");
    assert_ne!(entry.version, version);
    driver.put("k", "ours").await.unwrap();
    assert_eq!(unstorage.call("getItem", json!(["k"])).await, json!("ours"));
    driver.close().await.unwrap();
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_the_same_time_and_nothing_is_lost() {
    const CALLERS: usize = 16;
    const JS_WRITES: usize = 1_000;
    let database = Database::new().await;
    database.driver.put("n", "0").await.unwrap();
    let mut unstorage = unstorage_on(&database.path);
    unstorage.call("getKeys", json!([])).await;

    let hammering = tokio::spawn(async move {
        unstorage.call("hammer", json!([JS_WRITES])).await;
    });
    let mut tasks = Vec::new();
    for _ in 0..CALLERS {
        let driver = database.driver.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..50 {
                crate::support::increment(&*driver, &key("n")).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    hammering.await.unwrap();
    let count = database.driver.get("n").await.unwrap().unwrap();
    assert_eq!(count, (CALLERS * 50).to_string());
    let page = database
        .driver
        .list(ListOptions::below(Prefix::new("js").unwrap()))
        .await
        .unwrap();
    assert_eq!(page.keys.len(), 50);
    let last = database
        .driver
        .get(&format!("js:{}", (JS_WRITES - 1) % 50))
        .await
        .unwrap();
    assert_eq!(last.unwrap(), format!("value {}", JS_WRITES - 1));
}
