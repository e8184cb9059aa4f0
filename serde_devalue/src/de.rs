//! Deserializes any serde type directly from the text.

use std::borrow::Cow;
use std::cell::Cell;

use serde::de::{self, Deserialize, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::de_access::{Bytes, Elements, Members, Pairs, SparseElements, Variant};
use crate::entry::{Entries, Entry, Item, Quoted, Slot};
use crate::error::{Error, ErrorKind};
use crate::leaf;
use crate::limits::{Budget, VISIT};
use crate::tag::{Tag, ViewKind};
use crate::token;
use crate::value::Value;
use crate::walk::{boxed, sparse, view_buffer};

/// The state of one deserialization, shared by its parts.
pub(crate) struct Context<'i, 't> {
    pub(crate) entries: Entries<'i, 't>,
    pub(crate) budget: Budget,
    /// The number of open containers.
    depth: Cell<usize>,
    /// The current position in the text, for errors of visitors. Results are not mapped on their way up, because this
    /// would move each value once per level.
    pub(crate) position: Cell<usize>,
}

impl<'i, 't> Context<'i, 't> {
    pub(crate) fn new(entries: Entries<'i, 't>) -> Self {
        Self {
            entries,
            budget: entries.budget(),
            depth: Cell::new(0),
            position: Cell::new(0),
        }
    }

    pub(crate) fn deserialize<T: Deserialize<'t>>(&self, slot: Slot) -> Result<T, Error> {
        let result = T::deserialize(Deserializer {
            context: self,
            slot,
        });
        result.map_err(|error| error.at(self.position.get()))
    }

    #[inline(always)]
    pub(crate) fn charge(&self, cost: usize) -> Result<(), Error> {
        self.budget.charge(cost)
    }

    /// Charges for a visit of a value. Every way of reading one calls this once.
    #[inline(always)]
    fn visit(&self, slot: Slot) -> Result<(), Error> {
        crate::work::count(1);
        self.charge(VISIT + self.entries.length(slot))
    }

    /// Returns the error for nesting that is too deep or circular.
    #[cold]
    fn too_deep(&self, slot: Slot) -> Error {
        let position = self.entries.position(slot);
        if crate::cycle::leads_to_itself(self.entries, slot) {
            Error::new(ErrorKind::Cycle, position, "a value that contains itself")
        } else {
            Error::new(ErrorKind::TooDeep, position, "values are nested too deeply")
        }
    }
}

/// A value to deserialize.
#[derive(Clone, Copy)]
pub(crate) struct Deserializer<'c, 'i, 't> {
    pub(crate) context: &'c Context<'i, 't>,
    pub(crate) slot: Slot,
}

impl<'c, 'i, 't> Deserializer<'c, 'i, 't> {
    /// Resolves the reference of an item within this value.
    #[inline]
    pub(crate) fn follow(&self, item: Item<'t>) -> Result<Self, Error> {
        let slot = self.context.entries.follow(item)?.slot();
        Ok(self.inside(slot))
    }

    /// Resolves the reference of the next element within this value.
    #[inline(always)]
    pub(crate) fn next(
        &self,
        elements: &mut crate::entry::Elements<'t>,
    ) -> Result<Option<Self>, Error> {
        match self.context.entries.next_reference(elements) {
            Some(reference) => Ok(Some(self.inside(reference?.slot()))),
            None => Ok(None),
        }
    }

    #[inline(always)]
    pub(crate) fn inside(&self, slot: Slot) -> Self {
        Self { slot, ..*self }
    }

