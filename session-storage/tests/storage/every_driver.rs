//! The whole of `Storage` over every driver, each on its real backend.
//!
//! What `Storage` derives from a key, such as the key of its metadata, must be possible wherever the key is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use driver_dynamodb::{AwsCredentials, DynamoDbDriver, DynamoDbOptions};
use driver_fs::{FsDriver, FsOptions};
use driver_http::{Dialect, HttpDriver, HttpOptions};
use driver_postgres::{Layout, PostgresDriver, PostgresOptions};
use driver_redis::{RedisDriver, RedisOptions};
use driver_sqlite::{SqliteDriver, SqliteOptions};
use driver_upstash::{UpstashDriver, UpstashOptions};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use session_core::{Driver, ErrorKind, Expiry, WriteOptions};
use session_server::{Authorization, StorageService};
use session_storage::{Snapshot, Storage};
use test_support::{
    CloudflareKv, Dynalite, PostgresServer, RedisServer, UnstorageServer, UpstashGateway,
};

use crate::support::{keys, keys_to_depth, memory, storage};

/// Enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a key of the driver may be, if there is a limit: the whole key, or one segment.
#[derive(Clone, Copy)]
enum Longest {
    Unlimited,
    Key(usize),
    Segment(usize),
}

async fn check(driver: Arc<dyn Driver>, longest: Longest) {
    let root = Storage::new(driver);
    let capabilities = root.as_driver().capabilities();
    // The same through a prefix, and through a mount in another storage.
    let outer = storage();
    outer
        .mount("mounted", root.prefix("m").unwrap().as_driver())
        .unwrap();
    for storage in [
        root.prefix("p").unwrap(),
        outer.prefix("mounted:deep").unwrap(),
        root.clone(),
    ] {
        values(&storage).await;
        metadata(&storage).await;
        listings(&storage).await;
        copies(&storage).await;
        if capabilities.touch {
            storage.set("k", &1).await.unwrap();
            let hour = Expiry::after(Duration::from_secs(3_600));
            assert!(storage.touch("k", hour).await.unwrap());
        }
        storage.clear("").await.unwrap();
        assert_eq!(keys(&storage, "").await, [""; 0]);
    }
    longest_key(&root, longest).await;
    root.close().await.unwrap();
}

async fn values(storage: &Storage) {
    storage.set("a:text", "text").await.unwrap();
    assert_eq!(
        storage.get::<String>("a/text").await.unwrap().unwrap(),
        "text"
    );
    storage.set_raw("a:raw", vec![0xff, 0]).await.unwrap();
    assert_eq!(
        storage.get_raw("a:raw").await.unwrap().unwrap(),
        vec![0xff, 0]
    );
    let hour = Duration::from_secs(3_600);
    storage
        .set_with_ttl("a:hour", &json!({ "n": 1 }), hour)
        .await
        .unwrap();
    let never = WriteOptions::default().with_expiry(Expiry::Never);
    for outcome in storage
        .set_many_with([("a:x", 1, never.clone()), ("a:y", 2, never)])
        .await
    {
        let _written = outcome.unwrap();
    }
    let read = storage
        .get_many::<Value>(&["a:hour", "a:none", "a:x", "a:y"])
        .await
        .unwrap();
    assert_eq!(
        read,
        [
            Some(json!({ "n": 1 })),
            None,
            Some(json!(1)),
            Some(json!(2))
        ]
    );
    assert!(storage.has("a:x").await.unwrap());
    storage.remove("a:x").await.unwrap();
    storage.remove("a:x").await.unwrap();
    assert!(!storage.has("a:x").await.unwrap());
    storage
        .remove_many(&["a:y", "a:raw", "a:none"])
        .await
        .unwrap();
    assert_eq!(keys(storage, "a").await, ["a:hour", "a:text"]);
}

async fn metadata(storage: &Storage) {
    let custom = async |key: &str| {
        let metadata = storage.metadata(key).await.unwrap();
        Value::Object(metadata.unwrap_or_default().custom)
    };
    for name in ["md:one", "md:two", "md:three"] {
        storage.set(name, name).await.unwrap();
        storage
            .set_metadata(name, &json!({ "of": name }))
            .await
            .unwrap();
        assert_eq!(custom(name).await, json!({ "of": name }));
    }
    assert_eq!(keys(storage, "md").await, ["md:one", "md:three", "md:two"]);
    storage.remove_metadata("md:one").await.unwrap();
    assert_eq!(custom("md:one").await, json!({}));
    storage.remove("md:two").await.unwrap();
    assert_eq!(storage.metadata("md:two").await.unwrap(), None);
    storage.clear("md").await.unwrap();
    for name in ["md:one", "md:three"] {
        assert_eq!(storage.metadata(name).await.unwrap(), None, "{name}");
    }
}

