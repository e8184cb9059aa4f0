//! What unstorage's own test of drivers (`test/drivers/utils.ts`) checks, line by line.

use serde::Serialize;
use serde_json::{Value, json};
use session_core::ErrorKind;

use crate::support::{keys, keys_to_depth, storage};

#[test_support::test]
async fn line_35_what_was_restored_is_read_and_cleared() {
    let storage = storage();
    let snapshot = serde_json::from_value(json!({ "initial": { "text": "works" } })).unwrap();
    storage.restore("", &snapshot).await.unwrap();
    assert_eq!(
        storage.get("initial").await.unwrap(),
        Some("works".to_owned())
    );
    storage.clear("").await.unwrap();
    assert_eq!(storage.get::<String>("initial").await.unwrap(), None);
}

#[test_support::test]
async fn line_42_a_missing_item_is_not_there() {
    assert!(!storage().has("s1:a").await.unwrap());
}

#[test_support::test]
async fn line_43_a_missing_item_is_none() {
    assert_eq!(storage().get::<String>("s2:a").await.unwrap(), None);
}

#[test_support::test]
async fn line_44_nothing_is_listed_at_first() {
    assert!(keys(&storage(), "").await.is_empty());
}

#[test_support::test]
async fn line_51_an_item_that_was_set_is_there() {
    let storage = storage();
    storage.set("s1:a", "test_data").await.unwrap();
    assert!(storage.has("s1:a").await.unwrap());
}

#[test_support::test]
async fn line_52_an_item_is_read_as_it_was_set() {
    let storage = storage();
    storage.set("s1:a", "test_data").await.unwrap();
    let value: Option<String> = storage.get("s1:a").await.unwrap();
    assert_eq!(value.unwrap(), "test_data");
}

#[test_support::test]
async fn line_53_what_follows_a_question_mark_does_not_count() {
    let storage = storage();
    storage.set("s3:a?q=1", "test_data").await.unwrap();
    let value: Option<String> = storage.get("s3:a?q=2").await.unwrap();
    assert_eq!(value.unwrap(), "test_data");
}

#[test_support::test]
async fn line_60_all_keys_are_listed() {
    let storage = storage();
    for key in ["s1:a", "s2:a", "s3:a?q=1"] {
        storage.set(key, "test_data").await.unwrap();
    }
    assert_eq!(keys(&storage, "").await, ["s1:a", "s2:a", "s3:a"]);
}

#[test_support::test]
async fn line_63_the_keys_of_a_base_are_listed() {
    let storage = storage();
    for key in ["s1:a", "s2:a", "s3:a"] {
        storage.set(key, "test_data").await.unwrap();
    }
    assert_eq!(keys(&storage, "s1").await, ["s1:a"]);
}

#[test_support::test]
async fn lines_72_73_and_78_keys_are_listed_to_a_depth() {
    let storage = storage();
    let all = [
        "depth0:depth1:depth2_0",
        "depth0:depth1:depth2_1",
        "depth0:depth1_0",
        "depth0:depth1_1",
        "depth0_0",
    ];
    for key in all {
        storage.set(key, "test_data").await.unwrap();
    }
    assert_eq!(keys_to_depth(&storage, "", 0).await, ["depth0_0"]);
    assert_eq!(keys_to_depth(&storage, "", 1).await, all[2..]);
    assert_eq!(keys_to_depth(&storage, "", 2).await, all);
}

#[test_support::test]
async fn line_87_objects_come_back() {
    let storage = storage();
    let value = json!({ "json": "works" });
    storage.set("/data/test.json", &value).await.unwrap();
    assert_eq!(
        storage.get::<Value>("/data/test.json").await.unwrap(),
        Some(value)
    );
}

#[test_support::test]
async fn line_94_truth_values_come_back() {
    let storage = storage();
    storage.set("/data/true.json", &true).await.unwrap();
    assert_eq!(storage.get("/data/true.json").await.unwrap(), Some(true));
    assert_eq!(
        storage.get::<Value>("/data/true.json").await.unwrap(),
        Some(json!(true))
    );
}

