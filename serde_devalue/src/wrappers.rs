//! Wrappers for types of the format that serde does not have.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::bigint::BigInt;
use crate::date::Date;
use crate::token;
use crate::url::Url;
use crate::value::Value;

macro_rules! collection {
    ($(#[$docs:meta])* $name:ident, $token:expr) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<T>(pub T);

        impl<T> Deref for $name<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> DerefMut for $name<T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        }

        impl<T> From<T> for $name<T> {
            fn from(collection: T) -> Self {
                Self(collection)
            }
        }

        impl<T: Serialize> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_struct($token, &self.0)
            }
        }

        impl<'de, T: Deserialize<'de>> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                T::deserialize(deserializer).map(Self)
            }
        }
    };
}

collection! {
    /// Serializes a Rust map as a Map instead of an object.
    ///
    /// ```
    /// use std::collections::BTreeMap;
    /// use serde_devalue::Map;
    ///
    /// let seats = Map(BTreeMap::from([(3, "Ann"), (7, "Bob")]));
    /// let text = serde_devalue::to_string(&seats)?;
    /// assert_eq!(text, r#"[["Map",1,2,3,4],3,"Ann",7,"Bob"]"#);
    /// assert_eq!(serde_devalue::from_str::<Map<BTreeMap<u8, &str>>>(&text)?, seats);
    /// # Ok::<_, serde_devalue::Error>(())
    /// ```
    ///
    /// Keys may have any type. It also deserializes from an object, and a plain Rust map also deserializes from a Map.
    Map, token::MAP
}

collection! {
    /// Serializes a Rust sequence or set as a Set instead of an array.
    ///
    /// ```
    /// use std::collections::BTreeSet;
    /// use serde_devalue::Set;
    ///
    /// let roles = Set(BTreeSet::from(["admin", "editor"]));
    /// let text = serde_devalue::to_string(&roles)?;
    /// assert_eq!(text, r#"[["Set",1,2],"admin","editor"]"#);
    /// assert_eq!(serde_devalue::from_str::<Set<BTreeSet<&str>>>(&text)?, roles);
    /// # Ok::<_, serde_devalue::Error>(())
    /// ```
    ///
    /// It also deserializes from an array, and a plain Rust sequence also deserializes from a Set.
    Set, token::SET
}

/// Bytes that serialize as a Uint8Array. A `Vec<u8>` serializes as an array of numbers.
///
/// ```
/// use serde_devalue::Bytes;
///
/// let text = serde_devalue::to_string(&Bytes(b"hi".to_vec()))?;
/// assert_eq!(text, r#"[["Uint8Array",1],["ArrayBuffer","aGk="]]"#);
/// assert_eq!(serde_devalue::from_str::<Bytes>(&text)?, Bytes(b"hi".to_vec()));
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// They deserialize from an ArrayBuffer and from any typed array, like the types of `serde_bytes`.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl<'de> Visitor<'de> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }

        deserializer.deserialize_byte_buf(BytesVisitor)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.0.len())
    }
}

/// Implements serde for a type that is a string in other formats.
macro_rules! text {
    ($type:ty, $token:expr, $expected:expr, $(|$number:ident| $from_number:expr)?) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;

                impl<'de> Visitor<'de> for TextVisitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        <$type>::from_text(text).ok_or_else(|| {
                            E::invalid_value(serde::de::Unexpected::Str(text), &$expected)
                        })
                    }

                    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<$type, D::Error> {
                        inner.deserialize_any(self)
                    }

                    $(
                        fn visit_i64<E: serde::de::Error>(self, $number: i64) -> Result<$type, E> {
                            Ok($from_number)
                        }

                        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$type, E> {
                            let $number = i64::try_from(number).map_err(|_| {
                                E::invalid_value(serde::de::Unexpected::Unsigned(number), &$expected)
                            })?;
                            Ok($from_number)
                        }
                    )?
                }

                deserializer.deserialize_newtype_struct($token, TextVisitor)
            }
        }
    };
}

text!(Date, token::DATE, "a Date", |number| Date::from_millis(
    number
));
text!(Url, token::URL, "a URL",);
text!(BigInt, token::BIGINT, "a BigInt", |number| BigInt::from(
    number
));

impl Date {
    fn from_text(text: &str) -> Option<Self> {
        let date = Self::parse(text);
        (date != Self::INVALID || text.is_empty()).then_some(date)
    }
}

impl Url {
    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl BigInt {
    fn from_text(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(token::DATE, &self.to_string())
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(token::URL, self.as_str())
    }
}

impl Serialize for BigInt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(token::BIGINT, self.as_str())
    }
}

/// In other formats, a `Value` serializes as a string that contains devalue text.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut writer = crate::Writer::new(crate::WriteOptions::new());
        writer.value(self);
        let text = writer.finish().map_err(serde::ser::Error::custom)?;
        serializer.serialize_newtype_struct(token::VALUE, &text)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a devalue text")
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Undefined)
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(token::handed_over().unwrap_or(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                deserializer.deserialize_newtype_struct(token::VALUE, self)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<Value, D::Error> {
                inner.deserialize_str(self)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                crate::functions::value_of(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_option(ValueVisitor)
    }
}
