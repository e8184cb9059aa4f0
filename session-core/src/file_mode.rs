//! The deserializer of modes of files.

use std::fmt;

use serde::de::{self, Deserializer, Unexpected, Visitor};

/// Deserializes the mode of a file, for `#[serde(deserialize_with = …)]`: an octal number (`0o640`) or its text
/// (`"640"`).
///
/// A number of more than three octal digits is an error, and so are most that were written without their `0o`.
pub fn file_mode<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_any(ModeVisitor)
}

struct ModeVisitor;

impl Visitor<'_> for ModeVisitor {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an octal number of three digits, as in `0o600` or \"600\"")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u32, E> {
        let mode = u32::try_from(value).ok().filter(|mode| *mode <= 0o777);
        mode.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<u32, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<u32, E> {
        let digits = value.strip_prefix("0o").unwrap_or(value);
        let mode = u32::from_str_radix(digits, 8).ok();
        let mode = mode.filter(|mode| *mode <= 0o777);
        mode.ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }
}
