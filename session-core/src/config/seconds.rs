use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

/// A length of time in seconds, above zero.
///
/// ```
/// use session_core::config::Seconds;
/// use std::time::Duration;
///
/// assert_eq!(Seconds::from_secs(90).map(Seconds::as_duration), Some(Duration::from_secs(90)));
/// assert_eq!(Seconds::from_secs(0), None);
/// ```
///
/// Configuration gives it as a number, whole or not, or as a text that is one: `3600`, `0.5`, `"60"`. Zero,
/// a negative one, infinity and what exceeds 2⁶⁴ seconds are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(Duration);

impl Seconds {
    /// `seconds` seconds; `None` for zero.
    pub const fn from_secs(seconds: u64) -> Option<Self> {
        Self::from_duration(Duration::from_secs(seconds))
    }

    /// This duration; `None` for zero.
    pub const fn from_duration(duration: Duration) -> Option<Self> {
        if duration.is_zero() {
            return None;
        }
        Some(Self(duration))
    }

    /// The duration.
    pub const fn as_duration(self) -> Duration {
        self.0
    }

    /// For times that are known when this crate is compiled; a second for zero.
    pub(super) const fn above_zero(seconds: u64) -> Self {
        let seconds = if seconds == 0 { 1 } else { seconds };
        Self(Duration::from_secs(seconds))
    }

    fn from_float(seconds: f64) -> Option<Self> {
        Self::from_duration(Duration::try_from_secs_f64(seconds).ok()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.parse::<u64>() {
            Ok(seconds) => Self::from_secs(seconds),
            Err(_) => Self::from_float(text.parse().ok()?),
        }
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds above 0")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Seconds, E> {
        Seconds::from_secs(value)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Seconds, E> {
        u64::try_from(value)
            .ok()
            .and_then(Seconds::from_secs)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Seconds, E> {
        Seconds::from_float(value).ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Seconds, E> {
        Seconds::from_text(value).ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }
}

/// How long something lives: a time, or for ever.
///
/// ```
/// use session_core::config::{Lifetime, Seconds};
/// use std::time::Duration;
///
/// let hour = Lifetime::After(Seconds::from_secs(3_600).unwrap());
/// assert_eq!(hour.as_duration(), Some(Duration::from_secs(3_600)));
/// assert_eq!(Lifetime::Never.as_duration(), None);
/// ```
///
/// Configuration gives it as [`Seconds`] or as `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It never ends.
    Never,
    /// It ends after this time.
    After(Seconds),
}

impl Lifetime {
    /// The time after which it ends, or `None` if it never does.
    pub const fn as_duration(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::After(seconds) => Some(seconds.as_duration()),
        }
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LifetimeVisitor)
    }
}

struct LifetimeVisitor;

impl Visitor<'_> for LifetimeVisitor {
    type Value = Lifetime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds above 0, or \"never\"")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Lifetime, E> {
        Seconds::from_secs(value)
            .map(Lifetime::After)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Lifetime, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Lifetime, E> {
        Seconds::from_float(value)
            .map(Lifetime::After)
            .ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Lifetime, E> {
        if value.trim() == "never" {
            return Ok(Lifetime::Never);
        }
        Seconds::from_text(value)
            .map(Lifetime::After)
            .ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Sample {
        ttl: Seconds,
    }

    #[derive(serde::Deserialize)]
    struct LifeSample {
        idle: Lifetime,
    }

    fn seconds(value: &str) -> Option<Duration> {
        toml::from_str::<Sample>(&format!("ttl = {value}"))
            .ok()
            .map(|sample| sample.ttl.as_duration())
    }

    fn lifetime(value: &str) -> Option<Option<Duration>> {
        toml::from_str::<LifeSample>(&format!("idle = {value}"))
            .ok()
            .map(|sample| sample.idle.as_duration())
    }

    #[test]
    fn whole_seconds_fractions_and_numeric_text_are_taken() {
        assert_eq!(seconds("3600"), Some(Duration::from_secs(3_600)));
        assert_eq!(seconds("0.25"), Some(Duration::from_millis(250)));
        assert_eq!(seconds("'60'"), Some(Duration::from_secs(60)));
        assert_eq!(seconds("'1.5'"), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn ten_years_are_exact() {
        assert_eq!(seconds("315360000"), Some(Duration::from_secs(315_360_000)));
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for value in [
            "0", "-1", "0.0", "-0.5", "nan", "inf", "-inf", "1e300", "'nan'", "'inf'", "''", "'x'",
            "'1e300'", "true", "[]", "{}", "1e-30",
        ] {
            assert_eq!(seconds(value), None, "{value}");
            assert_eq!(lifetime(value), None, "{value}");
        }
    }

    #[test]
    fn a_lifetime_may_be_never() {
        assert_eq!(lifetime("'never'"), Some(None));
        assert_eq!(lifetime("5"), Some(Some(Duration::from_secs(5))));
        assert_eq!(seconds("'never'"), None);
    }
}
