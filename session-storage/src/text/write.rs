use std::fmt::Display;
use std::io;

use bytes::Bytes;
use serde::ser::{Error as _, Impossible, Serialize, Serializer};
use serde_json::ser::Formatter;

use session_core::{Error, ErrorKind, Result};

use super::destr::DestrValue;
use super::finite::FiniteNumbers;

/// The text of `value`: that of JavaScript's `String(value)` for strings, numbers, booleans and null, and that of
/// `JSON.stringify` for everything else.
pub(crate) fn to_text<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    match value.serialize(PrimitiveSerializer) {
        Ok(text) => Ok(text.into()),
        Err(NotPrimitive::Structure) => to_json(value),
        Err(NotPrimitive::Failed(message)) => Err(unserializable(&message)),
    }
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    let mut json = Vec::new();
    let formatter = JavaScriptFormatter { depth: 0 };
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, formatter);
    if let Err(error) = value.serialize(&mut serializer) {
        return Err(unserializable(&error.to_string()));
    }
    // Only then may a number have become `null`.
    if json.windows(4).any(|part| part == b"null") && value.serialize(FiniteNumbers).is_err() {
        return Err(unserializable(
            "a number in it is not finite, which JSON cannot express",
        ));
    }
    Ok(json.into())
}

fn unserializable(reason: &str) -> Error {
    Error::new(
        ErrorKind::Unserializable,
        format!("the value cannot be written as text ({reason}); write bytes with `set_raw`"),
    )
    .with_context(crate::NAME, "set")
}

/// The deepest structure that `get` can parse.
const MAX_DEPTH: usize = 127;

/// Writes numbers in JSON as JavaScript does: `1` and not `1.0`. Fails for structures that are too deep to be read.
struct JavaScriptFormatter {
    depth: usize,
}

impl JavaScriptFormatter {
    fn enter(&mut self) -> io::Result<()> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(io::Error::other("it is nested deeper than 127 levels")),
            false => Ok(()),
        }
    }
}

impl Formatter for JavaScriptFormatter {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }

    fn write_f32<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }
}

/// Serializes what JavaScript calls a primitive value, and fails for everything else.
struct PrimitiveSerializer;

#[derive(Debug)]
enum NotPrimitive {
    Structure,
    Failed(String),
}

impl Display for NotPrimitive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Structure => f.write_str("a structure"),
            Self::Failed(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for NotPrimitive {}

impl serde::ser::Error for NotPrimitive {
    fn custom<T: Display>(message: T) -> Self {
        Self::Failed(message.to_string())
    }
}

type Text = std::result::Result<String, NotPrimitive>;
type Structure = Impossible<String, NotPrimitive>;

macro_rules! numbers {
    ($($method:ident: $type:ty)*) => {$(
        fn $method(self, value: $type) -> Text {
            Ok(value.to_string())
        }
    )*};
}

macro_rules! structures {
    ($($method:ident($($type:ty),*) -> $result:ident)*) => {$(
        fn $method(self, $(_: $type),*) -> std::result::Result<Self::$result, NotPrimitive> {
            Err(NotPrimitive::Structure)
        }
    )*};
}

impl Serializer for PrimitiveSerializer {
    type Ok = String;
    type Error = NotPrimitive;
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
        Err(NotPrimitive::custom("it is a byte array"))
    }

    fn serialize_none(self) -> Text {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Text {
        let text = value.serialize(self)?;
        match DestrValue::parse(&text) {
            DestrValue::Null => Err(NotPrimitive::custom(
                "it is an `Option` whose text would be read as `None`",
            )),
            _ => Ok(text),
        }
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
        Err(NotPrimitive::Structure)
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
