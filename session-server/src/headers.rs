//! The headers of the protocol: what the client sends and accepts, the time to live, the last modification.

use std::time::Duration;

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LAST_MODIFIED};
use serde_json::Value;
use session_core::{Expiry, Timestamp};
use session_storage::ItemMetadata;

use crate::response::Rejection;

const TTL: HeaderName = HeaderName::from_static("x-ttl");

/// The remaining milliseconds, or `never`; unlike `x-ttl`, it is exact and says that an item never expires.
const TTL_MILLIS: HeaderName = HeaderName::from_static("x-ttl-ms");

const NEVER: HeaderValue = HeaderValue::from_static("never");

const BYTES: &str = "application/octet-stream";

/// The first time that an HTTP date cannot express: the year 10000.
const FIRST_INVALID_DATE: Timestamp = Timestamp::from_millis(253_402_300_800_000);

/// Whether the client accepts bytes.
pub(crate) fn accepts_bytes(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    let mut ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_bytes = parts
            .next()
            .is_some_and(|range| range.eq_ignore_ascii_case(BYTES));
        let is_refused = |part: &str| {
            let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            quality.and_then(|quality| quality.parse::<f32>().ok()) == Some(0.0)
        };
        is_bytes && !parts.any(is_refused)
    })
}

/// Whether the body of a request is bytes, and not text.
pub(crate) fn sends_bytes(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(BYTES))
}

/// The expiry of the value in a request.
pub(crate) fn expiry(headers: &HeaderMap) -> Result<Expiry, Rejection> {
    let Some(value) = headers.get(TTL) else {
        return Ok(Expiry::Default);
    };
    let seconds = value.to_str().ok().map(str::trim);
    if seconds == Some("never") {
        return Ok(Expiry::Never);
    }
    let seconds = match seconds {
        // JavaScript's `Number("")` is zero, which means no time to live.
        Some("") => Some(0.0),
        Some(text) => text
            .parse::<f64>()
            .ok()
            .filter(|seconds| seconds.is_finite()),
        None => None,
    };
    match seconds {
        Some(0.0) => Ok(Expiry::Default),
        Some(seconds) if seconds > 0.0 => {
            let ttl = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            Ok(Expiry::after(ttl))
        }
        _ => Err(Rejection::bad_request(
            "x-ttl must be a positive number of seconds, or never",
        )),
    }
}

/// Adds the header with the expiry of an item, as a driver that reports it does.
pub(crate) fn insert_expiry(headers: &mut HeaderMap, expires_at: Option<Timestamp>) {
    let value = match expires_at {
        None => NEVER,
        Some(at) => {
            let left = at.saturating_since(Timestamp::now()).as_millis();
            u64::try_from(left).unwrap_or(u64::MAX).into()
        }
    };
    headers.insert(TTL_MILLIS, value);
}

/// Adds the headers with the metadata of an item.
pub(crate) fn insert_metadata(headers: &mut HeaderMap, metadata: &ItemMetadata) {
    if let Some(modified) = modified_at(metadata).and_then(http_date) {
        headers.insert(LAST_MODIFIED, modified);
    }
    if let Some(ttl) = ttl(metadata) {
        headers.insert(TTL, ttl);
    }
}

fn http_date(time: Timestamp) -> Option<HeaderValue> {
    if time >= FIRST_INVALID_DATE {
        return None;
    }
    let date = httpdate::fmt_http_date(time.to_system_time()?);
    HeaderValue::from_str(&date).ok()
}

/// The `mtime` of the custom metadata, or else the time that the driver knows.
fn modified_at(metadata: &ItemMetadata) -> Option<Timestamp> {
    let custom = match metadata.custom.get("mtime") {
        Some(Value::String(text)) => parse_date(text),
        Some(Value::Number(millis)) => millis.as_u64().map(Timestamp::from_millis),
        _ => None,
    };
    custom.or_else(|| metadata.native.as_ref()?.modified_at)
}

