//! Builds a [`Value`] from a document.

use hashbrown::{HashMap, HashSet};

use crate::entry::{Entries, Slot};
use crate::error::Error;
use crate::limits::Budget;
use crate::object::Object;
use crate::string::{JsString, Text};
use crate::tag::ViewKind;
use crate::value::{AnchorId, Custom, SparseArray, Value, View};
use crate::walk::{Container, Primitive, Sink, walk};

pub(crate) fn to_value(
    entries: Entries<'_, '_>,
    slot: Slot,
    budget: &Budget,
) -> Result<Value, Error> {
    let mut builder = Builder::default();
    let full = budget.clone();
    walk(entries, slot, &mut builder, budget)?;
    // Only now it is known which objects need an anchor. Most values have none.
    if !builder.shared.is_empty() {
        builder = Builder {
            shared: builder.shared,
            ..Builder::default()
        };
        walk(entries, slot, &mut builder, &full)?;
    }
    Ok(builder.root.unwrap_or(Value::Undefined))
}

#[derive(Default)]
struct Builder {
    open: Vec<(u32, Partial)>,
    root: Option<Value>,
    met: HashSet<u32>,
    /// The objects with more than one reference.
    shared: HashSet<u32>,
    anchors: HashMap<u32, AnchorId>,
}

/// A partially built object.
enum Partial {
    Array {
        items: Vec<Value>,
        holes: Vec<u32>,
    },
    Sparse {
        array: SparseArray,
        index: u32,
    },
    Object {
        object: Object,
        key: JsString,
    },
    Map {
        entries: Vec<(Value, Value)>,
        key: Option<Value>,
    },
    Set(Vec<Value>),
    Wrapped(Wrapper, Value),
}

enum Wrapper {
    Boxed,
    View(ViewKind, usize, usize),
    Custom(String),
}

impl Builder {
    fn meet(&mut self, entry: u32) {
        self.met.insert(entry);
        if self.shared.contains(&entry) {
            // Numbered in order of first appearance, which is the order of this pass.
            let id = u32::try_from(self.anchors.len()).unwrap_or(u32::MAX);
            self.anchors.insert(entry, AnchorId(id));
        }
    }

    fn anchored(&self, entry: u32, value: Value) -> Value {
        match self.anchors.get(&entry) {
            Some(&anchor) => Value::Anchor(anchor, Box::new(value)),
            None => value,
        }
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((_, Partial::Array { items, .. } | Partial::Set(items))) => items.push(value),
            Some((_, Partial::Sparse { array, index })) => {
                array.items.insert(*index, value);
            }
            Some((_, Partial::Object { object, key })) => {
                object.push(std::mem::replace(key, JsString::from("")), value);
            }
            Some((_, Partial::Map { entries, key })) => match key.take() {
                Some(key) => entries.push((key, value)),
                None => *key = Some(value),
            },
            Some((_, Partial::Wrapped(_, place))) => *place = value,
        }
    }
}

impl<'t> Sink<'t> for Builder {
    fn primitive(&mut self, primitive: Primitive<'t>) {
        self.put(match primitive {
            Primitive::Undefined => Value::Undefined,
            Primitive::Null => Value::Null,
            Primitive::Bool(bool) => Value::Bool(bool),
            Primitive::Number(number) => Value::Number(number),
            Primitive::Text(text) => Value::String(text.into()),
            Primitive::BigInt(int) => Value::BigInt(int),
        });
    }

    fn leaf(&mut self, entry: u32, value: Value) {
        self.meet(entry);
        let value = self.anchored(entry, value);
        self.put(value);
    }

    fn begin(&mut self, entry: u32, container: Container<'t>) {
        self.meet(entry);
        let partial = match container {
            Container::Array => Partial::Array {
                items: Vec::new(),
                holes: Vec::new(),
            },
            Container::Sparse(length) => Partial::Sparse {
                array: SparseArray {
                    length,
                    ..SparseArray::default()
                },
                index: 0,
            },
            Container::Object(members) => Partial::Object {
                object: Object::with_capacity(members, false),
                key: JsString::from(""),
            },
            Container::NullObject(members) => Partial::Object {
                object: Object::with_capacity(members, true),
                key: JsString::from(""),
            },
            Container::Map => Partial::Map {
                entries: Vec::new(),
                key: None,
            },
            Container::Set => Partial::Set(Vec::new()),
            Container::Boxed => Partial::Wrapped(Wrapper::Boxed, Value::Undefined),
            Container::View(kind, offset, length, _) => {
                Partial::Wrapped(Wrapper::View(kind, offset, length), Value::Undefined)
            }
            Container::Custom(tag) => {
                Partial::Wrapped(Wrapper::Custom(tag.into_owned()), Value::Undefined)
            }
        };
        self.open.push((entry, partial));
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some((entry, partial)) = self.open.pop() else {
            return Ok(());
        };
        let value = match partial {
            Partial::Array { items, holes } if holes.is_empty() => Value::Array(items),
            Partial::Array { items, holes } => {
                let length = u32::try_from(items.len() + holes.len()).unwrap_or(u32::MAX);
                let mut holes = holes.into_iter().peekable();
                let mut items = items.into_iter();
                let indices = (0..length).filter(|index| holes.next_if_eq(index).is_none());
                let items = indices
                    .map_while(|index| Some((index, items.next()?)))
                    .collect();
                Value::SparseArray(Box::new(SparseArray { length, items }))
            }
            Partial::Sparse { array, .. } if array.items.len() == array.length as usize => {
                Value::Array(array.items.into_values().collect())
            }
            Partial::Sparse { array, .. } => Value::SparseArray(Box::new(array)),
            Partial::Object { object, .. } => Value::Object(object),
            Partial::Map { entries, .. } => Value::Map(entries),
            Partial::Set(items) => Value::Set(items),
            Partial::Wrapped(Wrapper::Boxed, value) => Value::Boxed(Box::new(value)),
            Partial::Wrapped(Wrapper::View(kind, byte_offset, length), buffer) => {
                Value::View(Box::new(View {
                    kind,
                    buffer,
                    byte_offset,
                    length,
                }))
            }
            Partial::Wrapped(Wrapper::Custom(tag), value) => {
                Value::Custom(Box::new(Custom { tag, value }))
            }
        };
        let value = self.anchored(entry, value);
        self.put(value);
        Ok(())
    }

    fn key(&mut self, text: Text<'t>) {
        if let Some((_, Partial::Object { key, .. })) = self.open.last_mut() {
            *key = text.into();
        }
    }

    fn index(&mut self, at: u32) {
        if let Some((_, Partial::Sparse { index, .. })) = self.open.last_mut() {
            *index = at;
        }
    }

    fn hole(&mut self) {
        if let Some((_, Partial::Array { items, holes })) = self.open.last_mut() {
            holes.push(u32::try_from(items.len() + holes.len()).unwrap_or(u32::MAX));
        }
    }

    fn again(&mut self, entry: u32) -> bool {
        if !self.met.contains(&entry) {
            return false;
        }
        self.shared.insert(entry);
        let anchor = self.anchors.get(&entry).copied().unwrap_or(AnchorId(0));
        self.put(Value::Alias(anchor));
        true
    }
}
