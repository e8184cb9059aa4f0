//! The real unstorage as a client of the service, in both versions, and on the SQLite file behind it.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use session_core::{Driver, Key, WriteOptions, WriteOutcome};
use session_server::{Authorization, StorageService};
use session_storage::Storage;
use test_support::{NodePackages, Script};

use crate::client::storage;
use crate::serving::Server;

const TOKEN: &str = "4f8a-token";

fn unstorage(kind: &str, place: &str) -> Script {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    let packages = PACKAGES.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js");
        let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join("session-server-js");
        NodePackages::install(sources, into)
    });
    let mut command = packages.script("unstorage.mjs");
    command.args([kind, place, TOKEN]);
    Script::start(command)
}

async fn serve(storage: &Storage) -> Server {
    let token = Authorization::token(TOKEN).unwrap();
    Server::start(StorageService::new(storage.clone(), token)).await
}

async fn sqlite(path: &Path) -> Storage {
    let mut options = SqliteOptions::new(path);
    options.busy_timeout = Duration::from_secs(30);
    Storage::new(Arc::new(SqliteDriver::open(options).await.unwrap()))
}

async fn keys(storage: &Storage) -> Vec<String> {
    let keys: Vec<Key> = storage.keys("").try_collect().await.unwrap();
    sorted(keys.iter().map(|key| key.as_str().to_owned()).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// Text, JSON, bytes, metadata, expiry and nested keys, in both directions.
async fn each_side_reads_the_other(kind: &str) {
    let storage = storage();
    let server = serve(&storage).await;
    let mut js = unstorage(kind, &server.url());

    let object = json!({ "name": "Köln 😎", "list": [1, null, { "deep": true }] });
    storage.set("rust:text", "plain ü").await.unwrap();
    storage.set("rust:deep:er:json", &object).await.unwrap();
    storage.set("rust:number", &42.5).await.unwrap();
    storage.set("rust:true", &true).await.unwrap();
    storage.set("rust:empty", "").await.unwrap();
    storage.set_raw("rust:raw", vec![0, 0xff, 1]).await.unwrap();
    storage
        .set_with_ttl("rust:ending", "x", Duration::from_secs(1_000))
        .await
        .unwrap();
    let read = async |js: &mut Script, key: &str| js.call("getItem", json!([key])).await;
    assert_eq!(read(&mut js, "rust:text").await, json!("plain ü"));
    assert_eq!(read(&mut js, "rust/deep/er/json").await, object);
    assert_eq!(read(&mut js, "rust:number").await, json!(42.5));
    assert_eq!(read(&mut js, "rust:true").await, json!(true));
    assert_eq!(read(&mut js, "rust:empty").await, json!(""));
    assert_eq!(read(&mut js, "rust:none").await, Value::Null);
    assert_eq!(
        js.call("getItemRaw", json!(["rust:raw"])).await,
        json!([0, 255, 1])
    );
    assert_eq!(js.call("hasItem", json!(["rust:text"])).await, json!(true));
    assert_eq!(js.call("hasItem", json!(["rust:none"])).await, json!(false));
    let meta = js.call("getMeta", json!(["rust:ending"])).await;
    let ttl = meta["ttl"].as_u64().unwrap();
    assert!((900..=1_000).contains(&ttl), "{ttl}");

    js.call("setItem", json!(["js:text", "from JavaScript ü"]))
        .await;
    js.call("setItem", json!(["js:deep:er:json", object])).await;
    js.call("setItem", json!(["js:number", 7])).await;
    js.call("setItem", json!(["js:number-like", "00123"])).await;
    js.call("setItem", json!(["js:empty", ""])).await;
    js.call("setItemRaw", json!(["js:raw", [254, 0, 255]]))
        .await;
    js.call("setItem", json!(["js:ending", "x", { "ttl": 1000 }]))
        .await;
    js.call("setItem", json!(["js:sp ace:ü#%", "odd"])).await;
    let text = async |key: &str| storage.get::<String>(key).await.unwrap();
    assert_eq!(text("js:text").await.unwrap(), "from JavaScript ü");
    assert_eq!(
        storage
            .get::<Value>("js:deep:er:json")
            .await
            .unwrap()
            .unwrap(),
        object
    );
    assert_eq!(storage.get::<u8>("js:number").await.unwrap(), Some(7));
    assert_eq!(text("js:number-like").await.unwrap(), "00123");
    assert_eq!(text("js:empty").await.unwrap(), "");
    let raw = storage.get_raw("js:raw").await.unwrap().unwrap();
    assert_eq!(raw, vec![254, 0, 255]);
    let native = storage
        .metadata("js:ending")
        .await
        .unwrap()
        .unwrap()
        .native
        .unwrap();
    assert!(native.expires_at.is_some());
    assert_eq!(text("js:sp ace:ü#%").await.unwrap(), "odd");

    let time = "2024-01-02T03:04:05.000Z";
    js.call("setMtime", json!(["js:text", time])).await;
    let metadata = storage.metadata("js:text").await.unwrap().unwrap();
    assert_eq!(metadata.custom["mtime"], json!(time));
    storage
        .set_metadata("rust:text", &json!({ "mtime": time, "by": "Ada" }))
        .await
        .unwrap();
    assert_eq!(js.call("getMtime", json!(["rust:text"])).await, json!(time));
    assert_eq!(
        js.call("getMeta", json!(["rust:text"])).await["by"],
        json!("Ada")
    );

    let theirs: Vec<String> = serde_json::from_value(js.call("getKeys", json!([])).await).unwrap();
    assert_eq!(sorted(theirs), keys(&storage).await);
    let below = js.call("getKeys", json!(["rust:deep"])).await;
    assert_eq!(below, json!(["rust:deep:er:json"]));

    js.call("removeItem", json!(["rust:text"])).await;
    assert_eq!(storage.metadata("rust:text").await.unwrap(), None);
    js.call("clearBelow", json!(["js"])).await;
    assert_eq!(
        keys(&storage)
            .await
            .iter()
            .filter(|key| key.starts_with("js:"))
            .count(),
        0
    );
    js.call("clear", json!([])).await;
    assert!(keys(&storage).await.is_empty());
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn unstorage_1_and_the_service_read_each_other() {
    each_side_reads_the_other("http-1").await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn unstorage_2_and_the_service_read_each_other() {
    each_side_reads_the_other("http-2").await;
}

/// The lines of `test/drivers/utils.ts` of unstorage.
const LINES: [u32; 27] = [
    35, 42, 43, 44, 51, 52, 53, 60, 63, 72, 73, 78, 87, 94, 105, 112, 118, 133, 134, 138, 149, 178,
    181, 190, 192, 196, 199,
];

pub(crate) async fn passes_unstorages_checklist(kind: &str, storage: Storage) {
    let server = serve(&storage).await;
    let outcome = unstorage(kind, &server.url())
        .call("checklist", json!([]))
        .await;
    assert_eq!(outcome["failed"], json!({}));
    assert_eq!(outcome["passed"], json!(LINES));
    assert!(keys(&storage).await.is_empty());
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn unstorage_1_finds_in_the_service_what_it_checks_of_drivers() {
    passes_unstorages_checklist("http-1", storage()).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn unstorage_2_finds_in_the_service_what_it_checks_of_drivers() {
    let folder = tempfile::tempdir().unwrap();
    let storage = sqlite(&folder.path().join("test.db")).await;
    passes_unstorages_checklist("http-2", storage.clone()).await;
    storage.close().await.unwrap();
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn unstorage_is_denied_without_the_token() {
    let storage = storage();
    storage.set("k", "v").await.unwrap();
    let other = Authorization::token("another").unwrap();
    let server = Server::start(StorageService::new(storage.clone(), other)).await;
    for kind in ["http-1", "http-2"] {
        let mut js = unstorage(kind, &server.url());
        for (call, arguments) in [
            ("getItem", json!(["k"])),
            ("setItem", json!(["k", "w"])),
            ("hasItem", json!(["k"])),
            ("removeItem", json!(["k"])),
            ("getKeys", json!([])),
            ("clear", json!([])),
        ] {
            let error = js.try_call(call, arguments).await.unwrap_err();
            assert!(error.contains("401"), "{kind} {call}: {error}");
        }
    }
    assert_eq!(storage.get::<String>("k").await.unwrap().unwrap(), "v");
}

/// Rust writes and serves one file, and unstorage uses it over HTTP and directly.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn unstorage_on_the_file_sees_what_unstorage_by_http_and_rust_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    let storage = sqlite(&path).await;
    let server = serve(&storage).await;
    let mut file = unstorage("db0", path.to_str().unwrap());
    for kind in ["http-1", "http-2"] {
        let mut http = unstorage(kind, &server.url());
        let object = json!({ "by": kind });
        http.call("setItem", json!(["http:json", object])).await;
        http.call("setItemRaw", json!(["http:raw", [0, 255]])).await;
        http.call("setMeta", json!(["http:json", { "type": "x" }]))
            .await;
        assert_eq!(file.call("getItem", json!(["http:json"])).await, object);
        assert_eq!(
            file.call("getItemRaw", json!(["http:raw"])).await,
            json!([0, 255])
        );
        let meta = file.call("getMeta", json!(["http:json"])).await;
        assert_eq!(meta["type"], json!("x"));

        file.call("setItem", json!(["file:text", "from the file"]))
            .await;
        file.call("setItemRaw", json!(["file:raw", [254, 1]])).await;
        assert_eq!(
            http.call("getItem", json!(["file:text"])).await,
            json!("from the file")
        );
        assert_eq!(
            http.call("getItemRaw", json!(["file:raw"])).await,
            json!([254, 1])
        );
        let text: Option<String> = storage.get("file:text").await.unwrap();
        assert_eq!(text.unwrap(), "from the file");

        storage.set("rust:text", "from Rust").await.unwrap();
        for js in [&mut file, &mut http] {
            assert_eq!(
                js.call("getItem", json!(["rust:text"])).await,
                json!("from Rust")
            );
        }
        let expected = [
            "file:raw",
            "file:text",
            "http:json",
            "http:raw",
            "rust:text",
        ];
        for js in [&mut file, &mut http] {
            let listed = js.call("getKeys", json!([])).await;
            assert_eq!(sorted(serde_json::from_value(listed).unwrap()), expected);
        }
        http.call("clear", json!([])).await;
        assert_eq!(file.call("getKeys", json!([])).await, json!([]));
    }
    storage.close().await.unwrap();
}

/// Increments a number if nobody else has changed it.
async fn increment(driver: &dyn Driver, key: &Key) {
    loop {
        let entry = driver.read(key).await.unwrap().unwrap();
        let number: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
        let options = WriteOptions::if_version(entry.version.unwrap());
        let value = (number + 1).to_string().into();
        if let WriteOutcome::Written { .. } = driver.write(key, value, options).await.unwrap() {
            return;
        }
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_among_concurrent_writers() {
    const WRITES: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    let storage = sqlite(&path).await;
    storage.set("rust:n", &0).await.unwrap();
    let server = serve(&storage).await;
    let mut hammering = Vec::new();
    for (kind, place) in [
        ("http-1", server.url()),
        ("http-2", server.url()),
        ("db0", path.to_str().unwrap().to_owned()),
    ] {
        let mut js = unstorage(kind, &place);
        hammering.push(tokio::spawn(async move {
            js.call("hammer", json!([kind, WRITES])).await;
        }));
    }
    let driver = storage.as_driver();
    let mut counting = Vec::new();
    for _ in 0..4 {
        let driver = driver.clone();
        counting.push(tokio::spawn(async move {
            for _ in 0..WRITES {
                increment(&*driver, &Key::new("rust:n").unwrap()).await;
            }
        }));
    }
    for task in counting.into_iter().chain(hammering) {
        task.await.unwrap();
    }
    assert_eq!(storage.get("rust:n").await.unwrap(), Some(4 * WRITES));
    for kind in ["http-1", "http-2", "db0"] {
        let listed: Vec<Key> = storage.keys(kind).try_collect().await.unwrap();
        assert_eq!(listed.len(), 50);
        let last = WRITES - 1;
        let value: Option<Value> = storage.get(&format!("{kind}:{}", last % 50)).await.unwrap();
        assert_eq!(value.unwrap()["index"], json!(last));
    }
    storage.close().await.unwrap();
}
