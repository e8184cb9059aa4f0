//! A description of a value in JSON, the same that the vectors and the JavaScript side of the tests make.

use serde_devalue::{Object, Value};
use serde_json::{Map, Value as Json, json};

pub(crate) fn describe(value: &Value) -> Json {
    any(value, None)
}

fn any(value: &Value, id: Option<u32>) -> Json {
    let mut description = match value {
        Value::Undefined => json!({ "t": "undefined" }),
        Value::Null => json!({ "t": "null" }),
        Value::Bool(bool) => json!({ "t": "bool", "v": bool }),
        Value::Number(number) => {
            json!({ "t": "num", "v": displayed(*number), "f64": bits(*number) })
        }
        Value::String(text) => match text.as_str() {
            Some(text) => json!({ "t": "str", "v": text }),
            None => {
                let units: Vec<String> = text
                    .encode_utf16()
                    .iter()
                    .map(|unit| format!("{unit:04x}"))
                    .collect();
                json!({ "t": "str", "u16": units.join(" ") })
            }
        },
        Value::BigInt(int) => json!({ "t": "bigint", "v": int.as_str() }),
        Value::Date(date) => json!({ "t": "date", "v": date.to_string(), "ms": date.as_millis() }),
        Value::RegExp(regexp) => {
            json!({ "t": "regexp", "source": regexp.source(), "flags": regexp.flags() })
        }
        Value::Url(url) => json!({ "t": "url", "v": url.as_str() }),
        Value::UrlSearchParams(params) => json!({ "t": "urlsearchparams", "v": params }),
        Value::Temporal(kind, text) => json!({ "t": "temporal", "kind": kind.name(), "v": text }),
        Value::Array(items) => json!({ "t": "array", "v": all(items) }),
        Value::SparseArray(array) => {
            let items: Vec<Json> = array
                .items
                .iter()
                .map(|(index, item)| json!([index, describe(item)]))
                .collect();
            json!({ "t": "array", "length": array.length, "items": items })
        }
        Value::Object(object) if object.has_null_prototype() => {
            json!({ "t": "nullobj", "v": members(object) })
        }
        Value::Object(object) => json!({ "t": "object", "v": members(object) }),
        Value::Map(entries) => {
            let entries: Vec<Json> = entries
                .iter()
                .map(|(key, value)| json!([describe(key), describe(value)]))
                .collect();
            json!({ "t": "map", "v": entries })
        }
        Value::Set(items) => json!({ "t": "set", "v": all(items) }),
        Value::Boxed(primitive) => json!({ "t": "boxed", "v": describe(primitive) }),
        Value::ArrayBuffer(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "t": "arraybuffer", "hex": hex })
        }
        Value::View(view) => {
            let buffer = describe(&view.buffer);
            match view.kind.name() {
                "DataView" => json!({
                    "t": "dataview", "byteOffset": view.byte_offset, "byteLength": view.length, "buffer": buffer,
                }),
                kind => json!({
                    "t": "typed", "kind": kind, "byteOffset": view.byte_offset, "length": view.length,
                    "buffer": buffer,
                }),
            }
        }
        Value::Anchor(id, value) => return any(value, Some(id.0)),
        Value::Alias(id) => return json!({ "t": "ref", "id": id.0 }),
        other => panic!("no description of {other:?}"),
    };
    if let (Some(id), Some(description)) = (id, description.as_object_mut()) {
        let rest = std::mem::replace(description, Map::from_iter([("id".to_owned(), id.into())]));
        description.extend(rest);
    }
    description
}

fn all(items: &[Value]) -> Vec<Json> {
    items.iter().map(describe).collect()
}

fn members(object: &Object) -> Vec<Json> {
    object
        .iter()
        .map(|(key, value)| match key.as_str() {
            Some(key) => json!([key, describe(value)]),
            None => {
                let Json::Object(key) = describe(&Value::String(key.clone())) else {
                    unreachable!()
                };
                json!([{ "u16": key["u16"] }, describe(value)])
            }
        })
        .collect()
}

fn displayed(number: f64) -> String {
    if number == 0.0 && number.is_sign_negative() {
        return "-0".to_owned();
    }
    ryu_js::Buffer::new().format(number).to_owned()
}

fn bits(number: f64) -> String {
    if number.is_nan() {
        "7ff8000000000000".to_owned()
    } else {
        format!("{:016x}", number.to_bits())
    }
}
