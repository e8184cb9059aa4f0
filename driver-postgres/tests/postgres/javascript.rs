//! The real unstorage on Node.js, on the same table at the same time.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use session_core::{Driver, DriverExt, Expiry, ListOptions, Timestamp, WriteOptions, WriteOutcome};
use test_support::{NodePackages, Script};

use crate::support::{Database, increment, key};

/// A process that runs unstorage on the table of `database`.
fn unstorage_on(database: &Database) -> Script {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    let packages = PACKAGES.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-postgres-js");
        NodePackages::install(sources, folder)
    });
    let mut command = packages.script("unstorage.mjs");
    command.arg(database.server.url(&database.name));
    Script::start(command)
}

#[test_support::test]
async fn each_side_reads_what_the_other_wrote() {
    let database = Database::new();
    let driver = database.open().await;
    let mut unstorage = unstorage_on(&database);

    let end = Timestamp::now().saturating_add(Duration::from_secs(60));
    let ending = WriteOptions::default().with_expiry(Expiry::At(end));
    let text = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"köln 😎"]"#;
    let name = key("a:text");
    let written = driver.write(&name, text.into(), ending).await;
    assert!(matches!(written.unwrap(), WriteOutcome::Written { .. }));
    driver.put("a:bytes", vec![0, 0xff, 1]).await.unwrap();
    let parsed: Value = serde_json::from_str(text).unwrap();
    assert_eq!(unstorage.call("getItem", json!(["a:text"])).await, parsed);
    let raw = unstorage.call("getItemRaw", json!(["a:bytes"])).await;
    assert_eq!(raw, json!([0, 255, 1]));
    let has = unstorage.call("hasItem", json!(["a/bytes"])).await;
    assert_eq!(has, json!(true));

    let before = driver.read(&name).await.unwrap().unwrap();
    unstorage.call("setItem", json!(["a:text", "theirs"])).await;
    let after = driver.read(&name).await.unwrap().unwrap();
    assert_eq!(after.value, "theirs");
    assert_eq!(after.expires_at, None);
    assert_ne!(after.version, before.version);
    let late = WriteOptions::if_version(before.version.unwrap());
    let refused = driver.write(&name, "late".into(), late).await;
    assert!(matches!(refused.unwrap(), WriteOutcome::Conflict(_)));

    unstorage.call("setItem", json!(["new", { "n": 1 }])).await;
    assert_eq!(driver.get("new").await.unwrap().unwrap(), r#"{"n":1}"#);
    let bytes = json!(["raw", [254, 0, 255]]);
    unstorage.call("setItemRaw", bytes).await;
    assert_eq!(driver.get("raw").await.unwrap().unwrap(), vec![254, 0, 255]);
    unstorage.call("removeItem", json!(["a:bytes"])).await;
    assert_eq!(driver.get("a:bytes").await.unwrap(), None);

    let theirs = unstorage.call("getKeys", json!([])).await;
    let mut theirs: Vec<String> = serde_json::from_value(theirs).unwrap();
    theirs.sort();
    let page = driver.list(ListOptions::default()).await.unwrap();
    let ours: Vec<&str> = page.keys.iter().map(|key| key.as_str()).collect();
    assert_eq!(theirs, ours);
}

#[test_support::test]
async fn a_table_that_unstorage_made_is_taken_over_while_it_runs() {
    let database = Database::new();
    let mut unstorage = unstorage_on(&database);
    unstorage.call("setItem", json!(["k", "old"])).await;
    let driver = database.open().await;
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "old");
    let version = driver.read(&key("k")).await.unwrap().unwrap().version;
    unstorage.call("setItem", json!(["k", "new"])).await;
    let entry = driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(entry.value, "new");
    assert_ne!(entry.version, version);
    driver.put("k", "ours").await.unwrap();
    assert_eq!(unstorage.call("getItem", json!(["k"])).await, json!("ours"));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_the_same_time_and_nothing_is_lost() {
    const CALLERS: usize = 8;
    const INCREMENTS: usize = 25;
    let database = Database::new();
    let driver = std::sync::Arc::new(database.open().await);
    driver.put("n", "0").await.unwrap();
    let mut unstorage = unstorage_on(&database);
    unstorage.call("getKeys", json!([])).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let driver = driver.clone();
        tasks.spawn(async move {
            for _ in 0..INCREMENTS {
                increment(&*driver, &key("n")).await;
            }
        });
    }
    for number in 0..200 {
        let item = format!("js:{}", number % 50);
        unstorage.call("setItem", json!([item, number])).await;
        let read = unstorage.call("getItem", json!([item])).await;
        assert_eq!(read, json!(number));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let count = driver.get("n").await.unwrap().unwrap();
    assert_eq!(count, (CALLERS * INCREMENTS).to_string());
    assert_eq!(driver.get("js:49").await.unwrap().unwrap(), "199");
}
