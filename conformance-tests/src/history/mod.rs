//! Histories of concurrent operations, and a check that they are in order.
//!
//! Record what several drivers do to one backend at the same time, then check that it is *linearizable*: that each
//! operation could have taken effect at one instant between its beginning and its end, as the contract says.
//!
//! ```
//! use std::sync::Arc;
//! use conformance_tests::history::Recorder;
//! use driver_memory::MemoryDriver;
//! use session_core::DriverExt;
//!
//! # #[tokio::main]
//! # async fn main() -> session_core::Result<()> {
//! let backend = Arc::new(MemoryDriver::new());
//! let recorder = Recorder::new();
//! let (one, other) = (recorder.driver(backend.clone()), recorder.driver(backend));
//!
//! let (written, read) = tokio::join!(one.put("key", "value"), other.get("key"));
//! written?;
//! read?;
//! recorder.history().check().unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! - Each key is checked by itself. Single operations and batches are recorded; listings and clears are not, so do not
//!   clear keys that are in the history.
//! - An operation whose outcome is unknown may have happened or not. Each one that is open makes the search longer: use
//!   a key no further after several of them.
//! - Give each write a value of its own. Otherwise a read does not tell which write it saw.
//! - An entry may be gone from its expiry on, and must be gone after the granularity that the driver declares.
//! - If the clients compare expiries with their own clocks, use [`Recorder::with_clocks_of_clients`].
//! - For a failover that may lose writes, use [`Recorder::while_losing_writes`]. What came before and what comes after
//!   are checked apart.
//! - Let each call come to its end. One whose future is dropped is not recorded.
//! - Reads of a cache: [`History::check_with_staleness`] allows each read to be older by a given time.

mod check;
mod recorder;
mod render;
mod state;

pub use check::Disorder;
pub use recorder::{Recorded, Recorder};

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use session_core::{Key, Timestamp, Version, WriteCondition};

/// One operation on one key: when it began and ended, what was asked, and what was answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// Which driver made it.
    pub process: usize,
    /// When it began, since the start of the recording.
    pub begin: Duration,
    /// When it ended. `None` if it is not known whether and when it was applied.
    pub end: Option<Duration>,
    /// What was asked and answered.
    pub event: Event,
}

impl Call {
    /// Creates a call that took from `begin` to `end`.
    pub fn new(
        process: usize,
        begin: Duration,
        end: impl Into<Option<Duration>>,
        event: Event,
    ) -> Self {
        Self {
            process,
            begin,
            end: end.into(),
            event,
        }
    }
}

/// What was asked, and what was answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A read of any kind. `None` is a miss.
    Read(Option<Seen>),
    /// A write that was made.
    Wrote {
        /// The value.
        value: Bytes,
        /// How long the entry lives.
        lasts: Lasts,
        /// The condition that held.
        condition: WriteCondition,
        /// The version that was answered, if it is known.
        version: Option<Version>,
    },
    /// A write whose condition did not hold, and what the conflict showed, if it did.
    DidNotWrite {
        /// The condition that did not hold.
        condition: WriteCondition,
        /// What was there instead. `None` if the answer does not say.
        current: Option<Option<Seen>>,
    },
    /// A removal that was made, on condition of a version if there is one.
    Removed(Option<Version>),
    /// A removal on condition of a version that was not there, and what the conflict showed, if it did.
    DidNotRemove(Version, Option<Option<Seen>>),
    /// A touch that was made.
    Touched {
        /// How long the entry lives.
        lasts: Lasts,
        /// The condition that held.
        if_version: Option<Version>,
    },
    /// A touch that found no entry, or another version.
    DidNotTouch(Option<Version>),
}

impl Event {
    /// A read that returned `value`.
    pub fn read(value: impl Into<Bytes>) -> Self {
        Self::Read(Some(Seen {
            value: Some(value.into()),
            version: None,
        }))
    }

    /// A read that found nothing.
    pub fn missed() -> Self {
        Self::Read(None)
    }

    /// A write of `value` without a condition and without an expiry.
    pub fn wrote(value: impl Into<Bytes>) -> Self {
        Self::Wrote {
            value: value.into(),
            lasts: Lasts::Forever,
            condition: WriteCondition::Always,
            version: None,
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Read(_)
                | Self::DidNotWrite { .. }
                | Self::DidNotRemove(..)
                | Self::DidNotTouch(_)
        )
    }
}

/// What a read showed of an entry. `None` is what it did not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The value.
    pub value: Option<Bytes>,
    /// The version.
    pub version: Option<Version>,
}

/// How long an entry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lasts {
    /// It does not expire.
    Forever,
    /// It may be gone from the first time on, and must be gone after the second one.
    Until(Timestamp, Timestamp),
    /// The same, if each client compares the expiry with a clock of its own: in between, the entry may be gone for one
    /// client and there for the next.
    UntilByClients(Timestamp, Timestamp),
}

/// The calls on each key, and when the backend may have lost writes.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) calls: BTreeMap<Key, Vec<Call>>,
    pub(crate) losses: Vec<(Duration, Duration)>,
    /// The wall-clock time at which the recording began.
    pub(crate) started: Timestamp,
}

impl History {
    /// Creates an empty history, whose times count from `started`.
    pub fn new(started: Timestamp) -> Self {
        Self {
            calls: BTreeMap::new(),
            losses: Vec::new(),
            started,
        }
    }

    /// Adds a call on `key`.
    pub fn push(&mut self, key: Key, call: Call) {
        self.calls.entry(key).or_default().push(call);
    }

    /// Notes that the backend may have lost writes at some instant between these two, counted from the start.
    pub fn lost_writes_between(&mut self, begin: Duration, end: Duration) {
        self.losses.push((begin, end));
    }

    /// Returns how many calls there are.
    pub fn len(&self) -> usize {
        self.calls.values().map(Vec::len).sum()
    }

    /// Returns whether there are no calls.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Checks that the calls on each key have an order that the contract allows.
    ///
    /// The error shows the shortest part of the history that has none.
    pub fn check(&self) -> Result<(), Disorder> {
        self.check_with_staleness(Duration::ZERO)
    }

    /// Like [`check`](Self::check), but a read may show what was there up to `staleness` before it began, as a cache
    /// does. Conditions must still hold when they are checked.
    pub fn check_with_staleness(&self, staleness: Duration) -> Result<(), Disorder> {
        for calls in self.calls.values() {
            check::key(calls, &self.losses, self.started, staleness)?;
        }
        Ok(())
    }
}