/// A type that serializes as another type, like an object with `toJSON` in JavaScript.
struct Custom<T>(T);

impl<T: Serialize> Serialize for Custom<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[test_support::test]
async fn line_105_what_serialises_as_a_text_comes_back_as_it() {
    let storage = storage();
    storage
        .set("/data/serialized1.json", &Custom("SERIALIZED"))
        .await
        .unwrap();
    let value: Option<Value> = storage.get("/data/serialized1.json").await.unwrap();
    assert_eq!(value.unwrap(), "SERIALIZED");
}

#[test_support::test]
async fn line_112_what_serialises_as_an_object_comes_back_as_it() {
    let storage = storage();
    let object = json!({ "serializedObj": "works" });
    storage
        .set("/data/serialized2.json", &Custom(&object))
        .await
        .unwrap();
    let value: Option<Value> = storage.get("/data/serialized2.json").await.unwrap();
    assert_eq!(value.unwrap(), object);
}

#[test_support::test]
async fn line_118_what_has_no_text_is_refused() {
    struct Opaque;

    impl Serialize for Opaque {
        fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it has no form"))
        }
    }

    let storage = storage();
    let error = storage
        .set("/data/badvalue.json", &Opaque)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unserializable);
    assert!(!storage.has("/data/badvalue.json").await.unwrap());
}

#[test_support::test]
async fn lines_133_and_134_bytes_come_back() {
    let storage = storage();
    storage
        .set_raw("/data/raw.bin", vec![1, 2, 3])
        .await
        .unwrap();
    let bytes = storage.get_raw("/data/raw.bin").await.unwrap().unwrap();
    assert_eq!(bytes, vec![1, 2, 3]);
}

#[test_support::test]
async fn line_138_several_items_are_set() {
    let storage = storage();
    let items = [
        ("t:1", "test_data_t1"),
        ("t:2", "test_data_t2"),
        ("t:3", "test_data_t3"),
    ];
    for result in storage.set_many(items).await {
        result.unwrap();
    }
    for (key, value) in items {
        assert_eq!(storage.get::<String>(key).await.unwrap().unwrap(), value);
    }
}

#[test_support::test]
async fn line_149_several_items_are_read_in_order_and_missing_ones_are_none() {
    let storage = storage();
    for key in ["v1:a", "v2:a", "v3:a?q=1"] {
        storage.set(key, "test_data").await.unwrap();
    }
    let keys = ["v1:a", "v2:a", "v3:a?q=1", "v4:undefined"];
    let values: Vec<Option<String>> = storage.get_many(&keys).await.unwrap();
    let found = Some("test_data".to_owned());
    assert_eq!(values, [found.clone(), found.clone(), found, None]);
}

#[test_support::test]
async fn line_178_zero_comes_back() {
    let storage = storage();
    storage.set("zero", &0).await.unwrap();
    assert_eq!(storage.get("zero").await.unwrap(), Some(0));
}

#[test_support::test]
async fn line_181_false_comes_back() {
    let storage = storage();
    storage.set("my-false-flag", &false).await.unwrap();
    assert_eq!(storage.get("my-false-flag").await.unwrap(), Some(false));
}

#[test_support::test]
async fn lines_190_and_192_a_removed_item_is_gone() {
    let storage = storage();
    storage.set("s1:a", "test_data").await.unwrap();
    storage.remove("s1:a").await.unwrap();
    assert!(!storage.has("s1:a").await.unwrap());
    assert_eq!(storage.get::<String>("s1:a").await.unwrap(), None);
}

#[test_support::test]
async fn line_196_clearing_leaves_nothing() {
    let storage = storage();
    storage.set("s1:a", "test_data").await.unwrap();
    storage.clear("").await.unwrap();
    assert!(keys(&storage, "").await.is_empty());
}

#[test_support::test]
async fn line_199_clearing_nothing_works_twice() {
    let storage = storage();
    storage.clear("").await.unwrap();
    storage.clear("").await.unwrap();
}