async fn listings(storage: &Storage) {
    let names = ["l:a", "l:b:c", "l:b:d:e", "li"];
    let written = storage.set_many(names.map(|name| (name, name))).await;
    for outcome in written {
        outcome.unwrap();
    }
    assert_eq!(keys(storage, "l").await, ["l:a", "l:b:c", "l:b:d:e"]);
    assert_eq!(keys_to_depth(storage, "l", 2).await, ["l:a", "l:b:c"]);
    let mut changes = storage.watch("l").await.unwrap();
    storage.set("l:a", "changed").await.unwrap();
    let change = changes.next().await.unwrap().unwrap();
    assert_eq!(change.key.as_str(), "l:a");
    drop(changes);
    storage.mount("l:b", memory()).unwrap();
    assert_eq!(keys(storage, "l").await, ["l:a"]);
    storage.unmount("l:b").unwrap();
    storage.clear("l:b").await.unwrap();
    assert_eq!(
        keys(storage, "")
            .await
            .iter()
            .filter(|key| key.starts_with('l'))
            .count(),
        2
    );
    storage.remove("li").await.unwrap();
    storage.clear("l").await.unwrap();
}

/// Metadata is copied with its items, in both directions.
async fn copies(storage: &Storage) {
    let custom = json!({ "author": "Ada" });
    storage.set("c:item", "value").await.unwrap();
    storage.set_metadata("c:item", &custom).await.unwrap();
    let snapshot = storage.snapshot("c").await.unwrap();
    assert_eq!(snapshot.len(), 2, "{snapshot:?}");
    let other = crate::support::storage();
    copy(storage, "c", &other, "there").await;
    copy(&other, "there", storage, "back").await;
    storage.restore("restored", &snapshot).await.unwrap();
    for name in ["back:item", "restored:item"] {
        assert_eq!(storage.get::<String>(name).await.unwrap().unwrap(), "value");
        let metadata = storage.metadata(name).await.unwrap().unwrap();
        assert_eq!(Value::Object(metadata.custom), custom, "{name}");
    }
    assert_eq!(storage.snapshot("none").await.unwrap(), Snapshot::default());
    for base in ["c", "back", "restored"] {
        storage.clear(base).await.unwrap();
    }
}

async fn copy(from: &Storage, base: &str, to: &Storage, target: &str) {
    let copied = from.copy_to(base, to, target);
    let last = copied.try_fold(0, |_, progress| std::future::ready(Ok(progress.items)));
    assert_eq!(last.await.unwrap(), 2);
}

/// A key with no room for the `$` of its metadata is an item without metadata.
async fn longest_key(storage: &Storage, longest: Longest) {
    let name = match longest {
        Longest::Unlimited => return,
        Longest::Key(length) | Longest::Segment(length) => "k".repeat(length),
    };
    let longer = format!("{name}k");
    let error = storage.set(&longer, "value").await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InvalidKey | ErrorKind::TooLarge),
        "{error:?}"
    );
    for _ in 0..2 {
        storage.set(&name, "value").await.unwrap();
        storage.set("short", "value").await.unwrap();
        storage
            .set_metadata("short", &json!({ "of": "short" }))
            .await
            .unwrap();
        let metadata = storage.metadata(&name).await.unwrap().unwrap();
        assert!(metadata.native.is_some() && metadata.custom.is_empty());
        let error = storage.set_metadata(&name, &json!({})).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::InvalidKey | ErrorKind::TooLarge),
            "{error:?}"
        );
        storage.remove_metadata(&name).await.unwrap();
        assert_eq!(storage.snapshot("").await.unwrap().len(), 3);
        storage
            .remove_many(&[name.as_str(), "short"])
            .await
            .unwrap();
        assert_eq!(storage.metadata(&name).await.unwrap(), None);
        assert_eq!(storage.metadata("short").await.unwrap(), None);
    }
    storage.set(&name, "value").await.unwrap();
    storage.remove(&name).await.unwrap();
    assert!(!storage.has(&name).await.unwrap());
}

#[test_support::test]
async fn memory_has_the_whole_of_a_storage() {
    check(memory(), Longest::Unlimited).await;
}

