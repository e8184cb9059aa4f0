//! The real unstorage on Node.js, on the same folder at the same time, and files that Astro wrote.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use session_core::{Driver, DriverExt, Expiry, ListOptions, Timestamp, WriteOptions};
use test_support::{NodePackages, Script};

use crate::support::{Folder, increment, key, open};

/// The drivers of both versions that share this layout.
const DRIVERS: [(&str, &str); 4] = [("1", "fs"), ("1", "fs-lite"), ("2", "fs"), ("2", "fs-lite")];

/// A process that runs unstorage on the folder `base`.
fn unstorage(version: &str, driver: &str, options: Value) -> Script {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    let packages = PACKAGES.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
        let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-fs-js");
        NodePackages::install(sources, into)
    });
    let mut command = packages.script("unstorage.mjs");
    command.args([version, driver]).arg(options.to_string());
    Script::start(command)
}

#[test_support::test]
async fn each_side_reads_what_the_other_wrote() {
    for (version, name) in DRIVERS {
        let folder = Folder::new().await;
        let driver = &folder.driver;
        let mut theirs = unstorage(version, name, json!({ "base": folder.base }));

        let end = Timestamp::now().saturating_add(Duration::from_secs(60));
        let ending = WriteOptions::default().with_expiry(Expiry::At(end));
        let text = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"köln 😎"]"#;
        let _written = driver
            .write(&key("a:text"), text.into(), ending)
            .await
            .unwrap();
        driver.put("a:bytes", vec![0, 0xff, 1]).await.unwrap();
        let parsed: Value = serde_json::from_str(text).unwrap();
        assert_eq!(theirs.call("getItem", json!(["a:text"])).await, parsed);
        let bytes = theirs.call("getItemRaw", json!(["a:bytes"])).await;
        assert_eq!(bytes, json!([0, 255, 1]));
        assert_eq!(theirs.call("hasItem", json!(["a/text"])).await, json!(true));

        // A write of theirs has another version and no end, and a late one of ours is refused.
        let before = driver.read(&key("a:text")).await.unwrap().unwrap();
        theirs.call("setItem", json!(["a:text", "theirs"])).await;
        let after = driver.read(&key("a:text")).await.unwrap().unwrap();
        assert_eq!((&*after.value, after.expires_at), (&b"theirs"[..], None));
        let late = WriteOptions::if_version(before.version.unwrap());
        let refused = driver
            .write(&key("a:text"), "late".into(), late)
            .await
            .unwrap();
        assert!(matches!(refused, session_core::WriteOutcome::Conflict(_)));

        theirs.call("setItem", json!(["new:k", { "n": 1 }])).await;
        assert_eq!(driver.get("new:k").await.unwrap().unwrap(), r#"{"n":1}"#);
        theirs
            .call("setItemRaw", json!(["raw", [254, 0, 255]]))
            .await;
        assert_eq!(driver.get("raw").await.unwrap().unwrap(), vec![254, 0, 255]);
        theirs.call("setMeta", json!(["raw", { "m": 1 }])).await;
        assert_eq!(driver.get("raw$").await.unwrap().unwrap(), r#"{"m":1}"#);
        driver.delete("raw$").await.unwrap();
        theirs.call("removeItem", json!(["a:bytes"])).await;
        assert_eq!(driver.get("a:bytes").await.unwrap(), None);

        let listed = theirs.call("getKeys", json!([])).await;
        let mut listed: Vec<String> = serde_json::from_value(listed).unwrap();
        let page = driver.list(ListOptions::default()).await.unwrap();
        let mut ours: Vec<&str> = page.keys.iter().map(|key| key.as_str()).collect();
        listed.sort();
        ours.sort_unstable();
        assert_eq!(listed, ours, "{name} {version}");
    }
}

#[test_support::test]
async fn names_of_devices_on_windows_are_keys_as_they_are_for_unstorage() {
    let folder = Folder::new().await;
    let mut theirs = unstorage("1", "fs", json!({ "base": folder.base }));
    for name in ["nul", "a:con", "COM1.txt"] {
        theirs.call("setItem", json!([name, { "n": 1 }])).await;
        assert_eq!(
            folder.driver.get(name).await.unwrap().unwrap(),
            r#"{"n":1}"#
        );
        folder.driver.put(name, "ours").await.unwrap();
        assert_eq!(theirs.call("getItem", json!([name])).await, json!("ours"));
    }
    let page = folder.driver.list(ListOptions::default()).await.unwrap();
    assert_eq!(page.keys.len(), 3);
}

#[test_support::test]
async fn unstorage_lists_none_of_our_own_files() {
    let folder = Folder::new().await;
    folder.driver.put("k", "v").await.unwrap();
    fs::write(folder.base.join(".unstorage-tmp-1-0000abcd-1"), "half").unwrap();
    fs::write(folder.base.join(".k.expires$"), "an end").unwrap();
    for name in ["fs", "fs-lite"] {
        let mut theirs = unstorage("2", name, json!({ "base": folder.base }));
        assert_eq!(theirs.call("getKeys", json!([])).await, json!(["k"]));
    }
    // The stable version knows no temporary names, and shows a leftover until it is swept.
    fs::remove_file(folder.base.join(".unstorage-tmp-1-0000abcd-1")).unwrap();
    let mut theirs = unstorage("1", "fs", json!({ "base": folder.base }));
    assert_eq!(theirs.call("getKeys", json!([])).await, json!(["k"]));
}

/// A value of the script's `hammer`, or one of our numbers, whole.
fn is_whole(value: &[u8]) -> bool {
    match serde_json::from_slice(value) {
        Ok((index, rest)) => {
            let (index, rest): (usize, String) = (index, rest);
            rest.len() == index * 7919 % 5_000
        }
        Err(_) => serde_json::from_slice::<u64>(value).is_ok(),
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_the_same_time_and_nothing_is_lost_or_cut() {
    const CALLERS: usize = 8;
    const INCREMENTS: usize = 50;
    for (version, name, options) in [
        ("1", "fs-lite", json!({})),
        ("2", "fs", json!({ "atomic": true })),
    ] {
        let folder = Folder::new().await;
        let driver = &folder.driver;
        for name in ["n", "both"] {
            driver.put(name, "0").await.unwrap();
        }
        let mut options = options;
        options["base"] = json!(folder.base);
        let mut theirs = unstorage(version, name, options);
        theirs.call("getKeys", json!([])).await;
        let hammering = tokio::spawn(async move { theirs.call("hammer", json!([1_000])).await });

        let counting = (0..CALLERS).map(|_| {
            let driver = Arc::clone(driver);
            tokio::spawn(async move {
                for _ in 0..INCREMENTS {
                    increment(&*driver, &key("n")).await;
                }
            })
        });
        let counting: Vec<_> = counting.collect();
        let mut turn = 0_u64;
        while !hammering.is_finished() {
            let both = driver.get("both").await.unwrap().unwrap();
            assert!(is_whole(&both), "a value of {} bytes", both.len());
            driver.put("both", turn.to_string()).await.unwrap();
            if let Some(value) = driver.get(&format!("js:{}", turn % 20)).await.unwrap() {
                assert!(is_whole(&value), "a value of {} bytes", value.len());
            }
            turn += 1;
        }
        hammering.await.unwrap();
        for task in counting {
            task.await.unwrap();
        }
        let count = driver.get("n").await.unwrap().unwrap();
        assert_eq!(count, (CALLERS * INCREMENTS).to_string());
        let last = driver.get("js:19").await.unwrap().unwrap();
        assert!(last.starts_with(b"[999,"));
    }
}

#[test_support::test]
async fn what_astro_wrote_is_read_byte_for_byte() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../astro-fs.json")).unwrap();
    let project = tempfile::tempdir().unwrap();
    let mut read = 0;
    for case in &cases {
        if case["exists"] == json!(false) {
            continue;
        }
        let (file, value) = (
            case["file"].as_str().unwrap(),
            case["value"].as_str().unwrap(),
        );
        let path = project.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, value).unwrap();
        let driver = open(path.parent().unwrap(), |_| {}).await;
        let entry = driver.read(&key(case["cookie_id"].as_str().unwrap())).await;
        let entry = entry.unwrap().unwrap();
        assert_eq!(entry.value, value, "{}", case["name"]);
        assert_eq!(entry.expires_at, None);
        read += 1;
    }
    assert!(read > 20);
}
