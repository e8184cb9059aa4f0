//! JavaScript strings.

use std::borrow::Cow;
use std::fmt;

/// A JavaScript string. Unlike a Rust string, it can contain lone surrogates.
///
/// ```
/// use serde_devalue::{JsString, Value};
///
/// let plain = JsString::from("plain");
/// assert_eq!(plain.as_str(), Some("plain"));
///
/// let Value::String(half) = serde_devalue::from_str(r#"["half of an emoji: \ud83d"]"#)? else { unreachable!() };
/// assert_eq!(half.as_str(), None);
/// assert_eq!(half.to_string_lossy(), "half of an emoji: \u{fffd}");
/// assert_eq!(serde_devalue::to_string(&Value::String(half))?, r#"["half of an emoji: \ud83d"]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsString(Repr);

/// `Utf16` is only used if the string has a lone surrogate, so that equal strings compare equal.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Utf8(String),
    Utf16(Box<[u16]>),
}

impl JsString {
    /// Creates a string from UTF-16 code units.
    pub fn from_utf16(units: &[u16]) -> Self {
        match String::from_utf16(units) {
            Ok(text) => Self(Repr::Utf8(text)),
            Err(_) => Self(Repr::Utf16(units.into())),
        }
    }

    /// Returns the string, or `None` if it has a lone surrogate.
    pub fn as_str(&self) -> Option<&str> {
        match &self.0 {
            Repr::Utf8(text) => Some(text),
            Repr::Utf16(_) => None,
        }
    }

    /// Returns the string with lone surrogates replaced by U+FFFD.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Utf8(text) => Cow::Borrowed(text),
            Repr::Utf16(units) => Cow::Owned(String::from_utf16_lossy(units)),
        }
    }

    /// Returns the UTF-16 code units.
    pub fn encode_utf16(&self) -> Vec<u16> {
        match &self.0 {
            Repr::Utf8(text) => text.encode_utf16().collect(),
            Repr::Utf16(units) => units.to_vec(),
        }
    }

    /// Converts to a Rust string. If it has a lone surrogate, it is returned as the error.
    pub fn into_string(self) -> Result<String, Self> {
        match self.0 {
            Repr::Utf8(text) => Ok(text),
            units @ Repr::Utf16(_) => Err(Self(units)),
        }
    }

    pub(crate) fn as_text(&self) -> Text<'_> {
        match &self.0 {
            Repr::Utf8(text) => Text::Utf8(Cow::Borrowed(text)),
            Repr::Utf16(units) => Text::Utf16(Cow::Borrowed(units)),
        }
    }
}

impl From<&str> for JsString {
    fn from(text: &str) -> Self {
        Self(Repr::Utf8(text.to_owned()))
    }
}

impl From<String> for JsString {
    fn from(text: String) -> Self {
        Self(Repr::Utf8(text))
    }
}

impl From<Text<'_>> for JsString {
    fn from(text: Text<'_>) -> Self {
        Self(match text {
            Text::Utf8(text) => Repr::Utf8(text.into_owned()),
            Text::Utf16(units) => Repr::Utf16(units.into_owned().into()),
        })
    }
}

impl PartialEq<str> for JsString {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for JsString {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(*other)
    }
}

impl fmt::Debug for JsString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Utf8(text) => fmt::Debug::fmt(text, f),
            Repr::Utf16(units) => {
                f.write_str("\"")?;
                for unit in char::decode_utf16(units.iter().copied()) {
                    match unit {
                        Ok(char) => write!(f, "{}", char.escape_debug())?,
                        Err(lone) => write!(f, "\\u{{{:x}}}", lone.unpaired_surrogate())?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}

/// A decoded string, borrowed if possible, with or without lone surrogates.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Text<'t> {
    Utf8(Cow<'t, str>),
    Utf16(Cow<'t, [u16]>),
}

impl<'t> Text<'t> {
    pub(crate) fn into_utf8(self) -> Option<Cow<'t, str>> {
        match self {
            Self::Utf8(text) => Some(text),
            Self::Utf16(_) => None,
        }
    }

    /// Decodes the content of a JSON string with checked syntax.
    #[cold]
    pub(crate) fn unescape(raw: &'t str) -> Self {
        crate::work::count(raw.len());
        match memchr::memchr(b'\\', raw.as_bytes()) {
            None => Self::Utf8(Cow::Borrowed(raw)),
            Some(first) => unescape(raw, first),
        }
    }
}

fn unescape<'t>(raw: &'t str, first: usize) -> Text<'t> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut escape = Some(first);
    while let Some(at) = escape {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        text.push_str(plain);
        let mut chars = tail.chars();
        let decoded = match (chars.next(), chars.next()) {
            (_, Some('b')) => Some('\u{8}'),
            (_, Some('f')) => Some('\u{c}'),
            (_, Some('n')) => Some('\n'),
            (_, Some('r')) => Some('\r'),
            (_, Some('t')) => Some('\t'),
            (_, Some('u')) => {
                let (decoded, tail) = unescape_unit(chars.as_str());
                chars = tail.chars();
                decoded
            }
            (_, other) => other,
        };
        match decoded {
            Some(char) => text.push(char),
            None => return unescape_utf16(raw),
        }
        rest = chars.as_str();
        escape = memchr::memchr(b'\\', rest.as_bytes());
    }
    text.push_str(rest);
    Text::Utf8(Cow::Owned(text))
}

/// Decodes the four digits after `\u`, including a following low surrogate. Returns `None` for a lone surrogate.
fn unescape_unit(digits: &str) -> (Option<char>, &str) {
    let (unit, rest) = unit(digits);
    if let Some(char) = char::from_u32(unit.into()) {
        return (Some(char), rest);
    }
    let Some(low) = rest.strip_prefix("\\u") else {
        return (None, rest);
    };
    let (low, rest) = self::unit(low);
    let mut decoded = char::decode_utf16([unit, low]);
    (decoded.next().and_then(Result::ok), rest)
}

fn unit(digits: &str) -> (u16, &str) {
    let (digits, rest) = digits.split_at_checked(4).unwrap_or((digits, ""));
    (u16::from_str_radix(digits, 16).unwrap_or(0xfffd), rest)
}

#[cold]
fn unescape_utf16(raw: &str) -> Text<'static> {
    let mut units = Vec::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        let char = match char {
            '\\' => match chars.next() {
                Some('u') => {
                    let (unit, rest) = unit(chars.as_str());
                    units.push(unit);
                    chars = rest.chars();
                    continue;
                }
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(other) => other,
                None => break,
            },
            char => char,
        };
        units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
    }
    Text::Utf16(Cow::Owned(units))
}
