//! Which entries a value leads to.

use crate::entry::{Entries, Slot};

/// Returns `true` for each entry that one of these leads to, through one reference or many.
pub(crate) fn reachable(entries: Entries<'_, '_>, mut next: Vec<u32>) -> Vec<bool> {
    let mut reachable = vec![false; entries.count()];
    while let Some(index) = next.pop() {
        if let Some(reachable) = reachable.get_mut(index as usize)
            && !*reachable
        {
            *reachable = true;
            next.extend(entries.targets(index));
        }
    }
    reachable
}

/// Returns `true` if an object contains itself.
pub(crate) fn leads_to_itself(entries: Entries<'_, '_>, slot: Slot) -> bool {
    let Some(index) = slot.index() else {
        return false;
    };
    let reachable = reachable(entries, entries.targets(index));
    reachable.get(index as usize) == Some(&true)
}
