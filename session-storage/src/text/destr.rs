//! The rules of `destr`, the parser of unstorage's `getItem`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What `destr` parses a text as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum DestrValue<'a> {
    /// `null` or `undefined`.
    Null,
    Bool(bool),
    /// NaN or an infinity, which JSON does not have.
    Float(f64),
    /// Valid JSON: a number, an array, an object or a string with escapes.
    Json,
    /// A string: the whole text, or the text between its quotes.
    Text(&'a str),
}

impl<'a> DestrValue<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        if let Some(quoted) = between_quotes(text) {
            return Self::Text(quoted);
        }
        if let Some(word) = word(text) {
            return word;
        }
        let may_be_json = match text.trim_start_matches(is_space).as_bytes().first() {
            Some(b'"' | b'[' | b'{') => true,
            _ => is_number(text.trim_matches(is_space)),
        };
        match may_be_json && is_json(text) {
            true => Self::Json,
            false => Self::Text(text),
        }
    }
}

fn between_quotes(text: &str) -> Option<&str> {
    if text == "\"" {
        return Some("");
    }
    let quoted = text.strip_prefix('"')?.strip_suffix('"')?;
    (!quoted.contains('\\')).then_some(quoted)
}

fn word(text: &str) -> Option<DestrValue<'static>> {
    let text = text.trim_matches(is_space);
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") || is("false") {
        return Some(DestrValue::Bool(is("true")));
    }
    if is("null") || is("undefined") {
        return Some(DestrValue::Null);
    }
    if is("nan") {
        return Some(DestrValue::Float(f64::NAN));
    }
    if is("infinity") {
        return Some(DestrValue::Float(f64::INFINITY));
    }
    is("-infinity").then_some(DestrValue::Float(f64::NEG_INFINITY))
}

/// Whether JavaScript's `\s` and `trim` treat it as whitespace.
fn is_space(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// Whether `text` is a number with up to 16 digits before the decimal point and 17 after it. `destr` treats longer numbers
/// as strings, because JavaScript could not represent them.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, text) = split_digits(text);
    if !(1..=16).contains(&whole) {
        return false;
    }
    let text = match text.strip_prefix('.') {
        Some(fraction) => match split_digits(fraction) {
            (1..=17, rest) => rest,
            _ => return false,
        },
        None => text,
    };
    let Some(exponent) = text.strip_prefix(['e', 'E']) else {
        return text.is_empty();
    };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    matches!(split_digits(exponent), (1.., ""))
}

/// The number of leading digits, and the rest of the text.
fn split_digits(text: &str) -> (usize, &str) {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    (text.len() - rest.len(), rest)
}

/// Whether `text` is JSON, or may be but is nested too deeply to be parsed. The latter is not a string, and parsing it is
/// an error.
fn is_json(text: &str) -> bool {
    match serde_json::from_str::<ValidJson>(text) {
        Ok(_) => true,
        Err(error) => error.to_string().starts_with("recursion limit exceeded"),
    }
}

/// Accepts any JSON value, but rejects excessive nesting and numbers out of range, which serde's `IgnoredAny` skips.
struct ValidJson;

impl<'de> Deserialize<'de> for ValidJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

macro_rules! accept {
    ($($method:ident($($type:ty)?))*) => {$(
        fn $method<E: Error>(self, $(_value: $type)?) -> Result<Self, E> {
            Ok(self)
        }
    )*};
}

impl<'de> Visitor<'de> for ValidJson {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    accept! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str) visit_unit()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while entries.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_parsed_as_destr_parses_them() {
        for (text, expected) in [
            ("", DestrValue::Text("")),
            ("plain", DestrValue::Text("plain")),
            ("TRUE", DestrValue::Bool(true)),
            (" false ", DestrValue::Bool(false)),
            ("null", DestrValue::Null),
            ("undefined", DestrValue::Null),
            ("Infinity", DestrValue::Float(f64::INFINITY)),
            ("-INFINITY", DestrValue::Float(f64::NEG_INFINITY)),
            ("0123", DestrValue::Text("0123")),
            ("+1", DestrValue::Text("+1")),
            (".5", DestrValue::Text(".5")),
            ("1e3", DestrValue::Json),
            (" 12 ", DestrValue::Json),
            ("-0.5", DestrValue::Json),
            ("1.", DestrValue::Text("1.")),
            ("1e", DestrValue::Text("1e")),
            ("1234567890123456", DestrValue::Json),
            (
                "12345678901234567890",
                DestrValue::Text("12345678901234567890"),
            ),
            ("0x10", DestrValue::Text("0x10")),
            ("1_000", DestrValue::Text("1_000")),
            ("{bad", DestrValue::Text("{bad")),
            (" {\"a\":1} ", DestrValue::Json),
            ("[1,", DestrValue::Text("[1,")),
            ("[1e400]", DestrValue::Text("[1e400]")),
            ("{\"a\":[\"b\",null,true,-1,0.5,{}]}", DestrValue::Json),
            ("\"quoted\"", DestrValue::Text("quoted")),
            ("\"a\"b\"", DestrValue::Text("a\"b")),
            ("\"", DestrValue::Text("")),
            ("\"with \\\" esc\"", DestrValue::Json),
        ] {
            assert_eq!(DestrValue::parse(text), expected, "{text:?}");
        }
        assert!(matches!(DestrValue::parse("NaN"), DestrValue::Float(number) if number.is_nan()));
    }
}
