//! The changes that this process makes. What was read before one ends is not in the cache after it.

use super::state::State;
use crate::{Error, Key, Outcome};

/// The keys of a change.
#[derive(Clone, Copy)]
pub(super) enum Keys<'a> {
    One(&'a Key),
    Several(&'a [Key]),
    All,
}

impl<'a> Keys<'a> {
    fn listed(self) -> &'a [Key] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Several(keys) => keys,
            Self::All => &[],
        }
    }
}

/// A change that is under way.
pub(super) struct Change<'a> {
    state: &'a State,
    keys: Keys<'a>,
    /// Whether it may still happen, since nobody knows how it ended.
    is_unknown: bool,
    /// Whether its keys have entries afterwards, as far as known.
    exists: bool,
}

/// Whether the change that failed with this error may have been made, or may still be.
pub(super) fn may_have_been_applied(error: &Error) -> bool {
    error.outcome() != Outcome::NotApplied
}

impl State {
    pub(super) fn begin_change<'a>(&'a self, keys: Keys<'a>) -> Change<'a> {
        let mut under_way = self.under_way.lock();
        for key in keys.listed() {
            self.forget(&mut under_way, key, false);
        }
        if let Keys::All = keys {
            self.forget_all(&mut under_way);
        }
        Change {
            state: self,
            keys,
            is_unknown: true,
            exists: false,
        }
    }
}

impl Change<'_> {
    pub(super) fn end(mut self, error: Option<&Error>, exists: bool) {
        self.is_unknown = error.is_some_and(may_have_been_applied);
        self.exists = exists;
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut under_way = self.state.under_way.lock();
        for key in self.keys.listed() {
            if self.is_unknown {
                under_way.bar(key);
            }
            // A read that began during the change may have seen what was before it.
            self.state.forget(&mut under_way, key, self.exists);
        }
        if let Keys::All = self.keys {
            if self.is_unknown {
                under_way.bar_all();
            }
            self.state.forget_all(&mut under_way);
        }
    }
}
