//! A session as the payload of a token: JSON instead of devalue.

use std::borrow::Cow;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_devalue::Value;
use serde_json::Value as Json;

use super::backing::{Opened, Sealing};
use crate::session::CookieRejection;
use crate::session::encode;
use crate::session::lifetime::{RecordLifetime, Timeout};
use crate::session::record::{self, Item, RESERVED, Record, Stored};
use crate::{Bytes, Error, ErrorKind, Result, Timestamp};

/// The claims of the npm package, in its order, and two more: the expiry, which the package respects, and `session`,
/// which the package drops when it writes.
#[derive(Serialize, Deserialize)]
pub(super) struct Payload {
    data: IndexMap<String, Json>,
    #[serde(default)]
    flash: IndexMap<String, Json>,
    /// When it was issued, in epoch seconds.
    iat: f64,
    /// When it expires, in epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<f64>,
    /// When it becomes valid, in epoch seconds.
    #[serde(default, skip_serializing)]
    nbf: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Ours>,
}

/// The parts of a session that JSON data cannot represent. Times are in epoch milliseconds.
#[derive(Serialize, Deserialize)]
struct Ours {
    created: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<u64>,
    /// In milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    never_idle: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    persistent: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    own_deadline: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renewed: Option<u64>,
    /// When single values expire.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    expires: IndexMap<String, f64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

pub(super) fn payload_of(sealing: &Sealing<'_>) -> Result<Payload> {
    let bytes = Bytes::copy_from_slice(sealing.record);
    let Stored::Record(record) = record::parse(bytes)? else {
        return Err(not_json("the session", "a record"));
    };
    let mut expires = IndexMap::new();
    let mut data = IndexMap::new();
    for entry in record.entries() {
        let Some(name) = entry.text_name() else {
            return Err(not_json("a name that is a number", "text"));
        };
        if name.starts_with(RESERVED) {
            continue;
        }
        // Expired values were left out when the record was made.
        let Some(item) = record.item_of(&entry, || Timestamp::from_millis(0)) else {
            continue;
        };
        let value = item.node().to_value().map_err(record::corrupt)?;
        let json = to_json(value).map_err(|kind| not_json(&name, kind))?;
        if let (Some(expiry), Some(_)) = (item.expires, &json) {
            expires.insert(name.clone().into_owned(), expiry);
        }
        data.extend(json.map(|json| (name.into_owned(), json)));
    }
    let mut flash = IndexMap::new();
    for (name, node) in record.flashes() {
        let value = node.to_value().map_err(record::corrupt)?;
        let json = to_json(value).map_err(|kind| not_json(&name, kind))?;
        flash.extend(json.map(|json| (name.into_owned(), json)));
    }
    Ok(Payload {
        data,
        flash,
        iat: seconds(sealing.issued).floor(),
        exp: Some(seconds(sealing.expires_at).ceil()),
        nbf: None,
        session: ours(&record, expires),
    })
}

fn ours(record: &Record, expires: IndexMap<String, f64>) -> Option<Ours> {
    let lifetime = record.lifetime()?;
    Some(Ours {
        created: lifetime.created.as_millis(),
        deadline: lifetime.deadline.map(Timestamp::as_millis),
        idle: match lifetime.idle {
            Timeout::After(idle) => u64::try_from(idle.as_millis()).ok(),
            Timeout::Configured | Timeout::Never => None,
        },
        never_idle: lifetime.idle == Timeout::Never,
        persistent: lifetime.persistent,
        own_deadline: lifetime.own_deadline,
        renewed: lifetime.renewed.map(Timestamp::as_millis),
        expires,
    })
}

pub(super) fn open(payload: Payload, now: Timestamp) -> Result<Opened, CookieRejection> {
    if payload.nbf.is_some_and(|since| since > seconds(now)) {
        return Err(CookieRejection::Expired);
    }
    let expires = |name: &str| {
        let ours = payload.session.as_ref()?;
        ours.expires.get(name).copied()
    };
    let item = |json: &Json, expires| {
        let document = serde_devalue::to_document(&javascript(json))
            .map_err(|_| CookieRejection::Malformed)?;
        Ok(Item::whole(document, expires))
    };
    let items = payload
        .data
        .iter()
        .filter(|(name, _)| !name.starts_with(RESERVED))
        .map(|(name, json)| Ok((name.as_str(), item(json, expires(name))?)))
        .collect::<Result<Vec<_>, CookieRejection>>()?;
    let flashes = payload
        .flash
        .iter()
        .map(|(name, json)| Ok((name.as_str(), item(json, None)?)))
        .collect::<Result<Vec<_>, CookieRejection>>()?;
    let lifetime = payload.session.as_ref().map(|ours| RecordLifetime {
        created: Timestamp::from_millis(ours.created),
        deadline: ours.deadline.map(Timestamp::from_millis),
        idle: match ours.idle {
            _ if ours.never_idle => Timeout::Never,
            Some(idle) => Timeout::After(Duration::from_millis(idle)),
            None => Timeout::Configured,
        },
        persistent: ours.persistent,
        own_deadline: ours.own_deadline,
        renewed: ours.renewed.map(Timestamp::from_millis),
    });
    let record = encode::record_of(&items, &flashes, lifetime.as_ref())
        .map_err(|_| CookieRejection::Malformed)?;
    Ok(Opened {
        record,
        issued: timestamp(payload.iat)?,
        expires_at: payload.exp.map(timestamp).transpose()?,
    })
}

/// A JSON value as JavaScript reads it, whose numbers are doubles.
fn javascript(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::Array(items.iter().map(javascript).collect()),
        Json::Object(members) => members
            .iter()
            .map(|(key, value)| (key.as_str(), javascript(value)))
            .collect::<serde_devalue::Object>()
            .into(),
    }
}

