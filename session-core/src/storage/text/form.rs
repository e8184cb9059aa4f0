use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// What a stored text is to a reader who does not say what it wants: the rules of `destr`, by which unstorage's
/// `getItem` reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form<'a> {
    /// `null` or `undefined`.
    Nothing,
    Bool(bool),
    /// Not a number, or infinite: what JSON does not have.
    Float(f64),
    /// Valid JSON: a number, an array, an object or a string with escapes.
    Json,
    /// A text: all of it, or what stands between its quotes.
    Text(&'a str),
}

impl<'a> Form<'a> {
    pub(super) fn of(text: &'a str) -> Self {
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

fn word(text: &str) -> Option<Form<'static>> {
    let text = text.trim_matches(is_space);
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") || is("false") {
        return Some(Form::Bool(is("true")));
    }
    if is("null") || is("undefined") {
        return Some(Form::Nothing);
    }
    if is("nan") {
        return Some(Form::Float(f64::NAN));
    }
    if is("infinity") {
        return Some(Form::Float(f64::INFINITY));
    }
    is("-infinity").then_some(Form::Float(f64::NEG_INFINITY))
}

/// What JavaScript's `\s` and `trim` take as a space.
fn is_space(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// Whether `text` looks like a number of up to 16 digits before the point and 17 after it. Longer ones are text to
/// JavaScript, which could not hold them.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, text) = digits(text);
    if !(1..=16).contains(&whole) {
        return false;
    }
    let text = match text.strip_prefix('.') {
        Some(fraction) => match digits(fraction) {
            (1..=17, rest) => rest,
            _ => return false,
        },
        None => text,
    };
    let Some(exponent) = text.strip_prefix(['e', 'E']) else {
        return text.is_empty();
    };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    matches!(digits(exponent), (1.., ""))
}

/// How many digits `text` begins with, and what follows them.
fn digits(text: &str) -> (usize, &str) {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    (text.len() - rest.len(), rest)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Readable>(text).is_ok()
}

/// Anything that can be read from JSON: not what is nested too deep, nor a number out of range. (serde's `IgnoredAny`
/// skips over these.)
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

macro_rules! readable {
    ($($method:ident($($type:ty)?))*) => {$(
        fn $method<E: Error>(self, $(_value: $type)?) -> Result<Self, E> {
            Ok(self)
        }
    )*};
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    readable! {
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
    fn texts_have_the_form_that_destr_gives_them() {
        for (text, form) in [
            ("", Form::Text("")),
            ("plain", Form::Text("plain")),
            ("TRUE", Form::Bool(true)),
            (" false ", Form::Bool(false)),
            ("null", Form::Nothing),
            ("undefined", Form::Nothing),
            ("Infinity", Form::Float(f64::INFINITY)),
            ("-INFINITY", Form::Float(f64::NEG_INFINITY)),
            ("0123", Form::Text("0123")),
            ("+1", Form::Text("+1")),
            (".5", Form::Text(".5")),
            ("1e3", Form::Json),
            (" 12 ", Form::Json),
            ("-0.5", Form::Json),
            ("1.", Form::Text("1.")),
            ("1e", Form::Text("1e")),
            ("1234567890123456", Form::Json),
            ("12345678901234567890", Form::Text("12345678901234567890")),
            ("0x10", Form::Text("0x10")),
            ("1_000", Form::Text("1_000")),
            ("{bad", Form::Text("{bad")),
            (" {\"a\":1} ", Form::Json),
            ("[1,", Form::Text("[1,")),
            ("[1e400]", Form::Text("[1e400]")),
            ("{\"a\":[\"b\",null,true,-1,0.5,{}]}", Form::Json),
            ("\"quoted\"", Form::Text("quoted")),
            ("\"a\"b\"", Form::Text("a\"b")),
            ("\"", Form::Text("")),
            ("\"with \\\" esc\"", Form::Json),
        ] {
            assert_eq!(Form::of(text), form, "{text:?}");
        }
        assert!(matches!(Form::of("NaN"), Form::Float(number) if number.is_nan()));
    }
}
