use std::fmt::Display;
use std::io;

use bytes::Bytes;
use serde::ser::{Error as _, Impossible, Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::{Error, ErrorKind, Result};

/// The text of `value`: what `String(value)` gives in JavaScript for text, numbers, truth values and nothing, without
/// quotes, and what `JSON.stringify` gives for everything else.
pub(in crate::storage) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    match value.serialize(Primitive) {
        Ok(text) => Ok(text.into()),
        Err(NoPrimitive::Structure) => to_json(value),
        Err(NoPrimitive::Failed(message)) => Err(unserializable(&message)),
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, AsJavaScript);
    match value.serialize(&mut serializer) {
        Ok(()) => Ok(json.into()),
        Err(error) => Err(unserializable(&error.to_string())),
    }
}

fn unserializable(reason: &str) -> Error {
    Error::new(
        ErrorKind::Unserializable,
        format!("this value has no text ({reason}); write bytes by `set_raw`"),
    )
    .with_context(super::super::NAME, "set")
}

/// JSON with numbers as JavaScript writes them: `1` and not `1.0`.
struct AsJavaScript;

impl Formatter for AsJavaScript {
    fn write_f32<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

/// Gives the text of what JavaScript calls a primitive, and tells what is none.
struct Primitive;

#[derive(Debug)]
enum NoPrimitive {
    Structure,
    Failed(String),
}

impl Display for NoPrimitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Structure => f.write_str("a structure"),
            Self::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for NoPrimitive {}

impl serde::ser::Error for NoPrimitive {
    fn custom<T: Display>(message: T) -> Self {
        Self::Failed(message.to_string())
    }
}

type Text = std::result::Result<String, NoPrimitive>;
type Structure = Impossible<String, NoPrimitive>;

macro_rules! numbers {
    ($($method:ident: $type:ty)*) => {$(
        fn $method(self, value: $type) -> Text {
            Ok(value.to_string())
        }
    )*};
}

macro_rules! structures {
    ($($method:ident($($type:ty),*) -> $result:ident)*) => {$(
        fn $method(self, $(_: $type),*) -> std::result::Result<Self::$result, NoPrimitive> {
            Err(NoPrimitive::Structure)
        }
    )*};
}

impl Serializer for Primitive {
    type Ok = String;
    type Error = NoPrimitive;
    type SerializeSeq = Structure;
    type SerializeTuple = Structure;
    type SerializeTupleStruct = Structure;
    type SerializeTupleVariant = Structure;
    type SerializeMap = Structure;
    type SerializeStruct = Structure;
    type SerializeStructVariant = Structure;

    fn serialize_bool(self, value: bool) -> Text {
        Ok(value.to_string())
    }

    numbers! {
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64 serialize_i128: i128
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64 serialize_u128: u128
        serialize_char: char
    }

    fn serialize_f32(self, value: f32) -> Text {
        Ok(ryu_js::Buffer::new().format(value).to_owned())
    }

    fn serialize_f64(self, value: f64) -> Text {
        Ok(ryu_js::Buffer::new().format(value).to_owned())
    }

    fn serialize_str(self, value: &str) -> Text {
        Ok(value.to_owned())
    }

    fn serialize_bytes(self, _value: &[u8]) -> Text {
        Err(NoPrimitive::custom("it is bytes"))
    }

    fn serialize_none(self) -> Text {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Text {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Text {
        Ok("null".to_owned())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Text {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Text {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Text {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Text {
        Err(NoPrimitive::Structure)
    }

    structures! {
        serialize_seq(Option<usize>) -> SerializeSeq
        serialize_tuple(usize) -> SerializeTuple
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant
        serialize_map(Option<usize>) -> SerializeMap
        serialize_struct(&'static str, usize) -> SerializeStruct
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant
    }
}
