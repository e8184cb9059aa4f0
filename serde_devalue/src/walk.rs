//! Walks over a node and everything in it, without recursion.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};

use crate::entry::{Elements, Entries, Entry, Item, Quoted, Reference, Slot, number};
use crate::error::{Error, ErrorKind};
use crate::leaf;
use crate::limits::{Budget, VISIT};
use crate::string::Text;
use crate::tag::{Tag, ViewKind};
use crate::url::Url;
use crate::value::Value;
use crate::writer::{any_twice, array_index};

/// The visitor of a walk. Objects are reported with their entry.
pub(crate) trait Sink<'t> {
    /// A value without identity: anything but an object.
    fn primitive(&mut self, primitive: Primitive<'t>);
    /// An object that contains no other values.
    fn leaf(&mut self, entry: u32, value: Value);
    /// An object that contains other values, which follow.
    fn begin(&mut self, entry: u32, container: Container<'t>);
    /// The end of the latest open `begin`.
    fn end(&mut self) -> Result<(), Error>;
    /// The key of the next value, in an object.
    fn key(&mut self, key: Text<'t>);
    /// The index of the next value, in a sparse array.
    fn index(&mut self, index: u32);
    /// A hole in an array.
    fn hole(&mut self);
    /// Inserts an object that was already visited. Returns `false` if it was not.
    fn again(&mut self, entry: u32) -> bool;
}

pub(crate) enum Primitive<'t> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(Text<'t>),
    BigInt(crate::bigint::BigInt),
}

pub(crate) enum Container<'t> {
    Array,
    Sparse(u32),
    /// An object with this many members.
    Object(usize),
    NullObject(usize),
    Map,
    Set,
    Boxed,
    /// A view, with its range if that is not the whole buffer.
    View(ViewKind, usize, usize, bool),
    Custom(Cow<'t, str>),
}

