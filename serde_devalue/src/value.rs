//! A tree of values of all types of the format.

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
/// It is a tree. The first occurrence of a shared or circular object is an [`Anchor`](Self::Anchor), and each other
/// occurrence is an [`Alias`](Self::Alias) of that anchor:
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
/// Numbers are compared like `Object.is` in JavaScript: NaN equals itself, −0 does not equal 0. All other values are
/// compared by structure, order and sharing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, including −0, NaN and infinities.
    Number(f64),
    /// A string, possibly with lone surrogates.
    String(JsString),
    /// An integer of any size.
    BigInt(BigInt),
    /// A Date, possibly invalid.
    Date(Date),
    /// A regular expression.
    RegExp(RegExp),
    /// A URL.
    Url(Url),
    /// URLSearchParams in serialized form: `a=1&b=x+y`.
    UrlSearchParams(String),
    /// A value of a `Temporal` class, as text. Node before version 26 cannot read it, so do not write it to a shared store
    /// with older versions.
    Temporal(TemporalKind, String),
    /// An array without holes.
    Array(Vec<Value>),
    /// An array with holes.
    SparseArray(Box<SparseArray>),
    /// An object, with or without a prototype.
    Object(Object),
    /// A Map in insertion order. Keys should be unique: for a duplicate, the writer uses the last value at the position of
    /// the first.
    Map(Vec<(Value, Value)>),
    /// A Set in insertion order.
    Set(Vec<Value>),
    /// A boxed primitive, such as `new Number(1)`.
    Boxed(Box<Value>),
    /// An ArrayBuffer.
    ArrayBuffer(Vec<u8>),
    /// A typed array or a DataView.
    View(Box<View>),
    /// A value with a custom tag.
    Custom(Box<Custom>),
    /// An object that later aliases refer to, possibly inside itself.
    Anchor(AnchorId, Box<Value>),
    /// A reference to the object in the anchor with this id.
    Alias(AnchorId),
}

/// The id of an anchor within a [`Value`]. Anchors are numbered from 0 in order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnchorId(pub u32);

/// An array with holes, which use no memory.
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
    /// The length, including holes.
    pub length: u32,
    /// The elements by index.
    pub items: std::collections::BTreeMap<u32, Value>,
}

/// A view of an ArrayBuffer: a typed array or a DataView.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The element type.
    pub kind: ViewKind,
    /// The whole buffer: a [`Value::ArrayBuffer`], or an anchor or alias of it if several views share it.
    pub buffer: Value,
    /// The offset in the buffer, in bytes.
    pub byte_offset: usize,
    /// The length in elements, or in bytes for a DataView.
    pub length: usize,
}

/// A value with a custom tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// The tag, which is the name of the reducer in JavaScript.
    pub tag: String,
    /// The output of the reducer.
    pub value: Value,
}

impl View {
    /// Creates a view of all `bytes`. Returns `None` if their number is not a multiple of the element size.
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

    /// Returns the bytes of the view, or `None` if its buffer is an alias.
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
