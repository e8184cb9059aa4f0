//! Values of every type of the format, as a tree with anchors.

use indexmap::IndexMap;

use crate::bigint::BigInt;
use crate::date::Date;
use crate::object::Object;
use crate::regexp::RegExp;
use crate::string::JsString;
use crate::tag::{TemporalKind, ViewKind};
use crate::url::Url;

/// Any value that devalue can write.
///
/// ```
/// use serde_devalue::Value;
///
/// let value: Value = serde_devalue::from_str(r#"[["Set",1,-6],"a"]"#)?;
/// assert_eq!(value, Value::Set(vec!["a".into(), 0.0.into()]));
/// assert_eq!(serde_devalue::to_string(&value)?, r#"[["Set",1,2],"a",0]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// It is a tree. An object that is met more than once, or that contains itself, stands in an [`Anchor`](Self::Anchor)
/// where it is met first, and is an [`Alias`](Self::Alias) of that anchor wherever it is met again:
///
/// ```
/// use serde_devalue::Value;
///
/// let value: Value = serde_devalue::from_str(r#"[[1,1],{}]"#)?;
/// let Value::Array(items) = &value else { unreachable!() };
/// assert!(matches!(items[..], [Value::Anchor(first, _), Value::Alias(second)] if first == second));
/// assert_eq!(serde_devalue::to_string(&value)?, r#"[[1,1],{}]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Equality is JavaScript's `Object.is` for numbers (NaN is itself, −0 is not 0) and structure, order and sharing for
/// everything else.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, with −0, NaN and the infinities.
    Number(f64),
    /// A string, possibly with lone surrogates.
    String(JsString),
    /// An integer of any size.
    BigInt(BigInt),
    /// A point in time, or an invalid Date.
    Date(Date),
    /// A regular expression.
    RegExp(RegExp),
    /// A URL.
    Url(Url),
    /// URLSearchParams, in their serialized form: `a=1&b=x+y`.
    UrlSearchParams(String),
    /// A value of a `Temporal` class, as its text. Node before version 26 cannot read it: do not write it into a store
    /// that is shared with such a one.
    Temporal(TemporalKind, String),
    /// An array without holes.
    Array(Vec<Value>),
    /// An array with holes.
    SparseArray(SparseArray),
    /// An object, with or without a prototype.
    Object(Object),
    /// A Map, in the order of insertion. Its keys must be distinct: should one come twice, the writer lets the later
    /// value take the place of the first.
    Map(Vec<(Value, Value)>),
    /// A Set, in the order of insertion.
    Set(Vec<Value>),
    /// A primitive that is an object, such as `new Number(1)`.
    Boxed(Box<Value>),
    /// An ArrayBuffer.
    ArrayBuffer(Vec<u8>),
    /// A typed array or a DataView.
    View(Box<View>),
    /// A value with a tag of an application's own.
    Custom(Box<Custom>),
    /// An object that is met again, as an alias, further on or inside of itself.
    Anchor(AnchorId, Box<Value>),
    /// The object that stands in the anchor of this name.
    Alias(AnchorId),
}

/// The name of an anchor within one [`Value`]: they are numbered from 0 in the order in which they are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnchorId(pub u32);

/// An array with holes, which takes no memory for them.
///
/// ```
/// use serde_devalue::Value;
///
/// let value: Value = serde_devalue::from_str("[[-7,4294967295,7,1],true]")?;
/// let Value::SparseArray(array) = value else { unreachable!() };
/// assert_eq!((array.length, array.items.len()), (4_294_967_295, 1));
/// # Ok::<_, serde_devalue::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SparseArray {
    /// Its length, holes included.
    pub length: u32,
    /// Its elements, by their indices.
    pub items: std::collections::BTreeMap<u32, Value>,
}

/// A window on an ArrayBuffer: a typed array or a DataView.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What it makes of the bytes.
    pub kind: ViewKind,
    /// The whole buffer: a [`Value::ArrayBuffer`], in an anchor or as an alias if several views share it.
    pub buffer: Value,
    /// Where in the buffer it begins, in bytes.
    pub byte_offset: usize,
    /// How long it is: in elements, and for a DataView in bytes.
    pub length: usize,
}

/// A value with a tag of an application's own.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// The tag: the name of the reducer in JavaScript.
    pub tag: String,
    /// What the reducer made of the value.
    pub value: Value,
}

impl View {
    /// A view of `kind` on the whole of `bytes`; `None` if they are not a multiple of the element's size.
    pub fn new(kind: ViewKind, bytes: Vec<u8>) -> Option<Self> {
        let length = bytes.len() / kind.element_size();
        bytes
            .len()
            .is_multiple_of(kind.element_size())
            .then(|| Self {
                kind,
                buffer: Value::ArrayBuffer(bytes),
                byte_offset: 0,
                length,
            })
    }

    /// The bytes that it shows, if its buffer is not an alias.
    pub fn bytes(&self) -> Option<&[u8]> {
        let buffer = match &self.buffer {
            Value::ArrayBuffer(bytes) => bytes,
            Value::Anchor(_, buffer) => match &**buffer {
                Value::ArrayBuffer(bytes) => bytes,
                _ => return None,
            },
            _ => return None,
        };
        buffer.get(
            self.byte_offset
                ..self
                    .byte_offset
                    .checked_add(self.length.checked_mul(self.kind.element_size())?)?,
        )
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined, Self::Undefined) | (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => {
                a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
            }
            (Self::String(a), Self::String(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::RegExp(a), Self::RegExp(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::UrlSearchParams(a), Self::UrlSearchParams(b)) => a == b,
            (Self::Temporal(a, x), Self::Temporal(b, y)) => a == b && x == y,
            (Self::Array(a), Self::Array(b)) | (Self::Set(a), Self::Set(b)) => a == b,
            (Self::SparseArray(a), Self::SparseArray(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Boxed(a), Self::Boxed(b)) => a == b,
            (Self::ArrayBuffer(a), Self::ArrayBuffer(b)) => a == b,
            (Self::View(a), Self::View(b)) => a == b,
            (Self::Custom(a), Self::Custom(b)) => a == b,
            (Self::Anchor(a, x), Self::Anchor(b, y)) => a == b && x == y,
            (Self::Alias(a), Self::Alias(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<JsString> for Value {
    fn from(text: JsString) -> Self {
        Self::String(text)
    }
}

impl From<BigInt> for Value {
    fn from(int: BigInt) -> Self {
        Self::BigInt(int)
    }
}

impl From<Date> for Value {
    fn from(date: Date) -> Self {
        Self::Date(date)
    }
}

impl From<Url> for Value {
    fn from(url: Url) -> Self {
        Self::Url(url)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

pub(crate) type Members = IndexMap<JsString, Value, hashbrown::DefaultHashBuilder>;
