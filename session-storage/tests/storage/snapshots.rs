//! Snapshots lose nothing, and reject invalid input.

use std::time::Duration;

use driver_memory::MemoryDriver;
use serde_json::json;
use session_core::{Expiry, Timestamp, WriteOptions};
use session_storage::{Snapshot, Storage};
use std::sync::Arc;

use crate::support::{fill, key, keys, memory, storage};

async fn varied() -> Storage {
    let storage = storage();
    storage.mount("app:m", memory()).unwrap();
    storage.set("app:number-like", "00123").await.unwrap();
    storage
        .set("app:m:json", &json!({ "a": [1, null] }))
        .await
        .unwrap();
    storage
        .set_raw("app:raw", vec![0xff, 0, 0xfe])
        .await
        .unwrap();
    storage.set("app:empty", "").await.unwrap();
    storage
        .set("app:quotes", "\"\u{0}\u{2028}😀\\")
        .await
        .unwrap();
    storage
        .set_with_ttl("app:ending", &1, Duration::from_secs(3_600))
        .await
        .unwrap();
    storage
        .set_metadata("app:raw", &json!({ "type": "image/png" }))
        .await
        .unwrap();
    storage
}

/// unstorage reads text such as `"00123"` as another type, and drops bytes, metadata and expiry.
#[test_support::test]
async fn bug_a_snapshot_loses_nothing() {
    let from = varied().await;
    let snapshot = from.snapshot("app").await.unwrap();
    assert_eq!(snapshot.len(), 7);
    let json = serde_json::to_string(&snapshot).unwrap();
    let read: Snapshot = serde_json::from_str(&json).unwrap();
    assert_eq!(read, snapshot);

    let ttl = Duration::from_secs(1);
    let to = Storage::new(Arc::new(MemoryDriver::new().with_ttl(ttl)));
    to.restore("elsewhere", &read).await.unwrap();
    assert_eq!(to.snapshot("elsewhere").await.unwrap(), snapshot);
    let end = snapshot.get(&key("ending")).unwrap().expiry;
    assert!(matches!(end, Expiry::At(_)));
    let item = to
        .as_driver()
        .read(&key("elsewhere:ending"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(item.expires_at.map(Expiry::At), Some(end));
    // An item that never expires still does so under another driver's default.
    let item = to
        .as_driver()
        .read(&key("elsewhere:empty"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(item.expires_at, None);
    let known = to.metadata("elsewhere:raw").await.unwrap().unwrap();
    assert_eq!(known.custom["type"], "image/png");
}

#[test_support::test]
async fn restoring_skips_expired_items_and_removes_nothing() {
    let storage = storage();
    fill(&storage, &["there", "kept"]).await;
    let past = Timestamp::now().as_millis() - 1;
    let snapshot: Snapshot = serde_json::from_value(json!({
        "ended": { "text": "old", "expires_at": past },
        "there": { "text": "restored", "expires_at": "never" },
    }))
    .unwrap();
    storage.restore("", &snapshot).await.unwrap();
    assert_eq!(keys(&storage, "").await, ["kept", "there"]);
    assert_eq!(
        storage.get::<String>("there").await.unwrap().unwrap(),
        "restored"
    );
}

#[test_support::test]
async fn many_items_are_restored() {
    let from = storage();
    let items: Vec<_> = (0..1_000)
        .map(|number| (format!("k:{number}"), number))
        .collect();
    for result in from.set_many(items).await {
        result.unwrap();
    }
    let to = storage();
    to.restore("", &from.snapshot("").await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        to.snapshot("").await.unwrap(),
        from.snapshot("").await.unwrap()
    );
}

#[test]
fn invalid_snapshots_are_rejected() {
    for (json, reason) in [
        (r#"[]"#, "map"),
        (r#"{"a":"text"}"#, "struct"),
        (r#"{"a":{}}"#, "either"),
        (r#"{"a":{"text":"x","base64":"eA=="}}"#, "either"),
        (r#"{"a":{"base64":"not base64"}}"#, "base64"),
        (r#"{"a":{"text":"x","expires_at":-1}}"#, "expires_at"),
        (r#"{"a":{"text":"x","expires_at":1e300}}"#, "expires_at"),
        (r#"{"a":{"text":"x","expires_at":"soon"}}"#, "expires_at"),
        (r#"{"a":{"text":"x","more":1}}"#, "more"),
        (r#"{"":{"text":"x"}}"#, "normalised"),
        (r#"{"a/b":{"text":"x"}}"#, "normalised"),
        (r#"{"a?b":{"text":"x"}}"#, "normalised"),
        (r#"{"a":{"text":"x"},"a":{"text":"y"}}"#, "duplicate"),
    ] {
        let error = serde_json::from_str::<Snapshot>(json)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{json}: {error}");
    }
    let deep = format!(r#"{{"a":{{"text":{}"#, "[".repeat(1_000_000));
    assert!(serde_json::from_str::<Snapshot>(&deep).is_err());
}

#[test_support::test]
async fn keys_of_a_snapshot_stay_below_the_base() {
    let storage = storage();
    let snapshot: Snapshot = serde_json::from_value(json!({
        "..:..:up": { "text": "x" },
        "a": { "text": "y", "expires_at": u64::MAX },
    }))
    .unwrap();
    storage.restore("base", &snapshot).await.unwrap();
    assert_eq!(keys(&storage, "").await, ["base:..:..:up", "base:a"]);
}

#[test_support::test]
async fn an_unreported_expiry_becomes_the_default_of_the_target() {
    let snapshot: Snapshot = serde_json::from_value(json!({ "a": { "text": "x" } })).unwrap();
    let ttl = Duration::from_secs(60);
    let storage = Storage::new(Arc::new(MemoryDriver::new().with_ttl(ttl)));
    storage.restore("", &snapshot).await.unwrap();
    let item = storage.as_driver().read(&key("a")).await.unwrap().unwrap();
    assert!(item.expires_at.is_some());
    let never = WriteOptions::default().with_expiry(Expiry::Never);
    let _unconditional = storage.set_with("a", "x", never).await.unwrap();
    let json = serde_json::to_value(storage.snapshot("").await.unwrap()).unwrap();
    assert_eq!(json, json!({ "a": { "text": "x", "expires_at": "never" } }));
}
