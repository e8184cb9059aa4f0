//! Values within a document.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use crate::de::Context;
use crate::document::{Inner, NodeId};
use crate::entry::{Elements, Entries, Entry, Item, Reference, Slot};
use crate::error::Error;
use crate::limits::{Budget, VISIT};
use crate::string::JsString;
use crate::tag::Tag;
use crate::value::Value;

/// A value of a [`Document`](crate::Document) that is not yet decoded.
///
/// ```
/// use serde_devalue::{Document, Kind};
///
/// let document = Document::parse(r#"[{"name":1,"since":2},"Ann",["Date","2026-03-04T05:06:07.089Z"]]"#)?;
/// let (key, since) = document.root().object_entries()?.nth(1).unwrap()?;
/// assert_eq!((&*key, since.kind()), ("since", Kind::Date));
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// It is two words in size and `Copy`. `Debug` shows only the kind.
///
/// A method takes time linear in the entry of the node. An iterator over its values charges each of them to a
/// [budget](crate::Limits::expansion) of its own, so a program that iterates and reads each value once is bounded too.
/// Nested iteration is not: [`deserialize`](Self::deserialize) and [`to_value`](Self::to_value) bound the whole tree.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    document: &'a Inner,
    slot: Slot,
}

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool,
    /// A number, including NaN and infinities.
    Number,
    /// A string.
    String,
    /// A BigInt.
    BigInt,
    /// A Date, possibly invalid.
    Date,
    /// A RegExp.
    RegExp,
    /// A URL.
    Url,
    /// URLSearchParams.
    UrlSearchParams,
    /// One of the eight `Temporal` classes.
    Temporal,
    /// An array, possibly with holes.
    Array,
    /// An object, with or without a prototype.
    Object,
    /// A Map.
    Map,
    /// A Set.
    Set,
    /// A boxed primitive, such as `new Number(1)`.
    Boxed,
    /// An ArrayBuffer.
    ArrayBuffer,
    /// A typed array or a DataView.
    View,
    /// A value with a custom tag.
    Custom,
}

impl<'a> Node<'a> {
    #[inline]
    pub(crate) fn new(document: &'a Inner, slot: Slot) -> Self {
        Self { document, slot }
    }

    pub(crate) fn document(&self) -> &'a Inner {
        self.document
    }

    pub(crate) fn slot(&self) -> Slot {
        self.slot
    }

    #[inline]
    fn entry(&self) -> Entry<'a> {
        self.document.entries().entry(self.slot)
    }

    fn is_not(&self, what: &str) -> Error {
        let position = self.document.entries().position(self.slot);
        Error::new(
            crate::ErrorKind::Data,
            position,
            format!("{:?} where {what} was expected", self.kind()),
        )
    }

    /// Returns its id within the document.
    pub fn id(&self) -> NodeId {
        NodeId(self.slot)
    }

    /// Returns the kind of the value.
    pub fn kind(&self) -> Kind {
        let entries = self.document.entries();
        if entries.string(self.slot).is_some() {
            return Kind::String;
        }
        match entries.entry(self.slot) {
            Entry::Undefined => Kind::Undefined,
            Entry::Null => Kind::Null,
            Entry::Bool(_) => Kind::Bool,
            Entry::Number(_) => Kind::Number,
            Entry::String(_) => Kind::String,
            Entry::Array(_) | Entry::Sparse(_) => Kind::Array,
            Entry::Object(_) => Kind::Object,
            Entry::Tagged(tag, ..) => match tag {
                Tag::Date => Kind::Date,
                Tag::Map => Kind::Map,
                Tag::Set => Kind::Set,
                Tag::RegExp => Kind::RegExp,
                Tag::Boxed => Kind::Boxed,
                Tag::BigInt => Kind::BigInt,
                Tag::NullObject => Kind::Object,
                Tag::ArrayBuffer => Kind::ArrayBuffer,
                Tag::View(_) => Kind::View,
                Tag::Url => Kind::Url,
                Tag::UrlSearchParams => Kind::UrlSearchParams,
                Tag::Temporal(_) => Kind::Temporal,
                Tag::Custom => Kind::Custom,
            },
        }
    }

    /// Returns the string if it is valid UTF-8. It is borrowed if the text has no escapes.
    ///
    /// It is also `None` for a string with a lone surrogate; see [`as_js_string`](Self::as_js_string).
    #[inline]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        let quoted = self.document.entries().string(self.slot)?;
        quoted.text().into_utf8()
    }

    /// Returns the string, if it is one.
    pub fn as_js_string(&self) -> Option<JsString> {
        match self.entry() {
            Entry::String(quoted) => Some(quoted.text().into()),
            _ => None,
        }
    }

    /// Returns the number, if it is one.
    #[inline]
    pub fn as_f64(&self) -> Option<f64> {
        let entries = self.document.entries();
        match entries.head(self.slot) {
            Some((span, b'0'..=b'9')) => Some(entries.unsigned(span)),
            _ => match entries.entry(self.slot) {
                Entry::Number(number) => Some(number),
                _ => None,
            },
        }
    }

    /// Returns the boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.entry() {
            Entry::Bool(bool) => Some(bool),
            _ => None,
        }
    }

    /// Returns the entries of a Map, in the order of the text.
    ///
    /// ```
    /// let document = serde_devalue::Document::parse(r#"[["Map",1,2,1,3],"a","first","last"]"#)?;
    /// assert_eq!(document.root().map_entries()?.count(), 2);
    /// # Ok::<_, serde_devalue::Error>(())
    /// ```
    ///
    /// It is an error if the value is not a Map. Texts from devalue have unique keys. Duplicates in other texts are
    /// returned as they are; devalue uses the last value at the position of the first.
    pub fn map_entries(&self) -> Result<MapEntries<'a>, Error> {
        match self.entry() {
            Entry::Tagged(Tag::Map, _, elements) => {
                let entries = self.document.entries();
                Ok(MapEntries {
                    document: self.document,
                    entries,
                    elements,
                    budget: entries.budget(),
                })
            }
            _ => Err(self.is_not("Map")),
        }
    }

    /// Returns the members of an object, in the order of the text.
    ///
    /// It is an error if the value is not an object. An item is an error if its key is `__proto__`, which devalue rejects,
    /// or has a lone surrogate. Duplicate keys are returned as they are; devalue uses the last value.
    #[inline]
    pub fn object_entries(&self) -> Result<ObjectEntries<'a>, Error> {
        let entries = self.document.entries();
        let members = match entries.head(self.slot) {
            Some((span, b'{')) => entries.object(span),
            _ => match entries.entry(self.slot) {
                Entry::Tagged(Tag::NullObject, _, members) => members,
                _ => return Err(self.is_not("Object")),
            },
        };
        Ok(ObjectEntries {
            document: self.document,
            entries,
            elements: members,
            budget: entries.budget(),
        })
    }

    /// Returns the elements of an array or a Set, with `undefined` for holes.
    ///
    /// It is an error if the value is neither. It is also an error for a sparse array, whose length may be huge; use
    /// [`to_value`](Self::to_value) instead.
    pub fn elements(&self) -> Result<ElementNodes<'a>, Error> {
        match self.entry() {
            Entry::Array(elements) | Entry::Tagged(Tag::Set, _, elements) => {
                let entries = self.document.entries();
                Ok(ElementNodes {
                    document: self.document,
                    entries,
                    elements,
                    budget: entries.budget(),
                })
            }
            _ => Err(self.is_not("Array or Set")),
        }
    }

    /// Decodes the value and everything in it.
    ///
    /// It is an error if devalue would reject any part of it.
    pub fn to_value(&self) -> Result<Value, Error> {
        let entries = self.document.entries();
        crate::build::to_value(entries, self.slot, &entries.budget())
    }

    /// Deserializes a Rust type directly from the text. It borrows from the text where possible.
    ///
    /// Only the parts that the type reads are checked.
    pub fn deserialize<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        Context::new(self.document.entries()).deserialize(self.slot)
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// The entries of a Map; see [`Node::map_entries`].
#[derive(Clone)]
pub struct MapEntries<'a> {
    document: &'a Inner,
    entries: Entries<'a, 'a>,
    elements: Elements<'a>,
    budget: Budget,
}

