//! A fast path for numbers, booleans, null and strings without escapes.

use std::fmt;

use serde::ser::{Impossible, Serialize, Serializer};

use crate::escape::{is_unescaped, write_number};
use crate::token;

/// The largest safe integer. Doubles represent all integers up to it exactly.
const SAFE: u64 = (1 << 53) - 1;
/// The longest string of the fast path.
const LONGEST: usize = 1 << 24;

/// Returns the text that a [`Writer`](crate::Writer) would write, if the value is supported.
pub(crate) fn text<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    value.serialize(ScalarSerializer).ok()
}

struct ScalarSerializer;

/// The value is not supported by the fast path.
#[derive(Debug)]
struct Otherwise;

impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a plain scalar")
    }
}

impl std::error::Error for Otherwise {}

impl serde::ser::Error for Otherwise {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

type Text = Result<String, Otherwise>;
type Never = Impossible<String, Otherwise>;

fn integer<T: itoa::Integer>(integer: T) -> Text {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(integer);
    let mut text = String::with_capacity(digits.len() + 2);
    text.push('[');
    text.push_str(digits);
    text.push(']');
    Ok(text)
}

fn number(number: f64) -> Text {
    if !number.is_finite() || number == 0.0 {
        return Err(Otherwise);
    }
    let mut text = String::from("[");
    write_number(&mut text, number);
    text.push(']');
    Ok(text)
}

macro_rules! small_integers {
    ($($method:ident($type:ty);)*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Text {
            integer(value)
        }
    )*};
}

macro_rules! otherwise {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        #[inline]
        fn $method(self, $(_: $type),*) -> Result<$ok, Otherwise> {
            Err(Otherwise)
        }
    )*};
}

impl Serializer for ScalarSerializer {
    type Ok = String;
    type Error = Otherwise;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    small_integers! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Text {
        if value.unsigned_abs() > SAFE {
            return Err(Otherwise);
        }
        integer(value)
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Text {
        if value > SAFE {
            return Err(Otherwise);
        }
        integer(value)
    }

    fn serialize_f32(self, value: f32) -> Text {
        number(value.into())
    }

    fn serialize_f64(self, value: f64) -> Text {
        number(value)
    }

    fn serialize_bool(self, value: bool) -> Text {
        Ok(String::from(if value { "[true]" } else { "[false]" }))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Text {
        if value.len() > LONGEST || !is_unescaped(value) {
            return Err(Otherwise);
        }
        let mut text = String::with_capacity(value.len() + 4);
        text.push_str("[\"");
        text.push_str(value);
        text.push_str("\"]");
        Ok(text)
    }

    fn serialize_char(self, value: char) -> Text {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_unit(self) -> Text {
        Ok(String::from("[null]"))
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Text {
        self.serialize_unit()
    }

    fn serialize_none(self) -> Text {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Text {
        self.serialize_str(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Text {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Text {
        if token::is(name) {
            return Err(Otherwise);
        }
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Text {
        Err(Otherwise)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Text {
        self.serialize_str(&value.to_string())
    }

    otherwise! {
        serialize_i128(i128) -> String;
        serialize_u128(u128) -> String;
        serialize_bytes(&[u8]) -> String;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that the fast path writes the same as the writer, or nothing.
    fn check<T: Serialize + ?Sized>(value: &T, is_scalar: bool) {
        let text = text(value);
        assert_eq!(text.is_some(), is_scalar);
        if let Some(text) = text {
            assert_eq!(text, crate::to_string(value).unwrap());
            let document = crate::to_document(value).unwrap();
            let parsed = crate::Document::parse(text).unwrap();
            assert_eq!(
                document.root().to_value().unwrap(),
                parsed.root().to_value().unwrap()
            );
            assert_eq!(document.root().as_str(), parsed.root().as_str());
        }
    }

    #[test]
    fn scalars_are_written_as_a_writer_does() {
        for integer in [0, 1, -1, 42, i32::MAX, i32::MIN] {
            check(&integer, true);
        }
        check(&SAFE, true);
        check(&-(SAFE as i64), true);
        check(&(0.5_f64, true), false);
        for number in [0.5_f64, -2.5e300, 1e21, 7.0] {
            check(&number, true);
        }
        for text in ["", "a", "Ann", "é", "漢字", "longer than a word"] {
            check(text, true);
        }
        check(&true, true);
        check(&(), true);
        check(&Some(3), true);
        check(&None::<u8>, true);
        check(&'x', true);
    }

    #[test]
    fn what_has_another_form_is_left_to_the_writer() {
        check(&(SAFE + 1), false);
        check(&i64::MIN, false);
        check(&1_u128, false);
        for number in [f64::NAN, f64::INFINITY, -0.0, 0.0] {
            check(&number, false);
        }
        for text in ["\"", "a\nb", "\\", "<", "\u{2028}", "\u{2014}"] {
            check(text, false);
        }
        check(&[1], false);
        check(&Ok::<u8, u8>(1), false);
        check(&crate::BigInt::from(5), false);
    }
}
