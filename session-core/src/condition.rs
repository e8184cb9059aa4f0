//! Conditions of writes, removals and touches, and their outcomes.

use crate::{Entry, Expiry, Version};

/// The condition of a write. It is checked in the same atomic step as the write.
///
/// An expired entry counts as absent, whether the backend has removed it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteCondition {
    /// No condition: the write replaces any existing entry.
    #[default]
    Always,
    /// The key has no entry.
    IfAbsent,
    /// The key has an entry of this version.
    IfVersion(Version),
}

/// The expiry and the condition of a write, and how the value is meant.
///
/// ```
/// use session_core::{Expiry, WriteCondition, WriteOptions};
/// use std::time::Duration;
///
/// let options = WriteOptions::if_absent().with_expiry(Expiry::after(Duration::from_secs(60)));
/// assert_eq!(options.condition, WriteCondition::IfAbsent);
/// assert_eq!(WriteOptions::default().condition, WriteCondition::Always);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// When the entry expires.
    pub expiry: Expiry,
    /// What must hold for the write to happen.
    pub condition: WriteCondition,
    /// Whether the value is bytes even if it is valid text. It matters where a backend keeps the two apart, as unstorage
    /// does in a database, and only to others who read there: this library reads both alike.
    pub raw: bool,
}

impl WriteOptions {
    /// A write that happens only if the key is absent.
    pub fn if_absent() -> Self {
        Self::default().with_condition(WriteCondition::IfAbsent)
    }

    /// A write that happens only if the entry still has `version`.
    pub fn if_version(version: Version) -> Self {
        Self::default().with_condition(WriteCondition::IfVersion(version))
    }

    /// Sets when the entry expires.
    #[must_use]
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    /// Sets what must hold for the write to happen.
    #[must_use]
    pub fn with_condition(mut self, condition: WriteCondition) -> Self {
        self.condition = condition;
        self
    }

    /// Sets whether the value is bytes even if it is valid text.
    #[must_use]
    pub fn with_raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }
}

/// The condition of a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoveOptions {
    /// Remove the entry only if it still has this version. `None` removes whatever is there.
    pub if_version: Option<Version>,
}

impl RemoveOptions {
    /// A removal that happens only if the entry still has `version`.
    pub fn if_version(version: Version) -> Self {
        Self {
            if_version: Some(version),
        }
    }

    /// Sets the version that the entry must still have; `None` removes whatever is there.
    #[must_use]
    pub fn with_version(mut self, version: Option<Version>) -> Self {
        self.if_version = version;
        self
    }
}

/// The new expiry of an entry, and the condition of a touch.
///
/// ```
/// use session_core::{Expiry, TouchOptions, Version};
///
/// let options = TouchOptions::to(Expiry::Never).if_version(Version::from_u64(7));
/// assert_eq!(options.expiry, Expiry::Never);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TouchOptions {
    /// When the entry expires from now on.
    pub expiry: Expiry,
    /// Touch the entry only if it still has this version. `None` touches whatever is there.
    pub if_version: Option<Version>,
}

impl TouchOptions {
    /// A touch that sets the expiry to `expiry`.
    pub fn to(expiry: Expiry) -> Self {
        Self {
            expiry,
            if_version: None,
        }
    }

    /// Touches the entry only if it still has `version`.
    #[must_use]
    pub fn if_version(mut self, version: Version) -> Self {
        self.if_version = Some(version);
        self
    }

    /// Sets the version that the entry must still have; `None` touches whatever is there.
    #[must_use]
    pub fn with_version(mut self, version: Option<Version>) -> Self {
        self.if_version = version;
        self
    }
}

/// The entry of a key when a condition failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictState {
    /// The backend did not say. Read the key to find out.
    Unknown,
    /// No entry, or an expired one.
    Absent,
    /// This entry.
    Present(Entry),
}

impl From<Option<Entry>> for ConflictState {
    fn from(entry: Option<Entry>) -> Self {
        entry.map_or(Self::Absent, Self::Present)
    }
}

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a conflict means that nothing was written"]
pub enum WriteOutcome {
    /// The value is stored.
    #[non_exhaustive]
    Written {
        /// The version of the value. `None` only from a driver without conditions.
        version: Option<Version>,
    },
    /// The condition did not hold, and nothing was changed.
    Conflict(ConflictState),
}

impl WriteOutcome {
    /// The value is stored as `version`.
    pub fn written(version: impl Into<Option<Version>>) -> Self {
        Self::Written {
            version: version.into(),
        }
    }
}

/// The outcome of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a conflict means that nothing was removed"]
pub enum RemoveOutcome {
    /// The key has no entry any more. Without a condition, also if it had none before.
    Removed,
    /// The condition did not hold, and nothing was changed.
    Conflict(ConflictState),
}
