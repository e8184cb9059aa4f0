//! The stored form of values and expiry: values as unstorage stores them, expiry in the metadata of the key.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use session_core::Timestamp;

/// The prefix of values that are stored as base64.
const BASE64: &str = "base64:";

/// The byte order mark, which bulk reads remove.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The largest exact integer of JavaScript; as milliseconds, the year 287396.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The longest time to live that every server supports, in seconds: 68 years.
const MAX_TTL: u64 = i32::MAX as u64;

/// The text that is stored for `value`: the value itself, or its base64 if it would not be read back unchanged.
pub(crate) fn encode(value: Bytes) -> String {
    let encoded = |bytes: &[u8]| [BASE64, &STANDARD.encode(bytes)].concat();
    match String::from_utf8(value.into()) {
        Ok(text) if text.starts_with(BASE64) || text.starts_with(BYTE_ORDER_MARK) => {
            encoded(text.as_bytes())
        }
        Ok(text) => text,
        Err(error) => encoded(error.as_bytes()),
    }
}

/// The value of a stored text.
pub(crate) fn decode(text: String) -> Bytes {
    let encoded = text.strip_prefix(BASE64);
    match encoded.and_then(|encoded| STANDARD.decode(encoded).ok()) {
        Some(value) => value.into(),
        // Another program wrote a text that only looks like base64.
        None => text.into(),
    }
}

/// The value of stored bytes, which may not be text.
pub(crate) fn decode_bytes(bytes: Bytes) -> Bytes {
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.starts_with(BASE64) => decode(text.to_owned()),
        _ => bytes,
    }
}

/// The metadata of a key: the expiry of its value, in milliseconds since 1970. Metadata of another form is ignored, and
/// every write replaces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct KeyMetadata {
    #[serde(rename = "expiresAtMs", skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
}

impl KeyMetadata {
    pub(crate) fn from_millis(millis: Option<u64>) -> Self {
        Self {
            expires_at_ms: millis,
        }
    }

    /// The metadata of a value that expires at `at`.
    pub(crate) fn of(at: Timestamp) -> Self {
        Self::from_millis(Some(at.as_millis().min(MAX_SAFE_INTEGER)))
    }

    /// When the value expires: as its writer said, or else by the server's `expiration`, in seconds since 1970.
    pub(crate) fn expires_at(self, expiration: Option<f64>) -> Option<Timestamp> {
        // A cast from a float saturates.
        let native = || expiration.map(|seconds| (seconds * 1_000.0) as u64);
        self.expires_at_ms
            .or_else(native)
            .map(Timestamp::from_millis)
    }
}

