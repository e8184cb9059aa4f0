//! Writes the entry of a container after all its children are written.

use crate::tag::ViewKind;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Array,
    /// A sparse array with its length. The index of each child is in `Child::place`.
    Sparse(u32),
    Object,
    NullObject,
    Map,
    Set,
    Boxed,
    Url,
    /// A custom value with its tag in `keys`.
    Custom,
    /// A view. Its range, if any, is in `Writer::window`.
    View(ViewKind),
}

#[derive(Clone, Copy)]
pub(super) struct Child {
    /// In an object, the length of its key.
    pub(super) reference: i32,
    /// In an object, the start of its key; in a sparse array, its index.
    pub(super) place: usize,
}

impl Child {
    pub(super) fn of_key(from: usize, to: usize) -> Self {
        Self {
            reference: i32::try_from(to - from).unwrap_or(i32::MAX),
            place: from,
        }
    }
}

pub(super) const UNDEFINED: i32 = -1;
pub(super) const HOLE: i32 = -2;
pub(super) const NAN: i32 = -3;
pub(super) const INFINITY: i32 = -4;
pub(super) const NEGATIVE_INFINITY: i32 = -5;
pub(super) const NEGATIVE_ZERO: i32 = -6;

#[inline]
pub(super) fn push_int(out: &mut String, int: i32) {
    // Most indices have one or two digits, which this fast path handles.
    match int {
        0..10 => out.push(digit(int)),
        10..100 => {
            out.push(digit(int / 10));
            out.push(digit(int % 10));
        }
        _ => out.push_str(itoa::Buffer::new().format(int)),
    }
}

#[inline]
fn digit(int: i32) -> char {
    char::from(b'0'.wrapping_add(int as u8))
}

pub(super) fn write_tail(out: &mut String, children: &[Child]) {
    for child in children {
        out.push(',');
        push_int(out, child.reference);
    }
    out.push(']');
}

pub(super) fn write_array(out: &mut String, children: &[Child]) {
    let holes = children
        .iter()
        .filter(|child| child.reference == HOLE)
        .count();
    if holes > 0 && is_sparse(children.len(), children.len() - holes) {
        out.push_str("[-7,");
        out.push_str(itoa::Buffer::new().format(children.len()));
        for (index, child) in children
            .iter()
            .enumerate()
            .filter(|(_, child)| child.reference != HOLE)
        {
            out.push(',');
            out.push_str(itoa::Buffer::new().format(index));
            out.push(',');
            push_int(out, child.reference);
        }
        out.push(']');
        return;
    }
    out.push('[');
    for (position, child) in children.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        push_int(out, child.reference);
    }
    out.push(']');
}

pub(super) fn write_sparse(out: &mut String, length: u32, children: &[Child]) {
    let rising = children.is_sorted_by(|a, b| a.place < b.place);
    if rising && !is_sparse(length as usize, children.len()) {
        // The rule limits the length to a small multiple of the number of elements, so this loop is short.
        let mut children = children.iter().peekable();
        out.push('[');
        for index in 0..length as usize {
            if index > 0 {
                out.push(',');
            }
            push_int(
                out,
                children
                    .next_if(|child| child.place == index)
                    .map_or(HOLE, |child| child.reference),
            );
        }
        out.push(']');
        return;
    }
    out.push_str("[-7,");
    out.push_str(itoa::Buffer::new().format(length));
    for child in children {
        out.push(',');
        out.push_str(itoa::Buffer::new().format(child.place));
        out.push(',');
        push_int(out, child.reference);
    }
    out.push(']');
}

/// Devalue's rule for an array with holes: use the shorter form.
fn is_sparse(length: usize, population: usize) -> bool {
    let digits = itoa::Buffer::new().format(length).len();
    (length - population.min(length)).saturating_mul(3)
        > 4 + digits + population.saturating_mul(digits + 1)
}

/// Returns `true` if an object has a duplicate key.
pub(super) fn has_duplicates(children: &[Child], keys: &str) -> bool {
    any_twice(children.iter().map(|child| {
        let length = usize::try_from(child.reference).unwrap_or(0);
        keys.get(child.place..child.place + length)
            .unwrap_or_default()
    }))
}

/// Returns `true` if a Map or Set has a duplicate, or a −0, which it does not keep.
pub(super) fn repeats<'c>(children: impl Iterator<Item = &'c Child> + Clone) -> bool {
    children
        .clone()
        .any(|child| child.reference == NEGATIVE_ZERO)
        || any_twice(children.map(|child| child.reference))
}

pub(crate) fn any_twice<T: PartialEq + std::hash::Hash + Eq>(
    items: impl Iterator<Item = T>,
) -> bool {
    let mut few: [Option<T>; 8] = [const { None }; 8];
    let mut items = items;
    for slot in 0..few.len() {
        let Some(item) = items.next() else {
            return false;
        };
        if few
            .iter()
            .take(slot)
            .any(|known| known.as_ref() == Some(&item))
        {
            return true;
        }
        if let Some(place) = few.get_mut(slot) {
            *place = Some(item);
        }
    }
    let mut many: hashbrown::HashSet<T> = few.into_iter().flatten().collect();
    items.any(|item| !many.insert(item))
}
