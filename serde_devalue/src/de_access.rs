//! Serde access to arrays, objects, Maps and enums.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::de::{Deserializer, visit_number};
use crate::entry::{self, Item, Quoted, Slot};
use crate::error::Error;
use crate::limits::VISIT;
use crate::tag::ViewKind;
use crate::walk::checked_key;

/// The elements of an array or a Set.
pub(crate) struct Elements<'c, 'i, 't> {
    parent: Deserializer<'c, 'i, 't>,
    rest: entry::Elements<'t>,
}

impl<'c, 'i, 't> Elements<'c, 'i, 't> {
    pub(crate) fn new(parent: Deserializer<'c, 'i, 't>, rest: entry::Elements<'t>) -> Self {
        Self { parent, rest }
    }

    /// Visits all elements. It is an error if the visitor leaves some, like that of a tuple.
    #[inline]
    pub(crate) fn visit<V: Visitor<'t>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let value = visitor.visit_seq(&mut self)?;
        match self.rest.count() {
            0 => Ok(value),
            more => Err(Error::custom(format_args!(
                "{more} elements more than expected"
            ))),
        }
    }
}

impl<'t> de::SeqAccess<'t> for &mut Elements<'_, '_, 't> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        match self.parent.next(&mut self.rest)? {
            Some(element) => seed.deserialize(element).map(Some),
            None => {
                self.parent.is_here();
                Ok(None)
            }
        }
    }
}

/// The elements of a sparse array, with `undefined` for holes.
pub(crate) struct SparseElements<'c, 'i, 't> {
    parent: Deserializer<'c, 'i, 't>,
    next: u32,
    length: u32,
    items: BTreeMap<u32, Item<'t>>,
}

impl<'c, 'i, 't> SparseElements<'c, 'i, 't> {
    pub(crate) fn new(
        parent: Deserializer<'c, 'i, 't>,
        length: u32,
        items: BTreeMap<u32, Item<'t>>,
    ) -> Self {
        Self {
            parent,
            next: 0,
            length,
            items,
        }
    }
}

impl<'t> de::SeqAccess<'t> for SparseElements<'_, '_, 't> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.next >= self.length {
            return Ok(None);
        }
        crate::work::count(1);
        let element = match self.items.get(&self.next) {
            Some(&item) => self.parent.follow(item)?,
            None => self.parent.inside(Slot::UNDEFINED),
        };
        self.next += 1;
        seed.deserialize(element).map(Some)
    }
}

/// The members of an object.
pub(crate) struct Members<'c, 'i, 't> {
    parent: Deserializer<'c, 'i, 't>,
    rest: entry::Elements<'t>,
    value: Option<Deserializer<'c, 'i, 't>>,
    /// Whether an `undefined` member counts as missing, as for struct fields.
    skip_undefined: bool,
}

impl<'c, 'i, 't> Members<'c, 'i, 't> {
    pub(crate) fn new(
        parent: Deserializer<'c, 'i, 't>,
        rest: entry::Elements<'t>,
        skip_undefined: bool,
    ) -> Self {
        Self {
            parent,
            rest,
            value: None,
            skip_undefined,
        }
    }

    #[inline]
    fn next_key(&mut self) -> Result<Option<Quoted<'t>>, Error> {
        while let Some(key) = self.rest.next_key() {
            let key = key?;
            if !key.plain || key.raw.starts_with('_') {
                checked_key(key)?;
            }
            let Some(value) = self.parent.next(&mut self.rest)? else {
                return Err(Error::format(key.at, "a key without a value"));
            };
            if self.skip_undefined && value.slot == Slot::UNDEFINED {
                continue;
            }
            self.value = Some(value);
            self.parent.context.charge(VISIT)?;
            return Ok(Some(key));
        }
        Ok(None)
    }
}

impl<'t> de::MapAccess<'t> for Members<'_, '_, 't> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let entries = &self.parent.context.entries;
        self.parent.context.position.set(self.rest.position());
        while let Some((key, slot)) = entries.next_plain_member(&mut self.rest) {
            if self.skip_undefined && slot == Slot::UNDEFINED {
                continue;
            }
            self.value = Some(self.parent.inside(slot));
            self.parent.context.charge(VISIT)?;
            return seed.deserialize(Key(Cow::Borrowed(key))).map(Some);
        }
        match self.next_key()? {
            Some(key) if key.plain => seed.deserialize(Key(Cow::Borrowed(key.raw))).map(Some),
            Some(key) => seed.deserialize(Key(key.utf8()?)).map(Some),
            None => {
                self.parent.is_here();
                Ok(None)
            }
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(Error::custom("a value was asked for before its key")),
        }
    }
}

/// The keys and values of a Map.
pub(crate) struct Pairs<'c, 'i, 't> {
    parent: Deserializer<'c, 'i, 't>,
    rest: entry::Elements<'t>,
}

impl<'c, 'i, 't> Pairs<'c, 'i, 't> {
    pub(crate) fn new(parent: Deserializer<'c, 'i, 't>, rest: entry::Elements<'t>) -> Self {
        Self { parent, rest }
    }
}

