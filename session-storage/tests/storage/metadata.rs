//! Metadata of items.

use std::time::Duration;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use serde_json::json;
use session_core::{ErrorKind, Expiry, WriteOptions};
use session_storage::Storage;
use std::sync::Arc;

use crate::support::{key, keys, memory, storage};

#[test_support::test]
async fn metadata_combines_the_drivers_and_the_custom_metadata() {
    let driver = SqliteDriver::open(SqliteOptions::new(":memory:"))
        .await
        .unwrap();
    let storage = Storage::new(Arc::new(driver));
    assert_eq!(storage.metadata("k").await.unwrap(), None);
    storage
        .set_with_ttl("k", "value", Duration::from_secs(60))
        .await
        .unwrap();
    storage
        .set_metadata("k", &json!({ "author": "Ada" }))
        .await
        .unwrap();
    let metadata = storage.metadata("k").await.unwrap().unwrap();
    assert_eq!(metadata.custom["author"], "Ada");
    let native = metadata.native.unwrap();
    assert_eq!(native.size, Some(5));
    assert!(native.modified_at.is_some() && native.created_at.is_some());
    assert!(native.expires_at.is_some() && native.version.is_some());
    storage.close().await.unwrap();
}

/// unstorage keeps it, and the next item of that key inherits it.
#[test_support::test]
async fn bug_metadata_is_removed_with_its_item() {
    let storage = storage();
    storage.mount("m", memory()).unwrap();
    for name in ["k", "m:k"] {
        storage.set(name, &1).await.unwrap();
        storage
            .set_metadata(name, &json!({ "x": 1 }))
            .await
            .unwrap();
        storage.remove(name).await.unwrap();
        assert_eq!(storage.metadata(name).await.unwrap(), None);
        assert!(!storage.has(&format!("{name}$")).await.unwrap());
    }
}

/// unstorage's metadata outlives its item.
#[test_support::test]
async fn bug_metadata_expires_with_its_item() {
    let storage = storage();
    storage
        .set_with_ttl("ending", &1, Duration::from_secs(60))
        .await
        .unwrap();
    let driver = storage.as_driver();
    storage
        .set_metadata("ending", &json!({ "x": 1 }))
        .await
        .unwrap();
    let end = |name: &'static str| {
        let driver = driver.clone();
        async move { driver.read(&key(name)).await.unwrap().unwrap().expires_at }
    };
    assert_eq!(end("ending$").await, end("ending").await);
    assert!(end("ending").await.is_some());

    let never = WriteOptions::default().with_expiry(Expiry::Never);
    let _unconditional = storage.set_with("never", &1, never).await.unwrap();
    storage
        .set_metadata("never", &json!({ "x": 1 }))
        .await
        .unwrap();
    assert_eq!(end("never$").await, None);
}

#[test_support::test]
async fn metadata_is_a_separate_item_under_the_key_with_a_dollar() {
    let storage = storage();
    storage
        .set("k$", &json!({ "mtime": "2024-01-01T00:00:00.000Z" }))
        .await
        .unwrap();
    let metadata = storage.metadata("k").await.unwrap().unwrap();
    assert_eq!(metadata.native, None);
    assert_eq!(metadata.custom["mtime"], "2024-01-01T00:00:00.000Z");
    storage.set("k", &1).await.unwrap();
    storage.remove_metadata("k").await.unwrap();
    assert!(
        storage
            .metadata("k")
            .await
            .unwrap()
            .unwrap()
            .custom
            .is_empty()
    );
    storage.set_metadata("k", &json!({})).await.unwrap();
    storage.remove("k$").await.unwrap();
    assert!(storage.has("k").await.unwrap());
    assert!(!storage.has("k$").await.unwrap());
    assert_eq!(keys(&storage, "").await, ["k"]);
}

#[test_support::test]
async fn metadata_must_be_an_object() {
    let storage = storage();
    storage.set("k", &1).await.unwrap();
    for wrong in [json!(1), json!("{"), json!([1]), json!(null)] {
        let result = storage.set_metadata("k", &wrong).await;
        if wrong != json!("{") {
            assert_eq!(
                result.unwrap_err().kind(),
                ErrorKind::Unserializable,
                "{wrong}"
            );
        }
    }
    storage.set("k$", "not an object").await.unwrap();
    assert!(
        storage
            .metadata("k")
            .await
            .unwrap()
            .unwrap()
            .custom
            .is_empty()
    );
}
