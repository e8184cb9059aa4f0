//! The state of one key, and what a call does to it.

use bytes::Bytes;
use session_core::{Timestamp, Version, WriteCondition};

use super::{Call, Event, Lasts, Seen};

/// What a key may hold at some instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Absent,
    Present {
        value: Bytes,
        /// `None` until an answer shows it.
        version: Option<Vec<u8>>,
        lasts: Lasts,
    },
}

/// A call with its times as the clock shows them, to compare with expiries.
#[derive(Debug)]
pub(super) struct Timed<'c> {
    pub(super) call: &'c Call,
    pub(super) begin: Timestamp,
    /// `None` if the call is open.
    pub(super) end: Option<Timestamp>,
}

impl Timed<'_> {
    /// Returns every state that the key may have after this call, if it had `state` before. None if the answer
    /// contradicts the state.
    pub(super) fn apply(&self, state: &State) -> Vec<State> {
        let mut after: Vec<State> = Vec::with_capacity(2);
        for seen in self.as_seen(state) {
            let expired = seen == State::Absent && *state != State::Absent;
            let before = after.len();
            self.apply_now(seen, &mut after);
            // What is gone by the clock of this client may still be there by that of another.
            if expired
                && self.call.event.is_read()
                && let State::Present {
                    lasts: Lasts::UntilByClients(..),
                    ..
                } = state
            {
                for after in after.iter_mut().skip(before) {
                    *after = state.clone();
                }
            }
        }
        after
    }

    /// The state as the call may see it: an entry that expires about then may be there or not.
    fn as_seen(&self, state: &State) -> Vec<State> {
        let State::Present { lasts, .. } = state else {
            return vec![State::Absent];
        };
        let (first, last) = match *lasts {
            Lasts::Until(first, last) | Lasts::UntilByClients(first, last) => (first, last),
            Lasts::Forever => return vec![state.clone()],
        };
        let mut seen = Vec::with_capacity(2);
        if self.begin <= last {
            seen.push(state.clone());
        }
        if self.end.is_none_or(|end| end >= first) {
            seen.push(State::Absent);
        }
        seen
    }

    fn apply_now(&self, state: State, after: &mut Vec<State>) {
        match &self.call.event {
            Event::Read(seen) => after.extend(shows(state, seen.as_ref())),
            Event::Wrote {
                value,
                lasts,
                condition,
                version,
            } => {
                if holds(&state, condition) {
                    after.push(State::Present {
                        value: value.clone(),
                        version: version.as_ref().map(bytes),
                        lasts: *lasts,
                    });
                }
            }
            Event::DidNotWrite { condition, current } => {
                if may_fail(&state, condition) {
                    after.extend(shows_in_conflict(state, current.as_ref()));
                }
            }
            Event::Removed(None) => after.push(State::Absent),
            Event::Removed(Some(version)) => {
                if holds(&state, &WriteCondition::IfVersion(version.clone())) {
                    after.push(State::Absent);
                }
            }
            Event::DidNotRemove(version, current) => {
                if may_fail(&state, &WriteCondition::IfVersion(version.clone())) {
                    after.extend(shows_in_conflict(state, current.as_ref()));
                }
            }
            Event::Touched { lasts, if_version } => {
                let State::Present { value, version, .. } = state else {
                    return;
                };
                let named = if_version.as_ref().map(bytes);
                if named.is_none() || version.is_none() || version == named {
                    after.push(State::Present {
                        value,
                        version: version.or(named),
                        lasts: *lasts,
                    });
                }
            }
            Event::DidNotTouch(if_version) => {
                let may_fail = match if_version {
                    None => state == State::Absent,
                    Some(version) => may_fail(&state, &WriteCondition::IfVersion(version.clone())),
                };
                if may_fail {
                    after.push(state);
                }
            }
        }
    }
}

fn bytes(version: &Version) -> Vec<u8> {
    version.as_bytes().to_vec()
}

/// The state, if it is what was seen. A version that was not known is now.
fn shows(state: State, seen: Option<&Seen>) -> Option<State> {
    match (state, seen) {
        (State::Absent, None) => Some(State::Absent),
        (
            State::Present {
                value,
                version,
                lasts,
            },
            Some(seen),
        ) => {
            let shown = seen.version.as_ref().map(bytes);
            let is_value = seen.value.as_ref().is_none_or(|shown| *shown == value);
            let is_version = shown.is_none() || version.is_none() || version == shown;
            (is_value && is_version).then(|| State::Present {
                value,
                version: version.or(shown),
                lasts,
            })
        }
        _ => None,
    }
}

fn shows_in_conflict(state: State, current: Option<&Option<Seen>>) -> Option<State> {
    match current {
        None => Some(state),
        Some(seen) => shows(state, seen.as_ref()),
    }
}

/// Whether the condition may hold in this state. A version that is not known may be any.
fn holds(state: &State, condition: &WriteCondition) -> bool {
    match (condition, state) {
        (WriteCondition::Always, _) => true,
        (WriteCondition::IfAbsent, state) => *state == State::Absent,
        (WriteCondition::IfVersion(_), State::Absent) => false,
        (WriteCondition::IfVersion(named), State::Present { version, .. }) => version
            .as_ref()
            .is_none_or(|version| version.as_slice() == named.as_bytes()),
    }
}

/// Whether the condition may not hold in this state.
fn may_fail(state: &State, condition: &WriteCondition) -> bool {
    match (condition, state) {
        (WriteCondition::Always, _) => false,
        (WriteCondition::IfAbsent, state) => *state != State::Absent,
        (WriteCondition::IfVersion(_), State::Absent) => true,
        (WriteCondition::IfVersion(named), State::Present { version, .. }) => version
            .as_ref()
            .is_none_or(|version| version.as_slice() != named.as_bytes()),
    }
}