impl<'t> de::MapAccess<'t> for Pairs<'_, '_, 't> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        match self.parent.next(&mut self.rest)? {
            Some(element) => seed.deserialize(element).map(Some),
            None => {
                self.parent.is_here();
                Ok(None)
            }
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let at = self.rest.position();
        let item = self
            .rest
            .next()
            .ok_or_else(|| Error::format(at, "a key without a value"))?;
        seed.deserialize(self.parent.follow(item)?)
    }
}

/// A key of an object, which may be another type than a string in Rust.
struct Key<'t>(Cow<'t, str>);

macro_rules! parsed {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                Err(_) => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'t> de::Deserializer<'t> for Key<'t> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cow::Borrowed(key) => visitor.visit_borrowed_str(key),
            Cow::Owned(key) => visitor.visit_string(key),
        }
    }

    parsed! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8
        deserialize_i16 visit_i16
        deserialize_i32 visit_i32
        deserialize_i64 visit_i64
        deserialize_i128 visit_i128
        deserialize_u8 visit_u8
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_u128 visit_u128
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let key: de::value::CowStrDeserializer<'_, Error> = self.0.into_deserializer();
        key.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// An enum variant, written as an object with one member.
pub(crate) struct Variant<'c, 'i, 't> {
    name: Cow<'t, str>,
    content: Deserializer<'c, 'i, 't>,
}

impl<'c, 'i, 't> Variant<'c, 'i, 't> {
    pub(crate) fn new(
        parent: Deserializer<'c, 'i, 't>,
        members: entry::Elements<'t>,
    ) -> Result<Self, Error> {
        let mut members = Members::new(parent, members, false);
        match (
            members.next_key()?,
            members.value.take(),
            members.next_key()?,
        ) {
            (Some(name), Some(content), None) => Ok(Self {
                name: name.utf8()?,
                content,
            }),
            _ => Err(Error::custom(
                "an object of not exactly one member, where an enum was expected",
            )),
        }
    }
}

impl<'t> de::EnumAccess<'t> for Variant<'_, '_, 't> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let variant = seed.deserialize(Key(self.name.clone()))?;
        Ok((variant, self))
    }
}

impl<'t> de::VariantAccess<'t> for Variant<'_, '_, 't> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        serde::Deserialize::deserialize(self.content)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content)
    }

    fn tuple_variant<V: Visitor<'t>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_tuple(self.content, length, visitor)
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        de::Deserializer::deserialize_struct(self.content, "", fields, visitor)
    }
}

/// The elements of a typed array.
pub(crate) struct Bytes {
    kind: ViewKind,
    bytes: std::vec::IntoIter<u8>,
}

impl Bytes {
    pub(crate) fn new(kind: ViewKind, bytes: Vec<u8>) -> Self {
        Self {
            kind,
            bytes: bytes.into_iter(),
        }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.bytes.next().unwrap_or(0))
    }
}

impl<'t> de::SeqAccess<'t> for Bytes {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.bytes.len() == 0 {
            return Ok(None);
        }
        crate::work::count(1);
        let element = match self.kind {
            ViewKind::Uint8Array | ViewKind::Uint8ClampedArray | ViewKind::DataView => {
                Element::Number(u8::from_le_bytes(self.take()).into())
            }
            ViewKind::Int8Array => Element::Number(i8::from_le_bytes(self.take()).into()),
            ViewKind::Int16Array => Element::Number(i16::from_le_bytes(self.take()).into()),
            ViewKind::Uint16Array => Element::Number(u16::from_le_bytes(self.take()).into()),
            ViewKind::Float16Array => Element::Number(half(u16::from_le_bytes(self.take()))),
            ViewKind::Int32Array => Element::Number(i32::from_le_bytes(self.take()).into()),
            ViewKind::Uint32Array => Element::Number(u32::from_le_bytes(self.take()).into()),
            ViewKind::Float32Array => Element::Number(f32::from_le_bytes(self.take()).into()),
            ViewKind::Float64Array => Element::Number(f64::from_le_bytes(self.take())),
            ViewKind::BigInt64Array => Element::Signed(i64::from_le_bytes(self.take())),
            ViewKind::BigUint64Array => Element::Unsigned(u64::from_le_bytes(self.take())),
        };
        seed.deserialize(element).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len() / self.kind.element_size())
    }
}

/// Converts a half-precision float to a double.
fn half(bits: u16) -> f64 {
    let magnitude = match (bits >> 10 & 0x1f, f64::from(bits & 0x3ff)) {
        (0, fraction) => fraction * 2_f64.powi(-24),
        (0x1f, 0.0) => f64::INFINITY,
        (0x1f, _) => f64::NAN,
        (exponent, fraction) => (1.0 + fraction / 1024.0) * 2_f64.powi(i32::from(exponent) - 15),
    };
    if bits & 0x8000 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// One element of a typed array.
enum Element {
    Number(f64),
    Signed(i64),
    Unsigned(u64),
}

impl<'t> de::Deserializer<'t> for Element {
    type Error = Error;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Number(number) => visit_number(number, visitor),
            Self::Signed(int) => visitor.visit_i64(int),
            Self::Unsigned(int) => visitor.visit_u64(int),
        }
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
