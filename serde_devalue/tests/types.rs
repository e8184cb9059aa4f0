//! The mapping of Rust types.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_devalue::{
    BigInt, Bytes, Date, Document, ErrorKind, JsString, Map, Set, Url, Value, WriteOptions, Writer,
    from_str, from_value, to_string, to_value,
};

/// Written so, and read again from there, and by way of a `Value`.
#[track_caller]
fn is<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, text: &str) {
    assert_eq!(to_string(&value).unwrap(), text);
    assert_eq!(from_str::<T>(text).unwrap(), value);
    assert_eq!(from_value::<T>(&to_value(&value).unwrap()).unwrap(), value);
}

#[track_caller]
fn reads<T: DeserializeOwned + PartialEq + Debug>(text: &str, value: T) {
    assert_eq!(from_str::<T>(text).unwrap(), value);
}

#[track_caller]
fn refuses<T: DeserializeOwned + Debug>(text: &str) {
    assert_eq!(from_str::<T>(text).unwrap_err().kind(), ErrorKind::Data);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    nick: Option<String>,
    #[serde(default)]
    visits: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u8);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair(u8, String);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(u32),
    Line(u32, u32),
    Rectangle { width: u32, height: u32 },
}

#[test]
fn scalars() {
    is(true, "[true]");
    is(42_u8, "[42]");
    is(-7_i64, "[-7]");
    is(1.5_f64, "[1.5]");
    is(0.1_f32, "[0.10000000149011612]");
    is('<', r#"["\u003C"]"#);
    is("text".to_owned(), r#"["text"]"#);
    is((), "[null]");
    is(Unit, "[null]");
    is(Wrapped(7), "[7]");
}

#[test]
fn floats_that_json_lacks() {
    is(f64::INFINITY, "-4");
    is(f64::NEG_INFINITY, "-5");
    assert_eq!(to_string(&f64::NAN).unwrap(), "-3");
    assert!(from_str::<f64>("-3").unwrap().is_nan());
    assert_eq!(to_string(&-0.0_f64).unwrap(), "-6");
    assert!(from_str::<f64>("-6").unwrap().is_sign_negative());
}

#[test]
fn integers_that_a_double_cannot_hold_are_bigints() {
    is((1_u64 << 53) - 1, "[9007199254740991]");
    is(1_u64 << 53, r#"[["BigInt","9007199254740992"]]"#);
    is(i64::MIN, r#"[["BigInt","-9223372036854775808"]]"#);
    is(
        u128::MAX,
        r#"[["BigInt","340282366920938463463374607431768211455"]]"#,
    );
    is(5_i128, "[5]");
}

#[test]
fn an_integer_is_read_from_a_number_a_bigint_and_a_box_but_not_from_a_fraction() {
    reads("[1E2]", 100_u8);
    reads(r#"[["BigInt","7"]]"#, 7_u8);
    reads(r#"[["Object",1],7]"#, 7_u8);
    refuses::<u8>("[1.5]");
    refuses::<u8>("[256]");
    refuses::<u8>("[-1]");
    refuses::<u8>("-3");
}

#[test]
fn options_and_missing_fields() {
    is(
        User {
            name: "Ann".into(),
            nick: None,
            visits: 0,
        },
        r#"[{"name":1,"nick":2,"visits":3},"Ann",null,0]"#,
    );
    let ann = || User {
        name: "Ann".into(),
        nick: None,
        visits: 0,
    };
    reads(r#"[{"name":1},"Ann"]"#, ann());
    reads(r#"[{"name":1,"nick":-1,"visits":-1},"Ann"]"#, ann());
    reads(r#"[["null","name",1],"Ann"]"#, ann());
    reads(r#"[["Map",1,2],"name","Ann"]"#, ann());
    assert_eq!(
        from_str::<User>(r#"[{"visits":1},3]"#)
            .unwrap_err()
            .to_string(),
        "missing field `name` at byte 1"
    );
    reads("-1", None::<u8>);
    reads("[null]", None::<u8>);
    reads("[3]", Some(3_u8));
}

#[test]
fn sequences_and_tuples_are_arrays() {
    is(vec![1, 2, 1], "[[1,2,1],1,2]");
    is((1, "a".to_owned()), r#"[[1,2],1,"a"]"#);
    is(Pair(1, "a".into()), r#"[[1,2],1,"a"]"#);
    is([true; 2], "[[1,1],true]");
    is(Vec::<u8>::new(), "[[]]");
    reads(r#"[["Set",1,2],1,2]"#, vec![1, 2]);
    reads("[[-2,1],5]", vec![None, Some(5)]);
    reads("[[-7,3,1,1],5]", vec![None, Some(5), None]);
    refuses::<(u8, u8)>("[[1,1,1],5]");
    refuses::<(u8, u8)>("[[1],5]");
}

#[test]
fn maps_with_keys_that_are_strings_are_objects() {
    is(
        BTreeMap::from([("b".to_owned(), 1), ("a".to_owned(), 2)]),
        r#"[{"a":1,"b":2},2,1]"#,
    );
    is(HashMap::from([("a".to_owned(), 1)]), r#"[{"a":1},1]"#);
    is(
        BTreeMap::from([(10_u32, 'x'), (9, 'y')]),
        r#"[{"9":1,"10":2},"y","x"]"#,
    );
    is(BTreeMap::from([(true, 1)]), r#"[{"true":1},1]"#);
    is(BTreeMap::from([('x', 1)]), r#"[{"x":1},1]"#);
    is(BTreeMap::from([(Shape::Empty, 1)]), r#"[{"Empty":1},1]"#);
    reads(
        r#"[["Map",1,2],"a",5]"#,
        HashMap::from([("a".to_owned(), 5)]),
    );
}

#[test]
fn other_maps_need_the_wrapper() {
    let error = to_string(&BTreeMap::from([((1, 2), 3)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unwritable);
    assert!(error.to_string().contains("`Map`"), "{error}");
    is(
        Map(BTreeMap::from([((1, 2), 3)])),
        r#"[["Map",1,4],[2,3],1,2,3]"#,
    );
    is(
        Map(BTreeMap::from([("a".to_owned(), 1)])),
        r#"[["Map",1,2],"a",1]"#,
    );
    is(
        Map(User {
            name: "Ann".into(),
            nick: None,
            visits: 1,
        }),
        r#"[["Map",1,2,3,4,5,6],"name","Ann","nick",null,"visits",1]"#,
    );
    is(Map(Vec::<u8>::new()), "[[]]");
}

#[test]
fn only_the_wrapped_map_itself_is_a_map() {
    let inner = BTreeMap::from([("b".to_owned(), 1)]);
    is(
        Map(BTreeMap::from([("a".to_owned(), inner)])),
        r#"[["Map",1,2],"a",{"b":3},1]"#,
    );
}

#[test]
fn sets() {
    is(Set(BTreeSet::from([1, 2])), r#"[["Set",1,2],1,2]"#);
    is(Set(BTreeSet::<u8>::new()), r#"[["Set"]]"#);
    is(Set(vec![vec![1], vec![1]]), r#"[["Set",1,3],[2],1,[2]]"#);
}

#[test]
fn enums() {
    is(Shape::Empty, r#"["Empty"]"#);
    is(Shape::Circle(3), r#"[{"Circle":1},3]"#);
    is(Shape::Line(3, 4), r#"[{"Line":1},[2,3],3,4]"#);
    is(
        Shape::Rectangle {
            width: 3,
            height: 4,
        },
        r#"[{"Rectangle":1},{"width":2,"height":3},3,4]"#,
    );
    reads(r#"[{"Empty":1},null]"#, Shape::Empty);
    refuses::<Shape>(r#"["Sphere"]"#);
    refuses::<Shape>("[7]");
}

#[test]
fn tagged_and_untagged_enums() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Event {
        Login { at: u32 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u32),
        Text(String),
    }
    is(Event::Login { at: 5 }, r#"[{"kind":1,"at":2},"Login",5]"#);
    is(Id::Number(5), "[5]");
    is(Id::Text("x".into()), r#"["x"]"#);
}

#[test]
fn flattened_and_renamed_fields() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Outer {
        first_name: String,
        #[serde(flatten)]
        rest: BTreeMap<String, u32>,
    }
    is(
        Outer {
            first_name: "Ann".into(),
            rest: BTreeMap::from([("age".into(), 30)]),
        },
        r#"[{"firstName":1,"age":2},"Ann",30]"#,
    );
}

#[test]
fn bytes() {
    is(
        Bytes(vec![1, 2, 3]),
        r#"[["Uint8Array",1],["ArrayBuffer","AQID"]]"#,
    );
    is(vec![1_u8, 2, 1], "[[1,2,1],1,2]");
    reads(r#"[["ArrayBuffer","AQID"]]"#, Bytes(vec![1, 2, 3]));
    reads(
        r#"[["Uint8Array",1,1,2],["ArrayBuffer","AQIDBA=="]]"#,
        Bytes(vec![2, 3]),
    );
    reads("[[1,2],7,8]", Bytes(vec![7, 8]));
    assert_eq!(format!("{:?}", Bytes(b"secret".to_vec())), "Bytes(6 bytes)");
}

#[test]
fn typed_arrays_are_read_as_sequences_of_their_elements() {
    reads(
        r#"[["Uint8Array",1],["ArrayBuffer","AQL/"]]"#,
        vec![1_u8, 2, 255],
    );
    reads(
        r#"[["Int8Array",1],["ArrayBuffer","AQL/"]]"#,
        vec![1, 2, -1],
    );
    reads(
        r#"[["Uint16Array",1],["ArrayBuffer","AQACAA=="]]"#,
        vec![1_u16, 2],
    );
    reads(
        r#"[["Float16Array",1],["ArrayBuffer","AAAAPABA8Fc="]]"#,
        vec![0.0, 1.0, 2.0, 127.0],
    );
    reads(
        r#"[["Float32Array",1],["ArrayBuffer","AADAPw=="]]"#,
        vec![1.5_f32],
    );
    reads(
        r#"[["Float64Array",1],["ArrayBuffer","mpmZmZmZuT8="]]"#,
        vec![0.1],
    );
    reads(
        r#"[["BigUint64Array",1],["ArrayBuffer","//////////8="]]"#,
        vec![u64::MAX],
    );
}

#[test]
fn dates_of_the_standard_library() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Login {
        #[serde(with = "serde_devalue::as_date")]
        at: SystemTime,
    }
    is(
        Login {
            at: UNIX_EPOCH + Duration::from_millis(5),
        },
        r#"[{"at":1},["Date","1970-01-01T00:00:00.005Z"]]"#,
    );
    is(
        Login {
            at: UNIX_EPOCH - Duration::from_millis(1),
        },
        r#"[{"at":1},["Date","1969-12-31T23:59:59.999Z"]]"#,
    );
    refuses::<Login>(r#"[{"at":1},["Date",""]]"#);
    is(Date::INVALID, r#"[["Date",""]]"#);
    reads("[1772600767089]", Date::from_millis(1_772_600_767_089));
    reads(
        r#"["2026-03-04T05:06:07.089Z"]"#,
        Date::from_millis(1_772_600_767_089),
    );
    reads(
        r#"[["Date","2026-03-04T05:06:07.089Z"]]"#,
        "2026-03-04T05:06:07.089Z".to_owned(),
    );
}

#[cfg(feature = "time")]
#[test]
fn dates_of_the_crate_time() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Login {
        #[serde(with = "serde_devalue::as_date")]
        at: time::OffsetDateTime,
    }
    is(
        Login {
            at: time::OffsetDateTime::UNIX_EPOCH,
        },
        r#"[{"at":1},["Date","1970-01-01T00:00:00.000Z"]]"#,
    );
    refuses::<Login>(r#"[{"at":1},["Date","+275760-09-13T00:00:00.000Z"]]"#);
}

#[cfg(feature = "jiff")]
#[test]
fn dates_of_the_crate_jiff() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Login {
        #[serde(with = "serde_devalue::as_date")]
        at: jiff::Timestamp,
    }
    is(
        Login {
            at: jiff::Timestamp::UNIX_EPOCH,
        },
        r#"[{"at":1},["Date","1970-01-01T00:00:00.000Z"]]"#,
    );
    refuses::<Login>(r#"[{"at":1},["Date","+275760-09-13T00:00:00.000Z"]]"#);
}

#[test]
fn urls_and_bigints() {
    is(
        Url::parse("https://example.com/a").unwrap(),
        r#"[["URL","https://example.com/a"]]"#,
    );
    reads(
        r#"["https://example.com/a"]"#,
        Url::parse("https://example.com/a").unwrap(),
    );
    reads(
        r#"[["URL",1],"https://example.com/a"]"#,
        "https://example.com/a".to_owned(),
    );
    refuses::<Url>(r#"["nowhere"]"#);
    let huge: BigInt = "123456789012345678901234567890123456789012345"
        .parse()
        .unwrap();
    is(
        huge,
        r#"[["BigInt","123456789012345678901234567890123456789012345"]]"#,
    );
    reads("[7]", BigInt::from(7));
    reads(r#"["7"]"#, BigInt::from(7));
}

#[test]
fn strings_are_borrowed_where_they_stand_without_escapes() {
    let text = r#"[[1,2],"plain","with \"escapes\""]"#;
    let read: Vec<Cow<'_, str>> = {
        #[derive(Deserialize)]
        struct Borrowed<'a>(#[serde(borrow)] Vec<CowStr<'a>>);
        #[derive(Deserialize)]
        struct CowStr<'a>(#[serde(borrow)] Cow<'a, str>);
        from_str::<Borrowed<'_>>(text)
            .unwrap()
            .0
            .into_iter()
            .map(|text| text.0)
            .collect()
    };
    assert!(matches!(read[..], [Cow::Borrowed("plain"), Cow::Owned(_)]));
    refuses::<HashMap<String, u8>>(r#"["text"]"#);
}

#[test]
fn a_lone_surrogate_is_an_error_for_a_rust_string_and_kept_by_a_value() {
    let text = r#"["a\ud800"]"#;
    assert_eq!(
        from_str::<String>(text).unwrap_err().kind(),
        ErrorKind::LoneSurrogate
    );
    is(Value::String(JsString::from_utf16(&[0x61, 0xd800])), text);
}

#[test]
fn values_within_types() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        any: Value,
        rest: Vec<Value>,
    }
    is(
        Holder {
            any: from_str(r#"[["Map",1,0],"me"]"#).unwrap(),
            rest: vec![Value::Null, Value::Undefined],
        },
        r#"[{"any":1,"rest":3},["Map",2,1],"me",[4,-1],null]"#,
    );
    reads(
        r#"[{"rest":1},[]]"#,
        Holder {
            any: Value::Undefined,
            rest: vec![],
        },
    );
    is(
        Holder {
            any: Value::Undefined,
            rest: vec![],
        },
        r#"[{"any":-1,"rest":1},[]]"#,
    );
}

#[test]
fn other_formats_take_the_wrappers() {
    let date = Date::from_millis(5);
    assert_eq!(
        serde_json::to_string(&date).unwrap(),
        r#""1970-01-01T00:00:00.005Z""#
    );
    assert_eq!(
        serde_json::from_str::<Date>(r#""1970-01-01T00:00:00.005Z""#).unwrap(),
        date
    );
    let map = Map(BTreeMap::from([("a".to_owned(), 1)]));
    assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":1}"#);
    assert_eq!(
        serde_json::from_str::<Map<BTreeMap<String, i32>>>(r#"{"a":1}"#).unwrap(),
        map
    );
    let value: Value = from_str("[[1,1],{}]").unwrap();
    let json = serde_json::to_string(&value).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    let any: serde_json::Value = from_str(r#"[{"a":1,"b":2},[3,-1],["Date",""],1.5]"#).unwrap();
    assert_eq!(any, serde_json::json!({ "a": [1.5, null], "b": null }));
}

#[test]
fn a_key_that_javascript_would_drop_is_refused() {
    let error = to_string(&BTreeMap::from([("__proto__", 1)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unwritable);
}

#[test]
fn integer_keys_come_first_and_are_numbered_first_in_whatever_order_they_come() {
    #[derive(Serialize)]
    struct Odd {
        b: &'static str,
        #[serde(rename = "2")]
        two: &'static str,
        #[serde(rename = "1")]
        one: &'static str,
    }
    assert_eq!(
        to_string(&Odd {
            b: "x",
            two: "y",
            one: "z"
        })
        .unwrap(),
        r#"[{"1":1,"2":2,"b":3},"z","y","x"]"#
    );
}

#[test]
fn a_writer_that_is_used_without_balance_is_an_error() {
    type Misuse = fn(&mut Writer);
    let misuses: [Misuse; 9] = [
        |_| {},
        |writer| writer.begin_array(),
        |writer| writer.end(),
        |writer| writer.key("a"),
        |writer| writer.hole(),
        |writer| {
            writer.null();
            writer.null();
        },
        |writer| {
            writer.begin_object();
            writer.null();
            writer.end();
        },
        |writer| {
            writer.begin_object();
            writer.key("a");
            writer.end();
        },
        |writer| {
            writer.begin_map();
            writer.null();
            writer.end();
        },
    ];
    for (number, misuse) in misuses.into_iter().enumerate() {
        let mut writer = Writer::new(WriteOptions::new());
        misuse(&mut writer);
        assert_eq!(
            writer.finish().map_err(|error| error.kind()),
            Err(ErrorKind::Unwritable),
            "misuse {number}"
        );
    }
}

#[test]
fn a_failed_part_fails_the_whole() {
    let mut writer = Writer::new(WriteOptions::new());
    writer.begin_array();
    assert!(writer.serialize(&BTreeMap::from([((), 1)])).is_err());
    writer.end();
    assert!(writer.finish().is_err());
}

#[test]
fn custom_tags_are_read_where_they_are_declared() {
    let text = r#"[["Money",1],{"amount":2},5]"#;
    assert_eq!(
        from_str::<Value>(text).unwrap_err().kind(),
        ErrorKind::UnknownTag
    );
    let options = serde_devalue::ParseOptions::new().custom_tag("Money");
    let document = Document::parse_with(text, options).unwrap();
    let Value::Custom(money) = document.root().to_value().unwrap() else {
        panic!("a custom value")
    };
    assert_eq!(money.tag, "Money");
    assert_eq!(to_string(&Value::Custom(money)).unwrap(), text);
    assert_eq!(
        document
            .root()
            .deserialize::<HashMap<String, u8>>()
            .unwrap()["amount"],
        5
    );
}
