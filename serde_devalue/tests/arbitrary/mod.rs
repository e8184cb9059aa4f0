//! Random values of every type of the format, with shared objects and cycles.

use std::collections::HashSet;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_devalue::{
    AnchorId, BigInt, Date, JsString, Object, RegExp, SparseArray, Url, Value, View, ViewKind,
};

pub(crate) fn value() -> impl Strategy<Value = Value> {
    tree().prop_map(|mut tree| {
        let mut sharing = Sharing::default();
        sharing.find(&mut tree, true);
        sharing.put_anchors(&mut tree, &mut 0);
        sharing.number(&mut tree);
        tree
    })
}

fn string() -> impl Strategy<Value = JsString> {
    prop_oneof![
        4 => ".{0,8}".prop_map(JsString::from),
        2 => "[\"\\\\<>/\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}\u{2028}\u{2029}a]{0,6}".prop_map(JsString::from),
        1 => vec(prop_oneof![0xd7fe_u16..0xe001, any::<u16>()], 0..6).prop_map(|units| JsString::from_utf16(&units)),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-10_i32..100).prop_map(f64::from),
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e21,
            5e-324,
            9_007_199_254_740_993.0,
            f64::MAX,
        ]),
    ]
}

fn bigint() -> impl Strategy<Value = BigInt> {
    prop_oneof![
        any::<i32>().prop_map(BigInt::from),
        any::<i128>().prop_map(BigInt::from)
    ]
}

fn primitive() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Undefined),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::Number),
        string().prop_map(Value::String),
        bigint().prop_map(Value::BigInt),
    ]
}

fn leaf() -> impl Strategy<Value = Value> {
    let regexps = ["a+b", "", "[/\\]\"<]\\n", "/\n\u{2028}", "\\\\\\/x"];
    let urls = [
        "https://EXAMPLE.com/a/../b?q=<>#h",
        "data:,x%20y",
        "mailto:a@b.c",
    ];
    let kinds = vec![
        ViewKind::Int8Array,
        ViewKind::Uint8Array,
        ViewKind::Uint8ClampedArray,
        ViewKind::Int16Array,
        ViewKind::Uint16Array,
        ViewKind::Int32Array,
        ViewKind::Uint32Array,
        ViewKind::Float32Array,
        ViewKind::Float64Array,
        ViewKind::BigInt64Array,
        ViewKind::BigUint64Array,
        ViewKind::DataView,
    ];
    prop_oneof![
        (-8_640_000_000_000_001_i64..=8_640_000_000_000_001)
            .prop_map(|millis| Value::Date(Date::from_millis(millis))),
        (-100_000_000_000_000_i64..100_000_000_000_000)
            .prop_map(|millis| Value::Date(Date::from_millis(millis))),
        (prop::sample::select(regexps.to_vec()), "g?i?m?u?y?")
            .prop_map(|(source, flags)| Value::RegExp(RegExp::new(source, &flags).unwrap())),
        prop::sample::select(urls.to_vec()).prop_map(|url| Value::Url(Url::parse(url).unwrap())),
        prop::sample::select(vec!["", "a=1&b=x+y&a=2", "%C3%BC=%26"])
            .prop_map(|params| Value::UrlSearchParams(params.to_owned())),
        vec(any::<u8>(), 0..20).prop_map(Value::ArrayBuffer),
        (
            prop::sample::select(kinds),
            vec(any::<u8>(), 0..40),
            any::<u8>(),
            any::<u8>()
        )
            .prop_map(|(kind, mut bytes, offset, length)| {
                let size = kind.element_size();
                bytes.truncate(bytes.len() / size * size);
                let elements = bytes.len() / size;
                let offset = usize::from(offset) % (elements + 1);
                let length = usize::from(length) % (elements - offset + 1);
                Value::View(Box::new(View {
                    kind,
                    buffer: Value::ArrayBuffer(bytes),
                    byte_offset: offset * size,
                    length,
                }))
            }),
        prop_oneof![
            string().prop_map(Value::String),
            number().prop_map(Value::Number),
            bigint().prop_map(Value::BigInt),
            any::<bool>().prop_map(Value::Bool),
        ]
        .prop_map(|primitive| Value::Boxed(Box::new(primitive))),
        // Some object that has been met before.
        any::<u32>().prop_map(|any| Value::Alias(AnchorId(any))),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        3 => string(),
        1 => (0_u32..20).prop_map(|integer| JsString::from(integer.to_string())),
        1 => Just(JsString::from("4294967295")),
    ];
    prop_oneof![3 => primitive(), 2 => leaf()].prop_recursive(4, 40, 6, move |inner| {
        let members = vec((key.clone(), inner.clone()), 0..6);
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            (
                btree_map(0_u32..12, inner.clone(), 0..5),
                prop_oneof![Just(1_u32), Just(4_294_967_283)]
            )
                .prop_map(|(items, more)| {
                    let length = items.last_key_value().map_or(0, |(last, _)| last + 1) + more;
                    Value::SparseArray(Box::new(SparseArray { length, items }))
                }),
            (members, any::<bool>()).prop_map(|(members, null_prototype)| {
                let mut object = if null_prototype {
                    Object::without_prototype()
                } else {
                    Object::new()
                };
                for (key, value) in members.into_iter().filter(|(key, _)| *key != "__proto__") {
                    object.insert(key, value);
                }
                Value::Object(object)
            }),
            vec((inner.clone(), inner.clone()), 0..5).prop_map(Value::Map),
            vec(inner, 0..5).prop_map(Value::Set),
        ]
    })
}

