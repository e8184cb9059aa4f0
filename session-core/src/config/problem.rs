//! Configuration mistakes, and their messages.

use std::fmt;

use serde::de::{self, Unexpected};
use toml::Value;

use super::names::{nearest, quoted, sanitized, snake_case};

/// A configuration mistake, with a message that never shows a value.
///
/// serde's own messages quote the value (`invalid type: string "s3cr3t"`). This type keeps only the type of the value,
/// and drops free text, which may contain the value.
#[derive(Debug)]
pub(super) struct Problem {
    /// The text before "option".
    lead: &'static str,
    /// The name of the wrong option: `retry.attempts`, `nodes[0]`.
    pub(super) name: String,
    /// What is wrong with it.
    what: String,
    /// Whether serde failed at the key `name`, so that the path to the failure already ends with it.
    pub(super) at_key: bool,
}

impl Problem {
    pub(super) fn unknown(name: &str, known: &[&'static str]) -> Self {
        // An alias in camelCase is another spelling, not another name.
        let known = known
            .iter()
            .copied()
            .filter(|known| snake_case(known) == *known);
        let what = match nearest(name, known.clone()) {
            Some(nearest) => format!(" (did you mean `{nearest}`?)"),
            None if known.clone().next().is_none() => "; there are no options here".to_owned(),
            None => format!("; there are {}", quoted(known)),
        };
        Self {
            lead: "there is no",
            ..Self::new(&sanitized(name), what)
        }
    }

    pub(super) fn twice(name: &str) -> Self {
        let what = " is given twice (snake_case and camelCase are one name); keep one";
        Self::new(&sanitized(name), what)
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(name, " is missing")
    }

    pub(super) fn unset(variable: &str) -> Self {
        let what = format!(
            " refers to the environment variable `{}`, which is not set or is not Unicode",
            sanitized(variable)
        );
        Self::new("", what)
    }

    pub(super) fn wrong(found: &str, expected: &str) -> Self {
        Self::new("", format!(": expected {expected}, got {found}"))
    }

    #[cfg(not(feature = "near-cache"))]
    pub(super) fn needs_feature(feature: &str) -> Self {
        Self::new(
            "",
            format!(" needs the feature `{feature}` of `session-core` or `session-kit`"),
        )
    }

    fn new(name: &str, what: impl Into<String>) -> Self {
        Self {
            lead: "the",
            name: name.to_owned(),
            what: what.into(),
            at_key: false,
        }
    }

    /// Puts `outer` in front of the name.
    pub(super) fn under(mut self, outer: &str) -> Self {
        let dot = if outer.is_empty() || self.name.is_empty() {
            ""
        } else {
            "."
        };
        self.name = format!("{outer}{dot}{}", self.name);
        self
    }

    /// Whether this is an unknown name in the outermost table.
    pub(super) fn is_unknown_at_the_root(&self) -> bool {
        self.lead == "there is no" && !self.name.contains('.')
    }

    /// Formats the message. `noun` is "option" or "setting".
    pub(super) fn describe(&self, noun: &str) -> String {
        format!("{} {noun} `{}`{}", self.lead, self.name, self.what)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe("option"))
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(_may_show_the_value: T) -> Self {
        Self::new("", " has an invalid value")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(type_of(found), &in_words(&expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Signed(number) if number < 0 => "a negative integer",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "another integer",
            Unexpected::Float(_) => "another number",
            Unexpected::Char(_) | Unexpected::Str(_) => "another string",
            found => type_of(found),
        };
        Self::wrong(found, &in_words(&expected.to_string()))
    }

    fn invalid_length(_length: usize, expected: &dyn de::Expected) -> Self {
        Self::wrong("another length", &in_words(&expected.to_string()))
    }

    fn unknown_variant(_may_be_secret: &str, expected: &'static [&'static str]) -> Self {
        let variants = quoted(expected.iter().copied());
        Self::new("", format!(" must be one of {variants}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            at_key: true,
            ..Self::unknown(field, expected)
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self {
            at_key: true,
            ..Self::twice(field)
        }
    }
}

/// The type of a value, for a message.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::String(_) => "a string",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

fn type_of(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Other("a date") => "a date",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "another type",
    }
}

/// Describes an expected type in words. serde names Rust types (`u32`), which an author of TOML may not know.
fn in_words(expected: &str) -> String {
    let words = match expected {
        "u8" => "an integer from 0 to 255",
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a non-negative integer",
        "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => "a positive integer",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "an integer",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    words.to_owned()
}
