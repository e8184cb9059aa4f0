//! How values and their ends are kept: values as unstorage keeps them, ends in the metadata of their keys.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use session_core::Timestamp;

/// What stands before the text of bytes that are none.
const BASE64: &str = "base64:";

/// The mark that some writers put before a text, and which bulk reads take away.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The largest whole number that JavaScript has, in milliseconds the year 287396.
const LATEST: u64 = (1 << 53) - 1;

/// The most seconds that every server can count, 68 years.
const LONGEST_TTL: u64 = i32::MAX as u64;

/// The text that is stored for `value`: itself, or its base64 where it would not come back.
pub(crate) fn text_of(value: Bytes) -> String {
    let encoded = |bytes: &[u8]| [BASE64, &STANDARD.encode(bytes)].concat();
    match String::from_utf8(value.into()) {
        Ok(text) if text.starts_with(BASE64) || text.starts_with(BYTE_ORDER_MARK) => {
            encoded(text.as_bytes())
        }
        Ok(text) => text,
        Err(error) => encoded(error.as_bytes()),
    }
}

/// The value for which `text` was stored.
pub(crate) fn value_of(text: String) -> Bytes {
    let encoded = text.strip_prefix(BASE64);
    match encoded.and_then(|encoded| STANDARD.decode(encoded).ok()) {
        Some(value) => value.into(),
        // A text that only looks like it, which somebody else wrote.
        None => text.into(),
    }
}

/// The value for which `bytes` were stored, text or not.
pub(crate) fn value_of_bytes(bytes: Bytes) -> Bytes {
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.starts_with(BASE64) => value_of(text.to_owned()),
        _ => bytes,
    }
}

/// The metadata of a key: the end of its value, in milliseconds since 1970. Any other is taken as none, and every
/// write replaces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct KeyMetadata {
    #[serde(rename = "expiresAtMs", skip_serializing_if = "Option::is_none")]
    ends_at: Option<u64>,
}

impl KeyMetadata {
    pub(crate) fn ending_at(millis: Option<u64>) -> Self {
        Self { ends_at: millis }
    }

    /// The metadata of a value that ends then.
    pub(crate) fn of(end: Timestamp) -> Self {
        Self::ending_at(Some(end.as_millis().min(LATEST)))
    }

    /// When the value ends: as its writer said, or else by the server's `expiration`, in seconds since 1970.
    pub(crate) fn end(self, expiration: Option<f64>) -> Option<Timestamp> {
        // A cast of a float saturates.
        let native = || expiration.map(|seconds| (seconds * 1_000.0) as u64);
        self.ends_at.or_else(native).map(Timestamp::from_millis)
    }
}

impl<'de> Deserialize<'de> for KeyMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let any = Value::deserialize(deserializer)?;
        Ok(Self::ending_at(
            any.get("expiresAtMs").and_then(Value::as_u64),
        ))
    }
}

/// After how many seconds the server is to remove what ends at `end`: never before that, however its clock and ours
/// differ, and never below its minimum. `None` is never, for what lives longer than it can count.
pub(crate) fn server_ttl(end: Timestamp, now: Timestamp, minimum: Duration) -> Option<u64> {
    let remaining = end.saturating_since(now).max(minimum);
    let seconds = remaining.as_secs() + u64::from(remaining.subsec_nanos() > 0);
    (seconds <= LONGEST_TTL).then_some(seconds)
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
            assert_eq!(text_of(value.clone()), text);
            assert_eq!(value_of(text.to_owned()), value);
            assert_eq!(value_of_bytes(Bytes::from(text)), value);
        }
    }

    #[test]
    fn what_only_looks_like_base64_stays() {
        for text in ["base64:!!", "base64:AP8", "base64:aGk=x"] {
            assert_eq!(value_of(text.to_owned()), text);
        }
        assert_eq!(
            value_of_bytes(Bytes::from_static(b"base64:\xff")),
            &b"base64:\xff"[..]
        );
    }

    #[test]
    fn metadata_of_others_says_nothing() {
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
        assert_eq!(ours.end(Some(1.0)), Some(Timestamp::from_millis(7)));
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
    fn the_servers_expiration_is_never_too_early_and_never_below_its_minimum() {
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
    fn what_another_ends_by_the_servers_own_means_ends_then() {
        let end = |expiration| KeyMetadata::default().end(expiration);
        assert_eq!(end(None), None);
        assert_eq!(end(Some(1.5)), Some(Timestamp::from_millis(1_500)));
        assert_eq!(end(Some(-1.0)), Some(Timestamp::from_millis(0)));
    }
}
