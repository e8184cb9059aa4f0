//! Distinguishes circular values from deep ones.

use hashbrown::HashSet;

use crate::entry::{Elements, Entries, Entry, Item, Slot};
use crate::tag::Tag;

/// Returns `true` if an object contains itself.
pub(crate) fn leads_to_itself(entries: Entries<'_, '_>, slot: Slot) -> bool {
    let mut visited = HashSet::new();
    let mut next = vec![slot];
    while let Some(at) = next.pop() {
        for item in references(entries.entry(at)) {
            let Ok(reference) = entries.follow(item) else {
                continue;
            };
            let reference = reference.slot();
            if reference == slot {
                return true;
            }
            if visited.insert(reference) {
                next.push(reference);
            }
        }
    }
    false
}

/// Returns the items of an entry that may be references.
fn references(entry: Entry<'_>) -> impl Iterator<Item = Item<'_>> {
    let (elements, skip): (Option<Elements<'_>>, usize) = match entry {
        Entry::Array(elements) => (Some(elements), 1),
        Entry::Sparse(elements) => (Some(elements), 2),
        Entry::Object(elements) => (Some(elements), 2),
        Entry::Tagged(tag, _, elements) => match tag {
            Tag::Map | Tag::Set | Tag::Custom => (Some(elements), 1),
            Tag::NullObject => (Some(elements), 2),
            _ => (None, 1),
        },
        _ => (None, 1),
    };
    // Of each pair, only the second is a reference. The first is a key, a length or an index.
    elements.into_iter().flatten().skip(skip - 1).step_by(skip)
}