impl<'a> Iterator for MapEntries<'a> {
    type Item = Result<(Node<'a>, Node<'a>), Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.elements.is_at_end() {
            return None;
        }
        let (document, entries) = (self.document, self.entries);
        let key = entries.next_reference(&mut self.elements)?;
        let at = self.elements.position();
        let value = entries.next_reference(&mut self.elements);
        let node = |reference: Reference| {
            self.budget
                .charge(VISIT + entries.length(reference.slot()))?;
            Ok(Node::new(document, reference.slot()))
        };
        Some(match (key, value) {
            (Ok(key), Some(Ok(value))) => node(key).and_then(|key| Ok((key, node(value)?))),
            (Err(error), _) | (_, Some(Err(error))) => Err(error),
            (_, None) => Err(Error::format(at, "a key without a value")),
        })
    }
}

/// The members of an object; see [`Node::object_entries`].
#[derive(Clone)]
pub struct ObjectEntries<'a> {
    document: &'a Inner,
    entries: Entries<'a, 'a>,
    elements: Elements<'a>,
    budget: Budget,
}

impl<'a> Iterator for ObjectEntries<'a> {
    type Item = Result<(Cow<'a, str>, Node<'a>), Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.elements.is_at_end() {
            return None;
        }
        let (document, entries) = (self.document, self.entries);
        let node = |slot: Slot| {
            self.budget.charge(VISIT + entries.length(slot))?;
            Ok(Node::new(document, slot))
        };
        match entries.next_plain_member(&mut self.elements) {
            Some((key, slot)) => Some(node(slot).map(|value| (Cow::Borrowed(key), value))),
            None => self.next_member(),
        }
    }
}

impl<'a> ObjectEntries<'a> {
    /// Returns the next member, of any form.
    fn next_member(&mut self) -> Option<<Self as Iterator>::Item> {
        let key = self.elements.next()?;
        let value = self.elements.next();
        let at = self.elements.position();
        Some((|| {
            let Item::String(key) = key else {
                return Err(Error::format(key.position(), "a key that is no string"));
            };
            let text = key.utf8()?;
            if text == "__proto__" {
                return Err(Error::format(key.at, "a key that is `__proto__`"));
            }
            let value = value.ok_or_else(|| Error::format(at, "a key without a value"))?;
            let slot = self.entries.follow(value)?.slot();
            self.budget.charge(VISIT + self.entries.length(slot))?;
            Ok((text, Node::new(self.document, slot)))
        })())
    }
}

/// The elements of an array or a Set; see [`Node::elements`].
#[derive(Clone)]
pub struct ElementNodes<'a> {
    document: &'a Inner,
    entries: Entries<'a, 'a>,
    elements: Elements<'a>,
    budget: Budget,
}

impl<'a> Iterator for ElementNodes<'a> {
    type Item = Result<Node<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let reference = self.entries.next_reference(&mut self.elements)?;
        Some(reference.and_then(|reference| {
            let slot = reference.slot();
            self.budget.charge(VISIT + self.entries.length(slot))?;
            Ok(Node::new(self.document, slot))
        }))
    }
}