/// Parses a date as JavaScript writes it: in JSON, or with `toUTCString`.
fn parse_date(text: &str) -> Option<Timestamp> {
    let millis = text
        .parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond);
    let millis = millis.and_then(|millis| u64::try_from(millis).ok());
    let date = || httpdate::parse_http_date(text).ok().map(Timestamp::from);
    millis.map(Timestamp::from_millis).or_else(date)
}

fn ttl(metadata: &ItemMetadata) -> Option<HeaderValue> {
    if let Some(custom) = metadata.custom.get("ttl").and_then(Value::as_f64) {
        return HeaderValue::from_str(&custom.to_string())
            .ok()
            .filter(|_| custom > 0.0);
    }
    let expires_at = metadata.native.as_ref()?.expires_at?;
    let remaining = expires_at.saturating_since(Timestamp::now());
    let seconds = remaining.as_secs() + u64::from(remaining.subsec_nanos() > 0);
    (seconds > 0).then(|| seconds.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn bytes_are_accepted_among_other_types() {
        for (accept, expected) in [
            ("application/octet-stream", true),
            ("Application/Octet-Stream, */*;q=0.1", true),
            ("text/plain, application/octet-stream;q=0.5", true),
            ("application/octet-stream;q=0", false),
            ("application/octet-stream; q=0.0, */*", false),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(
                accepts_bytes(&headers(ACCEPT, accept)),
                expected,
                "{accept}"
            );
        }
        assert!(!accepts_bytes(&HeaderMap::new()));
        for (content_type, expected) in [
            ("application/octet-stream", true),
            ("application/octet-stream; x=y", true),
            ("application/json", false),
        ] {
            let headers = headers(CONTENT_TYPE, content_type);
            assert_eq!(sends_bytes(&headers), expected, "{content_type}");
        }
    }

    #[test]
    fn a_ttl_is_a_number_of_seconds() {
        for text in ["60", "0.5", "1e3", " 7 ", "1e300"] {
            let expiry = expiry(&headers(TTL, text));
            assert!(matches!(expiry, Ok(Expiry::At(_))), "{text}");
        }
        for text in ["0", "", "0.0"] {
            assert_eq!(
                expiry(&headers(TTL, text)).unwrap(),
                Expiry::Default,
                "{text}"
            );
        }
        for text in ["abc", "-5", "NaN", "Infinity", "-inf", "60s", "1e999"] {
            assert!(expiry(&headers(TTL, text)).is_err(), "{text}");
        }
        assert_eq!(expiry(&HeaderMap::new()).unwrap(), Expiry::Default);
    }

    #[test]
    fn custom_metadata_takes_precedence_over_the_drivers() {
        for (custom, modified, ttl) in [
            (
                json!({ "mtime": "2024-01-02T03:04:05.678Z" }),
                Some("Tue, 02 Jan 2024 03:04:05 GMT"),
                None,
            ),
            (
                json!({ "mtime": "Tue, 02 Jan 2024 03:04:05 GMT" }),
                Some("Tue, 02 Jan 2024 03:04:05 GMT"),
                None,
            ),
            (
                json!({ "mtime": 0, "ttl": 1000 }),
                Some("Thu, 01 Jan 1970 00:00:00 GMT"),
                Some("1000"),
            ),
            (json!({ "mtime": u64::MAX, "ttl": -1 }), None, None),
            (json!({ "mtime": "soon", "ttl": "x" }), None, None),
            (
                json!({ "mtime": "9998-12-31T23:59:59.999Z" }),
                Some("Thu, 31 Dec 9998 23:59:59 GMT"),
                None,
            ),
            (json!({}), None, None),
        ] {
            let mut metadata = ItemMetadata::default();
            metadata.custom = custom.as_object().unwrap().clone();
            let mut headers = HeaderMap::new();
            insert_metadata(&mut headers, &metadata);
            let text = |name| headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(text(&LAST_MODIFIED), modified, "{custom}");
            assert_eq!(text(&TTL), ttl, "{custom}");
        }
    }
}
