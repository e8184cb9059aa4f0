//! `clear` removes the items below its base, and no others.

use crate::support::{fill, keys, memory, storage};

/// unstorage does nothing here, because there is no mount at `foo` (its issues #336, #801, #802).
#[test_support::test]
async fn bug_336_a_base_without_a_mount_is_cleared() {
    let storage = storage();
    fill(&storage, &["foo:a", "foo:b:c", "foo", "food:a", "bar"]).await;
    storage.clear("foo").await.unwrap();
    assert_eq!(keys(&storage, "").await, ["bar", "foo", "food:a"]);
}

/// The same with a prefix.
#[test_support::test]
async fn bug_336_a_prefix_is_cleared() {
    let storage = storage();
    fill(&storage, &["foo:a", "foo:b:c", "food:a"]).await;
    storage.prefix("foo").unwrap().clear("b").await.unwrap();
    assert_eq!(keys(&storage, "").await, ["foo:a", "food:a"]);
    storage.prefix("foo").unwrap().clear("").await.unwrap();
    assert_eq!(keys(&storage, "").await, ["food:a"]);
}

/// Several drivers of unstorage clear all their keys, whatever the base.
#[test_support::test]
async fn bug_802_the_rest_of_a_mount_stays() {
    let storage = storage();
    storage.mount("m", memory()).unwrap();
    fill(&storage, &["m:a:1", "m:b:1", "a:1"]).await;
    storage.clear("m:a").await.unwrap();
    assert_eq!(keys(&storage, "").await, ["a:1", "m:b:1"]);
}

#[test_support::test]
async fn a_base_above_mounts_is_cleared_in_all_of_them() {
    let storage = storage();
    for base in ["a:m", "a:m:n", "b"] {
        storage.mount(base, memory()).unwrap();
    }
    fill(
        &storage,
        &["a:1", "a:m:1", "a:m:n:1", "a:m:n:2", "b:1", "c"],
    )
    .await;
    storage.clear("a").await.unwrap();
    assert_eq!(keys(&storage, "").await, ["b:1", "c"]);
}

#[test_support::test]
async fn hidden_keys_are_kept() {
    let storage = storage();
    fill(&storage, &["mnt:old", "mnt:deep:old", "other"]).await;
    storage.mount("mnt", memory()).unwrap();
    fill(&storage, &["mnt:new"]).await;
    storage.clear("mnt").await.unwrap();
    assert_eq!(keys(&storage, "").await, ["other"]);
    storage.clear("").await.unwrap();
    assert!(keys(&storage, "").await.is_empty());
    storage.unmount("mnt").unwrap();
    assert_eq!(keys(&storage, "").await, ["mnt:deep:old", "mnt:old"]);
}

#[test_support::test]
async fn metadata_is_cleared_with_its_items() {
    let storage = storage();
    fill(&storage, &["a:1", "b:1"]).await;
    for key in ["a:1", "b:1"] {
        storage
            .set_metadata(key, &serde_json::json!({ "of": key }))
            .await
            .unwrap();
    }
    storage.clear("a").await.unwrap();
    assert_eq!(storage.metadata("a:1").await.unwrap(), None);
    assert_eq!(
        storage.metadata("b:1").await.unwrap().unwrap().custom["of"],
        "b:1"
    );
}