/// Makes aliases refer to objects before them or around them.
#[derive(Default)]
struct Sharing {
    objects: u32,
    targets: HashSet<u32>,
    anchors: std::collections::HashMap<u32, u32>,
}

impl Sharing {
    /// Counts objects in the order of the text, and names the targets of aliases by that number.
    fn find(&mut self, value: &mut Value, may_alias: bool) {
        match value {
            Value::Alias(id) if may_alias && self.objects > 0 => {
                id.0 %= self.objects;
                self.targets.insert(id.0);
            }
            Value::Alias(_) => *value = Value::Undefined,
            value if is_object(value) => {
                self.objects += 1;
                // What is a key already must not be one again.
                let may_alias = !matches!(value, Value::Map(_) | Value::Set(_));
                make_keys_distinct(value);
                for_children(value, &mut |child| self.find(child, may_alias));
            }
            _ => {}
        }
    }

    fn put_anchors(&mut self, value: &mut Value, object: &mut u32) {
        if is_object(value) {
            let this = *object;
            *object += 1;
            for_children(value, &mut |child| self.put_anchors(child, object));
            if self.targets.contains(&this) {
                let inner = std::mem::replace(value, Value::Undefined);
                *value = Value::Anchor(AnchorId(this), Box::new(inner));
            }
        }
    }

    /// Numbers the anchors as reading does.
    fn number(&mut self, value: &mut Value) {
        match value {
            Value::Anchor(id, inner) => {
                let next = self.anchors.len() as u32;
                self.anchors.insert(id.0, next);
                id.0 = next;
                for_children(inner, &mut |child| self.number(child));
            }
            Value::Alias(id) => id.0 = self.anchors[&id.0],
            value => for_children(value, &mut |child| self.number(child)),
        }
    }
}

fn is_object(value: &Value) -> bool {
    !matches!(
        value,
        Value::Undefined
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::BigInt(_)
            | Value::Alias(_)
    )
}

fn make_keys_distinct(value: &mut Value) {
    let mut known: Vec<Value> = Vec::new();
    let mut is_new = |key: &mut Value| {
        if matches!(key, Value::Number(0.0)) {
            *key = Value::Number(0.0);
        }
        let new = is_object(key) || !known.contains(key);
        known.push(key.clone());
        new && !matches!(key, Value::Alias(_))
    };
    match value {
        Value::Map(entries) => entries.retain_mut(|(key, _)| is_new(key)),
        Value::Set(items) => items.retain_mut(is_new),
        _ => {}
    }
}

fn for_children(value: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) | Value::Set(items) => items.iter_mut().for_each(visit),
        Value::SparseArray(array) => array.items.values_mut().for_each(visit),
        Value::Object(object) => object.iter_mut().for_each(|(_, value)| visit(value)),
        Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
            visit(key);
            visit(value);
        }),
        // Its buffer is an object, too.
        Value::View(view) => visit(&mut view.buffer),
        Value::Anchor(_, inner) => for_children(inner, visit),
        _ => {}
    }
}