    #[inline]
    fn entry(&self) -> Entry<'t> {
        self.context.entries.entry(self.slot)
    }

    pub(crate) fn position(&self) -> usize {
        self.context.entries.position(self.slot)
    }

    /// Enters a container; `leave` leaves it.
    #[inline]
    fn enter(&self) -> Result<(), Error> {
        let depth = self.context.depth.get();
        if depth >= self.context.entries.options.limits.depth {
            return Err(self.context.too_deep(self.slot));
        }
        self.context.depth.set(depth + 1);
        Ok(())
    }

    #[inline]
    fn leave(&self) {
        self.context.depth.set(self.context.depth.get() - 1);
    }

    /// Shows what is in a container.
    #[inline]
    fn within<T>(&self, show: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.enter()?;
        let result = show();
        self.leave();
        result
    }

    /// Records that errors from now on are about this value.
    #[inline]
    pub(crate) fn is_here(&self) {
        self.context.position.set(self.position());
    }

    #[inline(always)]
    fn any<V: Visitor<'t>>(self, visitor: V, in_struct: bool) -> Result<V::Value, Error> {
        self.context.visit(self.slot)?;
        let entries = &self.context.entries;
        match entries.head(self.slot) {
            Some((span, b'"')) => {
                self.context.position.set(span.start as usize);
                return self.text(entries.quoted(span), visitor);
            }
            Some((span, b'0'..=b'9')) => {
                self.context.position.set(span.start as usize);
                return visit_number(entries.unsigned(span), visitor);
            }
            Some((span, b'{')) => {
                self.context.position.set(span.start as usize);
                let members = Members::new(self, entries.object(span), in_struct);
                return self.within(|| visitor.visit_map(members));
            }
            _ => {}
        }
        self.others(visitor, in_struct)
    }

    /// What is neither a string nor an object nor a number without a sign.
    fn others<V: Visitor<'t>>(self, visitor: V, in_struct: bool) -> Result<V::Value, Error> {
        self.is_here();
        match self.entry() {
            Entry::Undefined | Entry::Null => visitor.visit_unit(),
            Entry::Bool(bool) => visitor.visit_bool(bool),
            Entry::Number(number) => visit_number(number, visitor),
            Entry::String(text) => self.text(text, visitor),
            Entry::Array(elements) => self.within(|| Elements::new(self, elements).visit(visitor)),
            Entry::Sparse(elements) => {
                let (length, items) = sparse(elements, &self.context.budget)?;
                // A Rust sequence has no holes, so each hole is a value.
                self.context
                    .charge((length as usize).saturating_mul(VISIT))?;
                self.within(|| visitor.visit_seq(SparseElements::new(self, length, items)))
            }
            Entry::Object(members) => {
                self.within(|| visitor.visit_map(Members::new(self, members, in_struct)))
            }
            Entry::Tagged(tag, name, elements) => {
                self.tagged(tag, name, elements, visitor, in_struct)
            }
        }
    }

    #[inline(always)]
    fn text<V: Visitor<'t>>(&self, text: Quoted<'t>, visitor: V) -> Result<V::Value, Error> {
        if text.plain {
            return visitor.visit_borrowed_str(text.raw);
        }
        match text.utf8()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn tagged<V: Visitor<'t>>(
        self,
        tag: Tag,
        name: Quoted<'t>,
        mut elements: crate::entry::Elements<'t>,
        visitor: V,
        in_struct: bool,
    ) -> Result<V::Value, Error> {
        match tag {
            Tag::Map => self.within(|| visitor.visit_map(Pairs::new(self, elements))),
            Tag::Set => self.within(|| Elements::new(self, elements).visit(visitor)),
            Tag::NullObject => {
                self.within(|| visitor.visit_map(Members::new(self, elements, in_struct)))
            }
            Tag::Date => {
                let date = leaf::date(elements)?;
                match date.as_millis() {
                    Some(_) => visitor.visit_string(date.to_string()),
                    None => visitor.visit_unit(),
                }
            }
            Tag::BigInt => {
                let int = leaf::bigint(elements, &self.context.budget)?;
                let digits = int.as_str();
                if let Ok(int) = digits.parse() {
                    visitor.visit_i64(int)
                } else if let Ok(int) = digits.parse() {
                    visitor.visit_u64(int)
                } else if let Ok(int) = digits.parse() {
                    visitor.visit_i128(int)
                } else if let Ok(int) = digits.parse() {
                    visitor.visit_u128(int)
                } else {
                    visitor.visit_str(digits)
                }
            }
            Tag::Boxed => {
                let slot = boxed(&self.context.entries, elements)?;
                self.inside(slot).any(visitor, in_struct)
            }
            Tag::Url => {
                let url = leaf::url(self.context.entries, elements)?;
                self.context.charge(url.len())?;
                visitor.visit_string(url.into_owned())
            }
            Tag::RegExp | Tag::UrlSearchParams | Tag::Temporal(_) => {
                let text = match leaf::decode(tag, elements)? {
                    Some(Value::RegExp(regexp)) => {
                        format!("/{}/{}", regexp.source(), regexp.flags())
                    }
                    Some(Value::UrlSearchParams(text) | Value::Temporal(_, text)) => text,
                    _ => String::new(),
                };
                visitor.visit_string(text)
            }
            Tag::ArrayBuffer => visitor.visit_byte_buf(leaf::buffer(elements)?),
            Tag::View(ViewKind::Uint8Array | ViewKind::Uint8ClampedArray | ViewKind::DataView) => {
                let (_, bytes) = self.view(elements)?;
                visitor.visit_byte_buf(bytes)
            }
            Tag::View(_) => {
                let (kind, bytes) = self.view(elements)?;
                self.numbers(kind, bytes, visitor)
            }
            Tag::Custom => {
                self.context.entries.check_tag(name)?;
                let at = elements.position();
                match elements.next() {
                    Some(item @ Item::Number(..)) => {
                        let value = self.follow(item)?;
                        self.within(|| value.any(visitor, in_struct))
                    }
                    Some(Item::String(text)) => self.text(text, visitor),
                    Some(Item::Bool(bool, _)) => visitor.visit_bool(bool),
                    Some(Item::Null(_)) => visitor.visit_unit(),
                    Some(Item::Nested(_)) | None => Err(Error::format(at, "a tag without a value")),
                }
            }
        }
    }

    /// Shows the elements of a typed array one by one.
    fn numbers<V: Visitor<'t>>(
        &self,
        kind: ViewKind,
        bytes: Vec<u8>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Three bytes take four characters, which pay for the elements of an array that is read once.
        const ELEMENT: usize = 20;
        self.context.charge(bytes.len().saturating_mul(ELEMENT))?;
        visitor.visit_seq(Bytes::new(kind, bytes))
    }

    /// The bytes that a view shows.
    fn view(&self, elements: crate::entry::Elements<'t>) -> Result<(ViewKind, Vec<u8>), Error> {
        let Entry::Tagged(Tag::View(kind), ..) = self.entry() else {
            return Err(Error::format(self.position(), "a view without a buffer"));
        };
        let budget = &self.context.budget;
        let (slot, size, window) = view_buffer(&self.context.entries, elements, budget)?;
        let (offset, length) = leaf::window(kind, size, window)?;
        let Entry::Tagged(Tag::ArrayBuffer, _, payload) = self.context.entries.entry(slot) else {
            return Err(Error::format(self.position(), "a view without a buffer"));
        };
        let mut bytes = leaf::buffer(payload)?;
        bytes.truncate(offset + length * kind.element_size());
        bytes.drain(..offset);
        Ok((kind, bytes))
    }

    /// Returns the bytes if it is a buffer or a view.
    fn raw_bytes(&self) -> Result<Option<(ViewKind, Vec<u8>)>, Error> {
        self.is_here();
        match self.entry() {
            Entry::Tagged(Tag::ArrayBuffer, _, elements) => {
                self.context.visit(self.slot)?;
                Ok(Some((ViewKind::Uint8Array, leaf::buffer(elements)?)))
            }
            Entry::Tagged(Tag::View(_), _, elements) => {
                self.context.visit(self.slot)?;
                self.view(elements).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Deserializes the wrapper types of this crate.
    fn wrapper<V: Visitor<'t>>(self, name: &str, visitor: V) -> Result<V::Value, Error> {
        match (name, self.entry()) {
            (token::VALUE, _) => {
                let entries = self.context.entries;
                let value = crate::build::to_value(entries, self.slot, &self.context.budget)?;
                token::hand_over(value, || visitor.visit_unit())
            }
            (token::DATE, Entry::Tagged(Tag::Date, _, elements)) => {
                self.context.visit(self.slot)?;
                visitor.visit_string(leaf::date(elements)?.to_string())
            }
            (token::BIGINT, Entry::Tagged(Tag::BigInt, _, elements)) => {
                self.context.visit(self.slot)?;
                let int = leaf::bigint(elements, &self.context.budget)?;
                visitor.visit_str(int.as_str())
            }
            (token::MAP | token::SET, _) => visitor.visit_newtype_struct(self),
            _ => self.any(visitor, false),
        }
    }
}

#[inline]
pub(crate) fn visit_number<'t, V: Visitor<'t>>(number: f64, visitor: V) -> Result<V::Value, Error> {
    // The cast saturates for larger numbers. The comparison detects this, except for the largest integer itself.
    #[allow(clippy::cast_possible_truncation)]
    let integer = number as i64;
    #[allow(clippy::cast_precision_loss)]
    let is_integer = integer as f64 == number
        && integer != i64::MAX
        && (integer != 0 || number.is_sign_positive());
    match u64::try_from(integer) {
        _ if !is_integer => visitor.visit_f64(number),
        Ok(natural) => visitor.visit_u64(natural),
        Err(_) => visitor.visit_i64(integer),
    }
}

impl<'t> de::Deserializer<'t> for Deserializer<'_, '_, 't> {
    type Error = Error;

    #[inline(always)]
    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor, false)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.context.entries.head(self.slot) {
            None if self.slot == Slot::UNDEFINED => {
                self.context.visit(self.slot)?;
                visitor.visit_none()
            }
            // An `Option` reads both as `None`; this crate's `Value` distinguishes them.
            Some((_, b'n')) => {
                self.context.visit(self.slot)?;
                visitor.visit_unit()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if token::is(name) {
            return {
                self.is_here();
                self.wrapper(name, visitor)
            };
        }
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.any(visitor, true)
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.raw_bytes()? {
            Some((kind, bytes)) => self.numbers(kind, bytes, visitor),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'t>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_bytes<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.raw_bytes()? {
            Some((_, bytes)) => visitor.visit_byte_buf(bytes),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.is_here();
        self.context.visit(self.slot)?;
        match self.entry() {
            Entry::String(text) => text.utf8().and_then(|variant| {
                let variant: de::value::CowStrDeserializer<'_, Error> = variant.into_deserializer();
                visitor.visit_enum(variant)
            }),
            Entry::Object(members) | Entry::Tagged(Tag::NullObject, _, members) => {
                let variant = Variant::new(self, members)?;
                self.within(|| visitor.visit_enum(variant))
            }
            _ => Err(Error::custom(
                "neither a string nor an object, where an enum was expected",
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.context.charge(1)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string unit unit_struct map identifier
    }
}

/// Deserializes from a text with checked syntax.
pub(crate) fn from_entries<'t, T: Deserialize<'t>>(entries: Entries<'_, 't>) -> Result<T, Error> {
    Context::new(entries).deserialize(entries.root())
}
