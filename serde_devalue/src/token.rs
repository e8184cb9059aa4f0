//! The names by which the serializer and the deserializer recognise the types of this crate.
//!
//! A wrapper serializes as a newtype struct with one of these names, around a value that other formats support.

use std::cell::Cell;

use serde::ser::{Impossible, Serialize, Serializer};

use crate::error::Error;
use crate::limits::{Limits, ParseOptions};
use crate::value::Value;

const PREFIX: &str = "$serde_devalue::";
pub(crate) const MAP: &str = "$serde_devalue::Map";
pub(crate) const SET: &str = "$serde_devalue::Set";
pub(crate) const DATE: &str = "$serde_devalue::Date";
pub(crate) const URL: &str = "$serde_devalue::Url";
pub(crate) const BIGINT: &str = "$serde_devalue::BigInt";
pub(crate) const VALUE: &str = "$serde_devalue::Value";

#[inline]
pub(crate) fn is(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The limits for the inner text of a `Value`, which was already checked or written by this crate.
pub(crate) fn parse_options() -> ParseOptions {
    let limits = Limits {
        size: usize::MAX,
        expansion: usize::MAX,
        ..Limits::default()
    };
    ParseOptions::new().limits(limits).any_custom_tag()
}

thread_local! {
    static HANDED_OVER: Cell<Option<Value>> = const { Cell::new(None) };
}

/// Hands a value to the visitor of [`Value`], which serde's data model cannot represent.
pub(crate) fn hand_over<T>(value: Value, visit: impl FnOnce() -> T) -> T {
    HANDED_OVER.set(Some(value));
    let visited = visit();
    HANDED_OVER.set(None);
    visited
}

/// Takes the value of the running `hand_over`, if any.
pub(crate) fn handed_over() -> Option<Value> {
    HANDED_OVER.take()
}

/// Returns the string that a wrapper serializes as.
pub(crate) fn text<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    value.serialize(TextSerializer)
}

struct TextSerializer;

macro_rules! refuse {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, Error> {
            Err(not_a_wrapper())
        }
    )*};
}

fn not_a_wrapper() -> Error {
    Error::unwritable("a type that takes the name of one of this crate's")
}

impl Serializer for TextSerializer {
    type Ok = String;
    type Error = Error;
    type SerializeSeq = Impossible<String, Error>;
    type SerializeTuple = Impossible<String, Error>;
    type SerializeTupleStruct = Impossible<String, Error>;
    type SerializeTupleVariant = Impossible<String, Error>;
    type SerializeMap = Impossible<String, Error>;
    type SerializeStruct = Impossible<String, Error>;
    type SerializeStructVariant = Impossible<String, Error>;

    fn serialize_str(self, text: &str) -> Result<String, Error> {
        Ok(text.to_owned())
    }

    refuse! {
        serialize_bool(bool) -> String;
        serialize_i8(i8) -> String;
        serialize_i16(i16) -> String;
        serialize_i32(i32) -> String;
        serialize_i64(i64) -> String;
        serialize_u8(u8) -> String;
        serialize_u16(u16) -> String;
        serialize_u32(u32) -> String;
        serialize_u64(u64) -> String;
        serialize_f32(f32) -> String;
        serialize_f64(f64) -> String;
        serialize_char(char) -> String;
        serialize_bytes(&[u8]) -> String;
        serialize_none() -> String;
        serialize_unit() -> String;
        serialize_unit_struct(&'static str) -> String;
        serialize_unit_variant(&'static str, u32, &'static str) -> String;
        serialize_seq(Option<usize>) -> Impossible<String, Error>;
        serialize_tuple(usize) -> Impossible<String, Error>;
        serialize_tuple_struct(&'static str, usize) -> Impossible<String, Error>;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Impossible<String, Error>;
        serialize_map(Option<usize>) -> Impossible<String, Error>;
        serialize_struct(&'static str, usize) -> Impossible<String, Error>;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Impossible<String, Error>;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _value: &T) -> Result<String, Error> {
        Err(not_a_wrapper())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _value: &T,
    ) -> Result<String, Error> {
        Err(not_a_wrapper())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<String, Error> {
        Err(not_a_wrapper())
    }
}
