//! Values as text: JavaScript reads what Rust writes, and vice versa.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use session_core::ErrorKind;

use crate::support::storage;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Id(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Admin,
    Guest { until: u64 },
}

async fn stored<T: Serialize + Sync + ?Sized>(value: &T) -> String {
    let storage = storage();
    storage.set("k", value).await.unwrap();
    let bytes = storage.get_raw("k").await.unwrap().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn read<T: serde::de::DeserializeOwned>(text: &'static str) -> Option<T> {
    let storage = storage();
    storage.set_raw("k", text).await.unwrap();
    storage.get("k").await.unwrap()
}

/// The right side is what `setItem` of unstorage stores for the same value.
#[test_support::test]
async fn values_are_stored_as_unstorage_stores_them() {
    assert_eq!(stored("text").await, "text");
    assert_eq!(stored("").await, "");
    assert_eq!(stored("\"quoted\"").await, "\"quoted\"");
    assert_eq!(stored(&'x').await, "x");
    assert_eq!(stored(&42).await, "42");
    assert_eq!(stored(&-7_i64).await, "-7");
    assert_eq!(stored(&1.0).await, "1");
    assert_eq!(stored(&0.1).await, "0.1");
    assert_eq!(stored(&1e21).await, "1e+21");
    assert_eq!(stored(&-0.0).await, "0");
    assert_eq!(stored(&f64::NAN).await, "NaN");
    assert_eq!(stored(&f64::NEG_INFINITY).await, "-Infinity");
    assert_eq!(stored(&true).await, "true");
    assert_eq!(stored(&None::<u8>).await, "null");
    assert_eq!(stored(&()).await, "null");
    assert_eq!(stored(&Some("x")).await, "x");
    assert_eq!(stored(&Id("7".into())).await, "7");
    assert_eq!(stored(&Role::Admin).await, "admin");
    assert_eq!(
        stored(&Role::Guest { until: 5 }).await,
        r#"{"guest":{"until":5}}"#
    );
    assert_eq!(stored(&[1.0, 2.5]).await, "[1,2.5]");
    assert_eq!(
        stored(&json!({ "a": [null, true, "x\u{2028}\n"] })).await,
        "{\"a\":[null,true,\"x\u{2028}\\n\"]}"
    );
}

#[test_support::test]
async fn every_value_comes_back_as_its_type() {
    let storage = storage();
    macro_rules! comes_back {
        ($($value:expr),* $(,)?) => {$(
            let value = $value;
            storage.set("k", &value).await.unwrap();
            let read = storage.get("k").await.unwrap();
            assert_eq!(read, Some(value));
        )*};
    }
    comes_back!(
        0_u8,
        u64::MAX,
        i64::MIN,
        u128::MAX,
        i128::MIN,
        -1.5_f64,
        f32::MIN_POSITIVE,
        0.1 + 0.2,
        f64::MAX,
        f64::INFINITY,
        'é',
        (),
        true,
        String::new(),
        " padded ".to_owned(),
        vec![1, 2, 3],
        (1, "two".to_owned(), 3.5),
        Some(5),
        BTreeMap::from([("a".to_owned(), Some(1)), ("b".to_owned(), None)]),
        Id("id".into()),
        Role::Admin,
        Role::Guest { until: u64::MAX },
        vec![Role::Admin],
        json!({ "nested": [1, "1", null, { "x": 0.5 }] }),
    );
}

/// unstorage reads `setItem(key, "123")` back as a number (its issue #277).
#[test_support::test]
async fn bug_277_a_text_that_looks_like_something_else_comes_back_as_text() {
    let storage = storage();
    for text in [
        "123",
        "true",
        "null",
        "undefined",
        "NaN",
        "{}",
        "[1]",
        "\"x\"",
        " 1 ",
        "1e3",
        "-Infinity",
        "12345678901234567890",
        "base64:AQL/",
    ] {
        storage.set("k", text).await.unwrap();
        assert_eq!(storage.get::<String>("k").await.unwrap().unwrap(), text);
        assert_eq!(
            storage.get::<Id>("k").await.unwrap().unwrap(),
            Id(text.to_owned())
        );
    }
}

/// The right side is what `getItem` of unstorage returns for the same text.
#[test_support::test]
async fn a_type_that_accepts_any_input_gets_what_unstorage_returns() {
    for (text, value) in [
        ("", json!("")),
        ("TRUE", json!(true)),
        ("0123", json!("0123")),
        ("+1", json!("+1")),
        (".5", json!(".5")),
        ("1e3", json!(1e3)),
        ("12345678901234567890", json!("12345678901234567890")),
        ("0x10", json!("0x10")),
        ("{bad", json!("{bad")),
        (" {\"a\":1} ", json!({ "a": 1 })),
        (" 12 ", json!(12)),
        ("\"with \\\" esc\"", json!("with \" esc")),
        ("\"a\"b\"", json!("a\"b")),
        ("1_000", json!("1_000")),
        ("plain", json!("plain")),
    ] {
        assert_eq!(read::<Value>(text).await, Some(value), "{text:?}");
    }
}

#[test_support::test]
async fn null_and_undefined_are_none_unless_the_type_accepts_them() {
    assert_eq!(read::<u32>("null").await, None);
    assert_eq!(read::<Role>("null").await, None);
    assert_eq!(read::<Vec<u8>>("undefined").await, None);
    assert_eq!(read::<Option<u32>>("null").await, Some(None));
    assert_eq!(read::<Option<String>>("null").await, Some(None));
    assert_eq!(read::<Value>("null").await, Some(Value::Null));
    assert_eq!(read::<f64>("NaN").await.map(f64::is_nan), Some(true));
}

#[test_support::test]
async fn values_written_by_unstorage_are_read_by_type() {
    assert_eq!(read::<u64>("1000").await, Some(1_000));
    assert_eq!(read::<f64>("1e+21").await, Some(1e21));
    assert_eq!(read::<f32>("5").await, Some(5.0));
    assert_eq!(read::<bool>("true").await, Some(true));
    assert_eq!(read::<Role>("\"admin\"").await, Some(Role::Admin));
    assert_eq!(
        read::<Role>(r#"{"guest":{"until":1}}"#).await,
        Some(Role::Guest { until: 1 })
    );
    // A `Date` is stored as its bare ISO text.
    let date: Option<String> = read("2024-02-03T04:05:06.789Z").await;
    assert_eq!(date.unwrap(), "2024-02-03T04:05:06.789Z");
}

#[test_support::test]
async fn a_value_of_another_type_is_an_error_that_does_not_show_it() {
    let storage = storage();
    storage.set("k", "confidential").await.unwrap();
    let error = storage.get::<u32>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("u32"), "{error}");
    assert!(!format!("{error:?}").contains("confidential"), "{error:?}");
    assert_eq!(
        storage.get::<String>("k").await.unwrap().unwrap(),
        "confidential"
    );

    storage.set_raw("k", vec![0xff, 0]).await.unwrap();
    let error = storage.get::<String>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(storage.get_raw("k").await.unwrap().unwrap(), vec![0xff, 0]);
}

#[test_support::test]
async fn deeply_nested_json_is_an_error() {
    let storage = storage();
    storage
        .set_raw("k", "[".repeat(100_000) + &"]".repeat(100_000))
        .await
        .unwrap();
    let error = storage.get::<Vec<Value>>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    let error = storage.get::<Value>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
}

#[test_support::test]
async fn a_map_with_keys_that_are_not_text_is_rejected() {
    let error = storage()
        .set("k", &BTreeMap::from([((1, 2), 3)]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unserializable);
}

#[derive(Serialize)]
struct Reading {
    name: Option<&'static str>,
    value: f64,
}

/// JSON has no such numbers, and `null` is not what was set.
#[test_support::test]
async fn a_structure_with_a_number_that_is_not_finite_is_rejected() {
    let storage = storage();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let reading = Reading { name: None, value };
        let nested = BTreeMap::from([("a", [(1, Some(value as f32))])]);
        for result in [
            storage.set("k", &reading).await,
            storage.set("k", &[reading]).await,
            storage.set("k", &nested).await,
            storage.set_many([("k", vec![value])]).await.remove(0),
            storage
                .set_metadata("k", &BTreeMap::from([("a", value)]))
                .await,
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Unserializable);
        }
    }
    let reading = Reading {
        name: None,
        value: 1.5,
    };
    storage.set("k", &reading).await.unwrap();
    assert_eq!(
        storage.get::<Value>("k").await.unwrap(),
        Some(json!({ "name": null, "value": 1.5 }))
    );
}

#[test_support::test]
async fn a_structure_that_is_too_deep_to_be_read_is_rejected() {
    let storage = storage();
    let deep = |levels: usize| {
        let start = json!(1);
        (0..levels).fold(start, |inner, level| match level % 2 {
            0 => json!([inner]),
            _ => json!({ "a": inner }),
        })
    };
    storage.set("k", &deep(127)).await.unwrap();
    assert_eq!(storage.get("k").await.unwrap(), Some(deep(127)));
    let error = storage.set("k", &deep(128)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unserializable);
}

/// `None` is stored as `null`, so the text `null` of an `Option` would be lost.
#[test_support::test]
async fn an_optional_text_that_would_be_read_as_none_is_rejected() {
    let storage = storage();
    for text in ["null", "undefined", "NULL", " null "] {
        let error = storage.set("k", &Some(text)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unserializable, "{text}");
        storage.set("k", text).await.unwrap();
        assert_eq!(storage.get::<String>("k").await.unwrap().unwrap(), text);
    }
    storage.set("k", &Some("nil")).await.unwrap();
    let read: Option<Option<String>> = storage.get("k").await.unwrap();
    assert_eq!(read.unwrap().unwrap(), "nil");
}