/// The remaining parts of an open container.
enum Rest<'t> {
    Array(Elements<'t>),
    /// Simple members that are known to be in order.
    Members(Elements<'t>),
    Ordered(indexmap::map::IntoIter<Text<'t>, Item<'t>>),
    Sparse(std::collections::btree_map::IntoIter<u32, Item<'t>>),
    References(std::vec::IntoIter<Slot>),
    One(Option<Slot>),
    Custom(Option<Item<'t>>),
}

/// Walks over `slot` and everything in it.
pub(crate) fn walk<'t>(
    entries: Entries<'_, 't>,
    slot: Slot,
    sink: &mut impl Sink<'t>,
    budget: &Budget,
) -> Result<(), Error> {
    let mut walk = Walk {
        entries,
        sink,
        open: Vec::new(),
        customs: Vec::new(),
        budget,
    };
    walk.value(slot)?;
    while let Some((_, rest)) = walk.open.last_mut() {
        let next = match rest {
            Rest::Array(elements) => match entries.next_reference(elements).transpose()? {
                Some(Reference::To(slot)) => Some(slot),
                Some(Reference::Hole) => {
                    walk.sink.hole();
                    continue;
                }
                None => None,
            },
            Rest::Members(members) => match entries.next_plain_member(members) {
                Some((key, slot)) => {
                    walk.sink.key(Text::Utf8(Cow::Borrowed(key)));
                    Some(slot)
                }
                None => None,
            },
            Rest::Ordered(members) => match members.next() {
                Some((key, value)) => {
                    walk.sink.key(key);
                    Some(entries.follow(value)?.slot())
                }
                None => None,
            },
            Rest::Sparse(items) => match items.next() {
                Some((index, item)) => {
                    walk.sink.index(index);
                    Some(entries.follow(item)?.slot())
                }
                None => None,
            },
            Rest::References(slots) => slots.next(),
            Rest::One(slot) => slot.take(),
            Rest::Custom(item) => match item.take() {
                Some(item @ Item::Number(..)) => Some(entries.follow(item)?.slot()),
                Some(item) => {
                    walk.inline(item)?;
                    continue;
                }
                None => None,
            },
        };
        match next {
            Some(slot) => walk.value(slot)?,
            None => {
                if let Some((_, Rest::Custom(_))) = walk.open.pop() {
                    walk.customs.pop();
                }
                walk.sink.end()?;
            }
        }
    }
    Ok(())
}

struct Walk<'w, 'i, 't, S> {
    entries: Entries<'i, 't>,
    sink: &'w mut S,
    open: Vec<(u32, Rest<'t>)>,
    /// The open custom values, each with the number of open containers around it.
    customs: Vec<(u32, usize)>,
    budget: &'w Budget,
}

impl<'t, S: Sink<'t>> Walk<'_, '_, 't, S> {
    fn value(&mut self, slot: Slot) -> Result<(), Error> {
        crate::work::count(1);
        // An object that was already visited costs no more than its reference.
        self.budget.charge(VISIT)?;
        if let Some(text) = self.entries.string(slot) {
            self.budget.charge(self.entries.length(slot))?;
            self.sink.primitive(Primitive::Text(text.text()));
            return Ok(());
        }
        if let Some((_, b'[' | b'{')) = self.entries.head(slot) {
            return self.object(slot);
        }
        self.budget.charge(self.entries.length(slot))?;
        self.sink.primitive(match self.entries.entry(slot) {
            Entry::Null => Primitive::Null,
            Entry::Bool(bool) => Primitive::Bool(bool),
            Entry::Number(number) => Primitive::Number(number),
            _ => Primitive::Undefined,
        });
        Ok(())
    }

    fn object(&mut self, slot: Slot) -> Result<(), Error> {
        let position = self.entries.position(slot);
        let Some(id) = slot.index() else {
            return Ok(());
        };
        if self.sink.again(id) {
            // A reviver creates its object only after its payload, so a cycle through custom values cannot be resolved.
            return match self.customs.iter().find(|(custom, _)| *custom == id) {
                Some((_, depth))
                    if self
                        .open
                        .iter()
                        .skip(*depth)
                        .all(|(_, rest)| matches!(rest, Rest::Custom(_))) =>
                {
                    Err(Error::format(
                        position,
                        "a circular reference that nothing can be made of",
                    ))
                }
                _ => Ok(()),
            };
        }
        self.budget
            .charge(self.entries.length(slot))
            .map_err(|error| error.at(position))?;
        let entry = self.entries.entry(slot);
        if let Entry::Tagged(Tag::BigInt, _, payload) = entry {
            let int = leaf::bigint(payload, self.budget)?;
            self.sink.primitive(Primitive::BigInt(int));
            return Ok(());
        }
        self.budget.charge(VISIT)?;
        let (container, rest) = match entry {
            Entry::Array(elements) => (Container::Array, Rest::Array(elements)),
            Entry::Sparse(elements) => {
                let (length, items) = sparse(elements, self.budget)?;
                (Container::Sparse(length), Rest::Sparse(items.into_iter()))
            }
            Entry::Object(members) => {
                let (count, members) = self.members(members)?;
                (Container::Object(count), members)
            }
            Entry::Tagged(tag, name, elements) => match tag {
                Tag::NullObject => {
                    let (count, members) = self.members(elements)?;
                    (Container::NullObject(count), members)
                }
                Tag::Map => (
                    Container::Map,
                    Rest::References(self.map(elements)?.into_iter()),
                ),
                Tag::Set => (
                    Container::Set,
                    Rest::References(self.set(elements)?.into_iter()),
                ),
                Tag::Boxed => (
                    Container::Boxed,
                    Rest::One(Some(boxed(&self.entries, elements)?)),
                ),
                Tag::View(kind) => {
                    let (buffer, bytes, window) =
                        view_buffer(&self.entries, elements, self.budget)?;
                    let (offset, length) = leaf::window(kind, bytes, window)?;
                    let whole = length.saturating_mul(kind.element_size()) == bytes;
                    (
                        Container::View(kind, offset, length, whole),
                        Rest::One(Some(buffer)),
                    )
                }
                Tag::Custom => {
                    self.entries.check_tag(name)?;
                    let mut elements = elements;
                    let payload = elements
                        .next()
                        .ok_or_else(|| Error::format(position, "a tag without a value"))?;
                    self.customs.push((id, self.open.len()));
                    (Container::Custom(name.utf8()?), Rest::Custom(Some(payload)))
                }
                Tag::Url => {
                    let text = leaf::url(self.entries, elements)?;
                    self.budget.charge(text.len())?;
                    let url =
                        Url::written(&text).ok_or_else(|| Error::format(position, "not a URL"))?;
                    self.sink.leaf(id, Value::Url(url));
                    return Ok(());
                }
                _ => {
                    if let Some(value) = leaf::decode(tag, elements)? {
                        self.sink.leaf(id, value);
                    }
                    return Ok(());
                }
            },
            _ => return Ok(()),
        };
        if self.open.len() >= self.entries.options.limits.depth {
            return Err(Error::new(
                ErrorKind::TooDeep,
                position,
                "values are nested too deeply",
            ));
        }
        self.sink.begin(id, container);
        self.open.push((id, rest));
        Ok(())
    }

    /// Returns the payload of a custom value that is inline, as for a built-in type of the same name.
    fn inline(&mut self, item: Item<'t>) -> Result<(), Error> {
        self.sink.primitive(match item {
            Item::String(text) => Primitive::Text(text.text()),
            Item::Null(_) => Primitive::Null,
            Item::Bool(bool, _) => Primitive::Bool(bool),
            Item::Number(digits, _) => Primitive::Number(number(digits)),
            Item::Nested(at) => {
                return Err(Error::format(at, "an array or an object that is no entry"));
            }
        });
        Ok(())
    }

    /// Returns the members of an object in JavaScript's order, with unique keys.
    fn members(&self, members: Elements<'t>) -> Result<(usize, Rest<'t>), Error> {
        let mut last_integer = None;
        let mut named = false;
        let mut in_order = true;
        let mut count = 0;
        let mut rest = members;
        let keys = std::iter::from_fn(|| {
            let (key, _) = self.entries.next_plain_member(&mut rest)?;
            let integer = array_index(key);
            in_order &= integer
                .is_none_or(|integer| !named && last_integer.is_none_or(|last| last < integer));
            named |= integer.is_none();
            last_integer = integer.or(last_integer);
            count += 1;
            Some(key)
        });
        if !any_twice(keys) && in_order && rest.is_empty() {
            self.budget.charge(count * VISIT)?;
            return Ok((count, Rest::Members(members)));
        }
        let mut unique: indexmap::IndexMap<Text<'t>, Item<'t>, hashbrown::DefaultHashBuilder> =
            Default::default();
        let mut members = members;
        while let Some(key) = members.next() {
            let Item::String(key) = key else {
                return Err(Error::format(key.position(), "a key that is no string"));
            };
            let value = members
                .next()
                .ok_or_else(|| Error::format(key.at, "a key without a value"))?;
            // Putting keys in order takes memory and time of its own.
            self.budget.charge(2 * VISIT)?;
            unique.insert(checked_key(key)?, value);
        }
        unique.sort_by_key(|key, _| match key {
            Text::Utf8(key) => array_index(key).unwrap_or(u32::MAX),
            Text::Utf16(_) => u32::MAX,
        });
        Ok((unique.len(), Rest::Ordered(unique.into_iter())))
    }

    /// Returns alternating keys and values of a Map with unique keys. A duplicate key has its last value at the first
    /// position.
    fn map(&mut self, elements: Elements<'t>) -> Result<Vec<Slot>, Error> {
        let mut slots = self.follow_all(elements)?;
        if slots.len() % 2 != 0 {
            return Err(Error::format(elements.position(), "a key without a value"));
        }
        let mut known = HashMap::new();
        let mut distinct = 0;
        for pair in 0..slots.len() / 2 {
            self.budget.charge(VISIT)?;
            let (Some(&key), Some(&value)) = (slots.get(pair * 2), slots.get(pair * 2 + 1)) else {
                break;
            };
            let (key, identity) = self.identity(key)?;
            let place = *known.entry(identity).or_insert(distinct);
            if place == distinct {
                distinct += 1;
                if let Some(slot) = slots.get_mut(place * 2) {
                    *slot = key;
                }
            }
            if let Some(slot) = slots.get_mut(place * 2 + 1) {
                *slot = value;
            }
        }
        slots.truncate(distinct * 2);
        Ok(slots)
    }

    /// Returns the unique elements of a Set.
    fn set(&mut self, elements: Elements<'t>) -> Result<Vec<Slot>, Error> {
        let mut known = HashSet::new();
        let mut distinct = Vec::new();
        for slot in self.follow_all(elements)? {
            self.budget.charge(VISIT)?;
            let (slot, identity) = self.identity(slot)?;
            if known.insert(identity) {
                distinct.push(slot);
            }
        }
        Ok(distinct)
    }

    fn follow_all(&self, elements: Elements<'t>) -> Result<Vec<Slot>, Error> {
        {
            let mut elements = elements;
            let mut slots = Vec::new();
            while let Some(reference) = self.entries.next_reference(&mut elements) {
                slots.push(reference?.slot());
            }
            Ok(slots)
        }
    }

    /// Returns the identity of a Map key, and the key that the Map stores, which is never −0.
    fn identity(&mut self, slot: Slot) -> Result<(Slot, Identity<'t>), Error> {
        self.budget.charge(self.entries.length(slot))?;
        Ok(match self.entries.entry(slot) {
            Entry::Undefined => (slot, Identity::Undefined),
            Entry::Null => (slot, Identity::Null),
            Entry::Bool(bool) => (slot, Identity::Bool(bool)),
            Entry::Number(0.0) => (Slot::ZERO, Identity::Number(0)),
            Entry::Number(number) => (slot, Identity::Number(number.to_bits())),
            Entry::String(text) => (slot, Identity::Text(text.text())),
            Entry::Tagged(Tag::BigInt, _, payload) => {
                (slot, Identity::BigInt(leaf::bigint(payload, self.budget)?))
            }
            _ => (slot, Identity::Object(slot)),
        })
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Identity<'t> {
    Undefined,
    Null,
    Bool(bool),
    Number(u64),
    Text(Text<'t>),
    BigInt(crate::bigint::BigInt),
    Object(Slot),
}

pub(crate) fn checked_key(key: Quoted<'_>) -> Result<Text<'_>, Error> {
    match key.text() {
        Text::Utf8(text) if text == "__proto__" => {
            Err(Error::format(key.at, "a key that is `__proto__`"))
        }
        text => Ok(text),
    }
}

/// Returns the length and the elements of a sparse array.
pub(crate) fn sparse<'t>(
    mut elements: Elements<'t>,
    budget: &Budget,
) -> Result<(u32, BTreeMap<u32, Item<'t>>), Error> {
    let at = elements.position();
    let integer = |item: Option<Item<'_>>| match item {
        Some(Item::Number(digits, at)) => {
            let number = number(digits);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            if number.fract() == 0.0 && (0.0..=u32::MAX.into()).contains(&number) {
                Ok(number as u32)
            } else {
                Err(Error::format(at, "no index of an array"))
            }
        }
        _ => Err(Error::format(
            at,
            "an array without a length, or an element without an index",
        )),
    };
    let length = integer(elements.next())?;
    let mut items = BTreeMap::new();
    while let Some(index) = elements.next() {
        budget.charge(VISIT)?;
        crate::work::count(8);
        let position = index.position();
        let index = integer(Some(index))?;
        let Some(item) = elements.next().filter(|_| index < length) else {
            return Err(Error::format(
                position,
                "an index without an element, or beyond the length",
            ));
        };
        items.insert(index, item);
    }
    Ok((length, items))
}

/// Returns the primitive in a box.
pub(crate) fn boxed(entries: &Entries<'_, '_>, mut elements: Elements<'_>) -> Result<Slot, Error> {
    let at = elements.position();
    let invalid = || Error::format(at, "a box without a primitive");
    let item = elements.next().ok_or_else(invalid)?;
    let slot = match entries.follow(item)? {
        Reference::To(slot) => slot,
        Reference::Hole => return Err(invalid()),
    };
    match entries.entry(slot) {
        Entry::Bool(_) | Entry::Number(_) | Entry::String(_) | Entry::Tagged(Tag::BigInt, ..) => {
            Ok(slot)
        }
        _ => Err(invalid()),
    }
}

/// Returns the buffer of a view, its size in bytes, and the items with the range of the view.
pub(crate) fn view_buffer<'t>(
    entries: &Entries<'_, 't>,
    mut elements: Elements<'t>,
    budget: &Budget,
) -> Result<(Slot, usize, Elements<'t>), Error> {
    let at = elements.position();
    let invalid = || Error::format(at, "a view without a buffer");
    let slot = entries.follow(elements.next().ok_or_else(invalid)?)?.slot();
    match entries.entry(slot) {
        Entry::Tagged(Tag::ArrayBuffer, _, payload) => {
            budget.charge(entries.length(slot))?;
            Ok((slot, leaf::buffer(payload)?.len(), elements))
        }
        _ => Err(invalid()),
    }
}
