//! A value within a document.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use crate::de::Context;
use crate::document::{Inner, NodeId};
use crate::entry::{Elements, Entry, Item, Reference, Slot};
use crate::error::Error;
use crate::string::JsString;
use crate::tag::Tag;
use crate::value::Value;

/// One value of a [`Document`](crate::Document), not yet decoded.
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
/// It is a pair of words and copies freely. `Debug` shows its kind only.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    document: &'a Inner,
    slot: Slot,
}

/// What kind of value a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool,
    /// A number, NaN and the infinities included.
    Number,
    /// A string.
    String,
    /// A BigInt.
    BigInt,
    /// A Date, possibly an invalid one.
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
    /// A value with a tag that is not one of the format's.
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

    /// Its name within the document.
    pub fn id(&self) -> NodeId {
        NodeId(self.slot)
    }

    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        match self.entry() {
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

    /// The string, if it is one that a Rust string can hold; borrowed if it was written without escapes.
    ///
    /// `None` for a string with a lone surrogate too; [`as_js_string`](Self::as_js_string) gives that one.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        let quoted = self.document.entries().string(self.slot)?;
        quoted.text().into_utf8()
    }

    /// The string, if it is one.
    pub fn as_js_string(&self) -> Option<JsString> {
        match self.entry() {
            Entry::String(quoted) => Some(quoted.text().into()),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self.entry() {
            Entry::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.entry() {
            Entry::Bool(bool) => Some(bool),
            _ => None,
        }
    }

    /// The entries of a Map, in the order of the text.
    ///
    /// ```
    /// let document = serde_devalue::Document::parse(r#"[["Map",1,2,1,3],"a","first","last"]"#)?;
    /// assert_eq!(document.root().map_entries()?.count(), 2);
    /// # Ok::<_, serde_devalue::Error>(())
    /// ```
    ///
    /// An error if it is no Map. A text that devalue wrote has each key once. Should a key come again in a hand-written
    /// one, so it does here: to read it as devalue does, let the later value take the place of the first.
    pub fn map_entries(&self) -> Result<MapEntries<'a>, Error> {
        match self.entry() {
            Entry::Tagged(Tag::Map, _, elements) => Ok(MapEntries {
                document: self.document,
                elements,
            }),
            _ => Err(self.is_not("Map")),
        }
    }

    /// The members of an object, in the order of the text.
    ///
    /// An error if it is no object, and an error in a key's place if the key is `__proto__`, which devalue refuses, or
    /// has a lone surrogate. A key that comes again in a hand-written text does so here; the later value is the one
    /// that counts.
    pub fn object_entries(&self) -> Result<ObjectEntries<'a>, Error> {
        let members = match self.entry() {
            Entry::Object(members) | Entry::Tagged(Tag::NullObject, _, members) => members,
            _ => return Err(self.is_not("Object")),
        };
        Ok(ObjectEntries {
            document: self.document,
            elements: members,
        })
    }

    /// The elements of an array or a Set, with undefined for each hole.
    ///
    /// An error if it is neither. The elements of an array in the sparse form, whose length may be four thousand million,
    /// are had by [`to_value`](Self::to_value).
    pub fn elements(&self) -> Result<ElementNodes<'a>, Error> {
        match self.entry() {
            Entry::Array(elements) | Entry::Tagged(Tag::Set, _, elements) => Ok(ElementNodes {
                document: self.document,
                elements,
            }),
            _ => Err(self.is_not("Array or Set")),
        }
    }

    /// Decodes it, and all that it holds.
    ///
    /// An error if any part of it is one that devalue would refuse.
    pub fn to_value(&self) -> Result<Value, Error> {
        crate::build::to_value(self.document.entries(), self.slot)
    }

    /// Decodes it into a Rust type, straight from the text and borrowing from it where possible.
    ///
    /// An error at a part that the type asks for and that is not as it should be; parts that the type does not ask for
    /// are not looked at.
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
    elements: Elements<'a>,
}

impl<'a> Iterator for MapEntries<'a> {
    type Item = Result<(Node<'a>, Node<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let entries = self.document.entries();
        let key = entries.next_reference(&mut self.elements)?;
        let at = self.elements.position();
        let value = entries.next_reference(&mut self.elements);
        let node = |reference: Reference| Node::new(self.document, reference.slot());
        Some(match (key, value) {
            (Ok(key), Some(Ok(value))) => Ok((node(key), node(value))),
            (Err(error), _) | (_, Some(Err(error))) => Err(error),
            (_, None) => Err(Error::format(at, "a key without a value")),
        })
    }
}

/// The members of an object; see [`Node::object_entries`].
#[derive(Clone)]
pub struct ObjectEntries<'a> {
    document: &'a Inner,
    elements: Elements<'a>,
}

impl<'a> Iterator for ObjectEntries<'a> {
    type Item = Result<(Cow<'a, str>, Node<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((key, slot)) = self
            .document
            .entries()
            .next_plain_member(&mut self.elements)
        {
            return Some(Ok((Cow::Borrowed(key), Node::new(self.document, slot))));
        }
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
            Ok((text, follow(self.document, value)?))
        })())
    }
}

/// The elements of an array or a Set; see [`Node::elements`].
#[derive(Clone)]
pub struct ElementNodes<'a> {
    document: &'a Inner,
    elements: Elements<'a>,
}

impl<'a> Iterator for ElementNodes<'a> {
    type Item = Result<Node<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        {
            let reference = self.document.entries().next_reference(&mut self.elements)?;
            Some(reference.map(|reference| Node::new(self.document, reference.slot())))
        }
    }
}

#[inline]
fn follow<'a>(document: &'a Inner, item: Item<'a>) -> Result<Node<'a>, Error> {
    Ok(Node::new(document, document.entries().follow(item)?.slot()))
}