fn seconds(time: Timestamp) -> f64 {
    record::to_expires(time) / 1_000.0
}

fn timestamp(seconds: f64) -> Result<Timestamp, CookieRejection> {
    record::to_timestamp(seconds * 1_000.0).ok_or(CookieRejection::Malformed)
}

/// Converts a value to JSON; `None` if JavaScript leaves it out. The error names the type that JSON does not have.
fn to_json(value: Value) -> Result<Option<Json>, &'static str> {
    Ok(Some(match value {
        Value::Undefined => return Ok(None),
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(value),
        Value::Number(number) => to_number(number)?,
        Value::String(text) => Json::String(
            text.into_string()
                .map_err(|_| "a string with an unpaired surrogate")?,
        ),
        Value::Array(items) => {
            let items = items
                .into_iter()
                // As in JavaScript: an array has no gaps.
                .map(|item| Ok(to_json(item)?.unwrap_or(Json::Null)));
            Json::Array(items.collect::<Result<_, &'static str>>()?)
        }
        Value::Object(object) => {
            let mut members = serde_json::Map::new();
            for (key, value) in object {
                let key = key
                    .into_string()
                    .map_err(|_| "a key with an unpaired surrogate")?;
                if let Some(value) = to_json(value)? {
                    members.insert(key, value);
                }
            }
            Json::Object(members)
        }
        // Rust maps with string keys are written as a Map; they are read from objects as well.
        Value::Map(entries) => {
            let mut members = serde_json::Map::new();
            for (key, value) in entries {
                let Value::String(key) = key else {
                    return Err("a Map with keys that are not strings");
                };
                let key = key
                    .into_string()
                    .map_err(|_| "a key with an unpaired surrogate")?;
                members.insert(key, to_json(value)?.unwrap_or(Json::Null));
            }
            Json::Object(members)
        }
        Value::Anchor(_, value) => return to_json(*value),
        Value::Alias(_) => return Err("an object that is referenced twice"),
        Value::BigInt(_) => return Err("a BigInt or an integer beyond 2^53"),
        Value::Date(_) => return Err("a Date"),
        Value::ArrayBuffer(_) | Value::View(_) => return Err("bytes"),
        _ => return Err("of a type that only JavaScript has"),
    }))
}

fn to_number(number: f64) -> Result<Json, &'static str> {
    /// Up to here every whole number is exact.
    const SAFE: f64 = 9_007_199_254_740_991.0;
    if number.fract() == 0.0
        && number.abs() <= SAFE
        && !(number == 0.0 && number.is_sign_negative())
    {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole and within 2^53"
        )]
        let whole = number as i64;
        return Ok(whole.into());
    }
    serde_json::Number::from_f64(number)
        .map(Json::Number)
        .ok_or("a number that is not finite")
}

fn not_json(name: &str, kind: &str) -> Error {
    Error::new(
        ErrorKind::Unserializable,
        format!(
            "`{name}` is {kind}, which the JSON format of astro-session cannot store. Store another type, or use \
             `format = \"sealed\"`"
        ),
    )
}

pub(super) fn unserializable(error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Unserializable,
        "the session cannot be written as JSON; nothing was changed",
    )
    .with_source(error)
}

/// The text with U+FFFD in place of every escaped half of a surrogate pair, which JavaScript writes of a string that
/// was cut in the middle of a character, and which no text of Rust's can hold.
pub(super) fn without_half_pairs(json: &[u8]) -> Cow<'_, [u8]> {
    const REPLACEMENT: &[u8] = b"\\ufffd";
    let mut changed: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let taken = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => 12,
            (Some(0xd800..0xe000), _) => {
                let text =
                    changed.get_or_insert_with(|| json.get(..at).unwrap_or_default().to_vec());
                text.extend_from_slice(REPLACEMENT);
                at += 6;
                continue;
            }
            (Some(_), _) => 6,
            // Another escape, of which the second character is not to be taken for the begin of one.
            (None, _) if rest.first() == Some(&b'\\') => 2,
            _ => 1,
        };
        let taken = rest.get(..taken).unwrap_or(rest);
        if let Some(text) = &mut changed {
            text.extend_from_slice(taken);
        }
        at += taken.len();
    }
    changed.map_or(Cow::Borrowed(json), Cow::Owned)
}

/// The UTF-16 unit that an escape at the begin of `text` stands for.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_half_pairs_are_replaced() {
        for (json, expected) in [
            (r#""a\ud83d\ude00b""#, r#""a\ud83d\ude00b""#),
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\ude00\ud83dx""#, r#""\ufffd\ufffdx""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\u00e9\n""#, r#""\u00e9\n""#),
            (r#""\"#, r#""\"#),
        ] {
            let replaced = without_half_pairs(json.as_bytes());
            assert_eq!(std::str::from_utf8(&replaced).unwrap(), expected);
        }
    }
}