/// The methods of a visitor for values that carry nothing.
macro_rules! other {
    ($nothing:expr) => {
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

/// Takes our own field from an object, and nothing from other metadata, which is skipped and not kept.
impl<'de> Deserialize<'de> for KeyMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Metadata;

        impl<'de> Visitor<'de> for Metadata {
            type Value = KeyMetadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("metadata")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeyMetadata, A::Error> {
                let mut millis = None;
                while let Some(name) = map.next_key::<Name>()? {
                    match name {
                        Name::ExpiresAtMs => millis = map.next_value::<Millis>()?.0,
                        Name::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(KeyMetadata::from_millis(millis))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<KeyMetadata, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(KeyMetadata::default())
            }

            other! { KeyMetadata::default() }

            fn visit_u64<E>(self, _: u64) -> Result<KeyMetadata, E> {
                Ok(KeyMetadata::default())
            }
        }

        deserializer.deserialize_any(Metadata)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Name {
    #[serde(rename = "expiresAtMs")]
    ExpiresAtMs,
    #[serde(other)]
    Other,
}

/// A number of milliseconds, or anything else.
struct Millis(Option<u64>);

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl<'de> Visitor<'de> for Number {
            type Value = Millis;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E>(self, millis: u64) -> Result<Millis, E> {
                Ok(Millis(Some(millis)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Millis, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Millis(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Millis, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Millis(None))
            }

            other! { Millis(None) }
        }

        deserializer.deserialize_any(Number)
    }
}

/// The time to live in seconds that the server is sent for an entry that expires at `expires_at`.
///
/// It is rounded up and not below the server's minimum, so that the server never removes an entry too early. `None` means
/// never, if the time exceeds what the server supports.
pub(crate) fn server_ttl(expires_at: Timestamp, now: Timestamp, minimum: Duration) -> Option<u64> {
    let remaining = expires_at.saturating_since(now).max(minimum);
    let seconds = remaining.as_secs() + u64::from(remaining.subsec_nanos() > 0);
    (seconds <= MAX_TTL).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stored_as_unstorage_stores_them_and_come_back() {
        for (value, text) in [
            (&b"text"[..], "text"),
            (b"", ""),
            (b"{\"a\":1}", "{\"a\":1}"),
            (b"\x00\xff", "base64:AP8="),
            (b"base64:AP8=", "base64:YmFzZTY0OkFQOD0="),
            (b"\xef\xbb\xbfmark", "base64:77u/bWFyaw=="),
        ] {
            let value = Bytes::from_static(value);
            assert_eq!(encode(value.clone()), text);
            assert_eq!(decode(text.to_owned()), value);
            assert_eq!(decode_bytes(Bytes::from(text)), value);
        }
    }

    #[test]
    fn text_that_only_looks_like_base64_is_unchanged() {
        for text in ["base64:!!", "base64:AP8", "base64:aGk=x"] {
            assert_eq!(decode(text.to_owned()), text);
        }
        assert_eq!(
            decode_bytes(Bytes::from_static(b"base64:\xff")),
            &b"base64:\xff"[..]
        );
    }

    #[test]
    fn metadata_of_other_programs_is_ignored() {
        for json in [
            "null",
            "5",
            "\"expiresAtMs\"",
            "[]",
            "{}",
            r#"{"expiresAtMs":"7"}"#,
            r#"{"expiresAtMs":-7}"#,
            r#"{"expiresAtMs":null}"#,
        ] {
            let metadata: KeyMetadata = serde_json::from_str(json).unwrap();
            assert_eq!(metadata, KeyMetadata::default(), "{json}");
        }
        let ours: KeyMetadata = serde_json::from_str(r#"{"expiresAtMs":7,"more":1}"#).unwrap();
        assert_eq!(ours.expires_at(Some(1.0)), Some(Timestamp::from_millis(7)));
    }

    #[test]
    fn the_longest_metadata_is_within_cloudflares_limit_and_exact_in_javascript() {
        const LIMIT: usize = 1_024;
        let metadata = KeyMetadata::of(Timestamp::from_millis(u64::MAX));
        let json = serde_json::to_string(&metadata).unwrap();
        assert_eq!(json, r#"{"expiresAtMs":9007199254740991}"#);
        assert!(json.len() <= LIMIT);
    }

    #[test]
    fn the_servers_ttl_is_never_too_short_and_never_below_its_minimum() {
        let minimum = Duration::from_secs(60);
        let now = Timestamp::from_millis(1_000_000);
        let ttl = |millis: u64| {
            let end = Timestamp::from_millis(now.as_millis().saturating_add(millis));
            server_ttl(end, now, minimum)
        };
        assert_eq!(ttl(0), Some(60));
        assert_eq!(ttl(5_000), Some(60));
        assert_eq!(ttl(60_000), Some(60));
        assert_eq!(ttl(60_001), Some(61));
        assert_eq!(ttl(u64::MAX), None);
        assert_eq!(
            server_ttl(Timestamp::from_millis(0), now, minimum),
            Some(60)
        );
    }

    #[test]
    fn the_servers_own_expiration_counts_for_entries_of_other_programs() {
        let end = |expiration| KeyMetadata::default().expires_at(expiration);
        assert_eq!(end(None), None);
        assert_eq!(end(Some(1.5)), Some(Timestamp::from_millis(1_500)));
        assert_eq!(end(Some(-1.0)), Some(Timestamp::from_millis(0)));
    }
}
