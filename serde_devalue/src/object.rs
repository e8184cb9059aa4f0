//! Objects with JavaScript's key order.

use crate::string::JsString;
use crate::value::{Members, Value};
use crate::writer::array_index;

/// An object with its members in JavaScript's order: integer keys in ascending order, then other keys in insertion order.
///
/// ```
/// use serde_devalue::Object;
///
/// let mut object = Object::new();
/// object.insert("b", 1);
/// object.insert("7", 2);
/// object.insert("a", 3);
/// let keys: Vec<_> = object.iter().filter_map(|(key, _)| key.as_str()).collect();
/// assert_eq!(keys, ["7", "b", "a"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// Boxed, so that every other [`Value`] is small.
    members: Box<Members>,
    null_prototype: bool,
}

impl Object {
    /// Creates an empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty object without a prototype, like `Object.create(null)`.
    pub fn without_prototype() -> Self {
        Self::with_capacity(0, true)
    }

    pub(crate) fn with_capacity(members: usize, null_prototype: bool) -> Self {
        Self {
            members: Box::new(Members::with_capacity_and_hasher(
                members,
                Default::default(),
            )),
            null_prototype,
        }
    }

    /// Returns `true` if it has no prototype.
    pub fn has_null_prototype(&self) -> bool {
        self.null_prototype
    }

    /// Inserts a member. A member with the same key is replaced and keeps its position.
    pub fn insert(&mut self, key: impl Into<JsString>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        let Some(integer) = key.as_str().and_then(array_index) else {
            return self.members.insert(key, value);
        };
        if let Some(place) = self.members.get_mut(&key) {
            return Some(std::mem::replace(place, value));
        }
        let lower = |key: &JsString| {
            key.as_str()
                .and_then(array_index)
                .is_some_and(|other| other < integer)
        };
        let place = self.members.partition_point(|key, _| lower(key));
        self.members.shift_insert(place, key, value)
    }

    /// Appends a member whose key is new and in order.
    pub(crate) fn push(&mut self, key: JsString, value: Value) {
        self.members.insert(key, value);
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members.get(&JsString::from(key))
    }

    /// Removes a member and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.members.shift_remove(&JsString::from(key))
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns `true` if there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Iterates over the members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&JsString, &Value)> {
        self.members.iter()
    }

    /// Iterates over the members with mutable values, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&JsString, &mut Value)> {
        self.members.iter_mut()
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.null_prototype == other.null_prototype && self.members.iter().eq(other.members.iter())
    }
}

impl IntoIterator for Object {
    type Item = (JsString, Value);
    type IntoIter = indexmap::map::IntoIter<JsString, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl<K: Into<JsString>, V: Into<Value>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(members: I) -> Self {
        let mut object = Self::new();
        for (key, value) in members {
            object.insert(key, value);
        }
        object
    }
}
