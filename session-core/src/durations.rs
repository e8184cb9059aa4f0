//! Deserializers of durations in seconds.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Unexpected, Visitor};

const SECONDS: &str = "a number of seconds above 0";
const LIFETIME: &str = "a number of seconds above 0, or \"never\"";

/// Deserializes a number of seconds above zero: `3600`, `0.5`, or a string such as `"60"`.
///
/// Zero, a negative number, infinity and more than 2⁶⁴ seconds are errors.
pub fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_any(SecondsVisitor(SECONDS))?
        .ok_or_else(|| de::Error::invalid_value(Unexpected::Str("never"), &SECONDS))
}

/// Deserializes [`seconds`] into an `Option`, for a field that has `#[serde(default)]`.
pub fn optional_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    seconds(from).map(Some)
}

/// Deserializes [`seconds`], or `"never"` as `None`.
pub fn lifetime<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    from.deserialize_any(SecondsVisitor(LIFETIME))
}

/// Returns `None` for "never". The text describes the expected value.
struct SecondsVisitor(&'static str);

impl Visitor<'_> for SecondsVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        match value {
            0 => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
            seconds => Ok(Some(Duration::from_secs(seconds))),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        match Duration::try_from_secs_f64(value) {
            Ok(duration) if !duration.is_zero() => Ok(Some(duration)),
            _ => Err(E::invalid_value(Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        let text = value.trim();
        if text == "never" {
            return Ok(None);
        }
        if let Ok(seconds) = text.parse() {
            return self.visit_u64(seconds);
        }
        match text.parse() {
            Ok(seconds) => self.visit_f64(seconds),
            Err(_) => Err(E::invalid_value(Unexpected::Str(value), &self)),
        }
    }
}

#[cfg(all(test, feature = "config"))]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Sample {
        #[serde(deserialize_with = "seconds")]
        ttl: Duration,
    }

    #[derive(serde::Deserialize)]
    struct LifeSample {
        #[serde(deserialize_with = "super::lifetime")]
        idle: Option<Duration>,
    }

    fn read(value: &str) -> Option<Duration> {
        toml::from_str::<Sample>(&format!("ttl = {value}"))
            .ok()
            .map(|sample| sample.ttl)
    }

    fn read_lifetime(value: &str) -> Option<Option<Duration>> {
        toml::from_str::<LifeSample>(&format!("idle = {value}"))
            .ok()
            .map(|sample| sample.idle)
    }

    #[test]
    fn whole_seconds_fractions_and_numeric_text_are_taken() {
        assert_eq!(read("3600"), Some(Duration::from_secs(3_600)));
        assert_eq!(read("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(read("'60'"), Some(Duration::from_secs(60)));
        assert_eq!(read("'1.5'"), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn ten_years_are_exact() {
        assert_eq!(read("315360000"), Some(Duration::from_secs(315_360_000)));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for value in [
            "0", "-1", "0.0", "-0.5", "nan", "inf", "-inf", "1e300", "'nan'", "'inf'", "''", "'x'",
            "'1e300'", "true", "[]", "{}", "1e-30",
        ] {
            assert_eq!(read(value), None, "{value}");
            assert_eq!(read_lifetime(value), None, "{value}");
        }
    }

    #[test]
    fn a_lifetime_may_be_never() {
        assert_eq!(read_lifetime("'never'"), Some(None));
        assert_eq!(read_lifetime("5"), Some(Some(Duration::from_secs(5))));
        assert_eq!(read("'never'"), None);
    }
}
