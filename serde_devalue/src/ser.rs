//! Serializes any serde type with a [`Writer`].

use serde::ser::{self, Serialize};

use crate::bigint::BigInt;
use crate::date::Date;
use crate::document::Document;
use crate::error::Error;
use crate::token;
use crate::url::Url;
use crate::writer::Writer;

/// The largest safe integer. Doubles represent all integers up to it exactly.
const SAFE: u64 = (1 << 53) - 1;

pub(crate) struct Serializer<'w> {
    writer: &'w mut Writer,
    /// The kind of the next map or sequence.
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Plain,
    Map,
    Set,
}

impl<'w> Serializer<'w> {
    pub(crate) fn new(writer: &'w mut Writer) -> Self {
        Self {
            writer,
            shape: Shape::Plain,
        }
    }

    fn variant(self, variant: &'static str) -> &'w mut Writer {
        self.writer.begin_object();
        self.writer.key(variant);
        self.writer
    }
}

/// An open array, Set, object or Map.
pub(crate) struct Compound<'w> {
    writer: &'w mut Writer,
    /// Whether keys are written as values, as in a Map.
    map: bool,
    /// Whether it is inside the object of an enum variant.
    variant: bool,
}

impl Compound<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Serializer::new(self.writer))
    }

    fn finish(self) -> Result<(), Error> {
        self.writer.end();
        if self.variant {
            self.writer.end();
        }
        Ok(())
    }
}

macro_rules! small_integers {
    ($($method:ident $int:ty)*) => {$(
        #[inline]
        fn $method(self, int: $int) -> Result<(), Error> {
            self.writer.number(int.into());
            Ok(())
        }
    )*};
}

macro_rules! large_integers {
    ($($method:ident $int:ty, $size:expr;)*) => {$(
        #[inline]
        fn $method(self, int: $int) -> Result<(), Error> {
            #[allow(clippy::cast_precision_loss)]
            #[allow(clippy::redundant_closure_call)]
            if ($size)(int) <= SAFE.into() {
                self.writer.number(int as f64);
            } else {
                self.writer.bigint_digits(itoa::Buffer::new().format(int));
            }
            Ok(())
        }
    )*};
}

impl<'w> ser::Serializer for Serializer<'w> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'w>;
    type SerializeTuple = Compound<'w>;
    type SerializeTupleStruct = Compound<'w>;
    type SerializeTupleVariant = Compound<'w>;
    type SerializeMap = Compound<'w>;
    type SerializeStruct = Compound<'w>;
    type SerializeStructVariant = Compound<'w>;

    fn serialize_bool(self, bool: bool) -> Result<(), Error> {
        self.writer.bool(bool);
        Ok(())
    }

    small_integers! {
        serialize_i8 i8
        serialize_i16 i16
        serialize_i32 i32
        serialize_u8 u8
        serialize_u16 u16
        serialize_u32 u32
        serialize_f32 f32
        serialize_f64 f64
    }

    large_integers! {
        serialize_i64 i64, i64::unsigned_abs;
        serialize_u64 u64, |int: u64| int;
        serialize_i128 i128, i128::unsigned_abs;
        serialize_u128 u128, |int: u128| int;
    }

    fn serialize_char(self, char: char) -> Result<(), Error> {
        self.serialize_str(char.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), Error> {
        self.writer.string(text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.bytes(bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.writer.null();
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if !token::is(name) {
            return value.serialize(self);
        }
        match name {
            token::MAP => value.serialize(Self {
                shape: Shape::Map,
                ..self
            }),
            token::SET => value.serialize(Self {
                shape: Shape::Set,
                ..self
            }),
            token::DATE => {
                self.writer.date(Date::parse(&token::text(value)?));
                Ok(())
            }
            token::URL => {
                self.writer.url(&Url::parse(&token::text(value)?)?);
                Ok(())
            }
            token::BIGINT => {
                self.writer.bigint(&token::text(value)?.parse::<BigInt>()?);
                Ok(())
            }
            token::VALUE => self
                .writer
                .node(Document::parse_with(token::text(value)?, token::parse_options())?.root()),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let writer = self.variant(variant);
        value.serialize(Serializer::new(writer))?;
        writer.end();
        Ok(())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Compound<'w>, Error> {
        if self.shape == Shape::Set {
            self.writer.begin_set();
        } else {
            self.writer.begin_array();
        }
        self.writer.check()?;
        Ok(Compound {
            writer: self.writer,
            map: false,
            variant: false,
        })
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'w>, Error> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Compound<'w>, Error> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'w>, Error> {
        let writer = self.variant(variant);
        writer.begin_array();
        writer.check()?;
        Ok(Compound {
            writer,
            map: false,
            variant: true,
        })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Compound<'w>, Error> {
        let map = self.shape == Shape::Map;
        if map {
            self.writer.begin_map();
        } else {
            self.writer.begin_object();
        }
        self.writer.check()?;
        Ok(Compound {
            writer: self.writer,
            map,
            variant: false,
        })
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, length: usize) -> Result<Compound<'w>, Error> {
        if self.shape == Shape::Map {
            return self.serialize_map(Some(length));
        }
        self.writer.begin_struct();
        self.writer.check()?;
        Ok(Compound {
            writer: self.writer,
            map: false,
            variant: false,
        })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Compound<'w>, Error> {
        let writer = self.variant(variant);
        writer.begin_struct();
        writer.check()?;
        Ok(Compound {
            writer,
            map: false,
            variant: true,
        })
    }
}

macro_rules! sequences {
    ($($name:ident $method:ident)*) => {$(
        impl ser::$name for Compound<'_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

sequences! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! structs {
    ($($name:ident)*) => {$(
        impl ser::$name for Compound<'_> {
            type Ok = ();
            type Error = Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                if self.map {
                    self.writer.string(key);
                } else {
                    self.writer.key(key);
                }
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}

structs!(SerializeStruct SerializeStructVariant);

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        if self.map {
            self.element(key)
        } else {
            key.serialize(crate::key::KeySerializer(self.writer))
        }
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}
