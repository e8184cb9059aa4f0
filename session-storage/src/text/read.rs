use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde_json::Error;

use super::destr::DestrValue;

/// Parses `text` as a `T`.
///
/// The requested type decides. A string is the text as it is, even if it looks like a number. An integer may have more
/// digits than JavaScript can represent. A type that accepts any input gets what unstorage's `getItem` returns.
pub(super) fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    T::deserialize(TextDeserializer(text))
}

struct TextDeserializer<'de>(&'de str);

impl<'de> TextDeserializer<'de> {
    fn starts_with(&self, brackets: &[char]) -> bool {
        self.0.trim_start().starts_with(brackets)
    }
}

/// Parses JSON with one method of its deserializer, up to the end of the text.
macro_rules! json {
    ($text:expr, $method:ident($($argument:expr),*)) => {{
        let mut json = serde_json::Deserializer::from_str($text);
        let value = json.$method($($argument),*)?;
        json.end()?;
        Ok(value)
    }};
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            json!(self.0, $method(visitor))
        }
    )*};
}

macro_rules! structures {
    ($($method:ident($($name:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Error> {
            json!(self.0, $method($($name,)* visitor))
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_borrowed_str(self.0)
        }
    )*};
}

macro_rules! floats {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match DestrValue::parse(self.0) {
                DestrValue::Float(number) => visitor.visit_f64(number),
                _ => json!(self.0, $method(visitor)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for TextDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match DestrValue::parse(self.0) {
            DestrValue::Null => visitor.visit_unit(),
            DestrValue::Bool(value) => visitor.visit_bool(value),
            DestrValue::Float(number) => visitor.visit_f64(number),
            DestrValue::Json => json!(self.0, deserialize_any(visitor)),
            DestrValue::Text(text) => visitor.visit_borrowed_str(text),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match DestrValue::parse(self.0) {
            DestrValue::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.starts_with(&['{', '"']) {
            return json!(self.0, deserialize_enum(name, variants, visitor));
        }
        let variant: StrDeserializer<'de, Error> = self.0.into_deserializer();
        variant.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.0.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    floats! { deserialize_f32 deserialize_f64 }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_identifier }

    structures! {
        deserialize_seq()
        deserialize_map()
        deserialize_tuple(length: usize)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }
}