#[test_support::test]
async fn sqlite_has_the_whole_of_a_storage() {
    let driver = SqliteDriver::open(SqliteOptions::new(":memory:"))
        .await
        .unwrap();
    let most = driver.capabilities().max_key_size.unwrap();
    check(Arc::new(driver), Longest::Key(most)).await;
}

#[test_support::test]
async fn fs_has_the_whole_of_a_storage() {
    let folder = tempfile::tempdir().unwrap();
    let driver = FsDriver::open(FsOptions::new(folder.path())).await.unwrap();
    check(Arc::new(driver), Longest::Segment(255)).await;
}

#[test_support::test]
async fn postgres_has_the_whole_of_a_storage() {
    let server = PostgresServer::shared();
    for layout in [Layout::Unstorage, Layout::Bytes] {
        let options = PostgresOptions::new(server.url(&server.create_database()))
            .with_layout(layout)
            .with_timeout(PATIENCE);
        let driver = PostgresDriver::open(options).await.unwrap();
        let most = driver.capabilities().max_key_size.unwrap();
        check(Arc::new(driver), Longest::Key(most)).await;
    }
}

#[test_support::test]
async fn redis_has_the_whole_of_a_storage() {
    let redis = RedisServer::start();
    let driver = RedisDriver::open(RedisOptions::new(redis.url()))
        .await
        .unwrap();
    check(Arc::new(driver), Longest::Unlimited).await;
}

#[test_support::test]
async fn upstash_has_the_whole_of_a_storage() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("session-storage-upstash");
    let gateway = UpstashGateway::start(&UpstashGateway::packages(folder));
    let options = UpstashOptions::new(gateway.url(), UpstashGateway::TOKEN);
    let driver = UpstashDriver::open(options.with_timeout(PATIENCE))
        .await
        .unwrap();
    check(Arc::new(driver), Longest::Unlimited).await;
}

#[test_support::test]
async fn cloudflare_kv_has_the_whole_of_a_storage() {
    let kv = CloudflareKv::shared();
    let options =
        CloudflareKvOptions::new(CloudflareKv::ACCOUNT, kv.namespace(), CloudflareKv::TOKEN)
            .with_api_url(kv.api_url())
            .with_timeout(PATIENCE);
    let driver = CloudflareKvDriver::open(options).unwrap();
    check(Arc::new(driver), Longest::Key(512)).await;
}

#[test_support::test]
async fn dynamodb_has_the_whole_of_a_storage() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("session-storage-dynalite");
    let dynalite = Dynalite::start(folder);
    let options = DynamoDbOptions::new("storage")
        .with_region("us-east-1")
        .with_endpoint_url(dynalite.url())
        .with_credentials(AwsCredentials::new("AKIDEXAMPLE", "secret"))
        .with_create_table(true)
        .with_timeout(PATIENCE);
    let driver = DynamoDbDriver::open(options).await.unwrap();
    let most = driver.capabilities().max_key_size.unwrap();
    check(Arc::new(driver), Longest::Key(most)).await;
}

async fn on_unstorage(version: &str, dialect: Dialect) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("session-storage-unstorage");
    let packages = UnstorageServer::packages(folder);
    let server = UnstorageServer::start(&packages, version, &["memory"]);
    let options = HttpOptions::new(server.url())
        .with_token(UnstorageServer::TOKEN)
        .with_dialect(dialect)
        .with_timeout(PATIENCE);
    check(
        Arc::new(HttpDriver::open(options).unwrap()),
        Longest::Unlimited,
    )
    .await;
}

#[test_support::test]
async fn unstorage_1_over_http_has_the_whole_of_a_storage() {
    on_unstorage("1", Dialect::V1).await;
}

#[test_support::test]
async fn unstorage_2_over_http_has_the_whole_of_a_storage() {
    on_unstorage("2", Dialect::V2).await;
}

/// A storage over the HTTP driver, served once more, and a storage over that.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_served_storage_over_http_has_the_whole_of_a_storage() {
    const MAX_KEY: usize = 600;
    let over = async |storage: Storage| {
        let service = StorageService::new(storage, Authorization::open()).with_max_key(MAX_KEY);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::<()>::new().fallback_service(service);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        let options = HttpOptions::new(url)
            .with_dialect(Dialect::SessionServer)
            .with_timeout(PATIENCE);
        (Arc::new(HttpDriver::open(options).unwrap()), serving)
    };
    let (first, serving_first) = over(storage()).await;
    let (second, serving_second) = over(Storage::new(first)).await;
    check(second, Longest::Unlimited).await;
    serving_first.abort();
    serving_second.abort();
}
