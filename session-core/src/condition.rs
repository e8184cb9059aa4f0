use crate::{Entry, Expiry, Version};

/// What must hold for a write to take place, checked in the same atomic step as the write.
///
/// An entry past its expiry counts as absent, whether the backend has swept it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WriteCondition {
    /// Nothing: the write replaces what is there.
    #[default]
    Always,
    /// No entry is there.
    IfAbsent,
    /// The entry is there and still has this version.
    IfVersion(Version),
}

/// Expiry and condition of a write.
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
pub struct WriteOptions {
    /// When the entry ends.
    pub expiry: Expiry,
    /// What must hold for the write to take place.
    pub condition: WriteCondition,
}

impl WriteOptions {
    /// A write that takes place only where no entry is.
    pub fn if_absent() -> Self {
        Self {
            condition: WriteCondition::IfAbsent,
            ..Self::default()
        }
    }

    /// A write that takes place only where the entry still has `version`.
    pub fn if_version(version: Version) -> Self {
        Self {
            condition: WriteCondition::IfVersion(version),
            ..Self::default()
        }
    }

    /// Sets when the entry ends.
    #[must_use]
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }
}

/// Condition of a removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Remove only an entry that still has this version; `None` removes whatever is there.
    pub if_version: Option<Version>,
}

impl RemoveOptions {
    /// A removal that takes place only where the entry still has `version`.
    pub fn if_version(version: Version) -> Self {
        Self {
            if_version: Some(version),
        }
    }
}

/// Where to move the end of an entry, and on what condition.
///
/// ```
/// use session_core::{Expiry, TouchOptions, Version};
///
/// let options = TouchOptions::to(Expiry::Never).if_version(Version::from_u64(7));
/// assert_eq!(options.expiry, Expiry::Never);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TouchOptions {
    /// When the entry ends from now on.
    pub expiry: Expiry,
    /// Touch only an entry that still has this version; `None` touches whatever is there.
    pub if_version: Option<Version>,
}

impl TouchOptions {
    /// A touch that moves the end to `expiry`.
    pub fn to(expiry: Expiry) -> Self {
        Self {
            expiry,
            if_version: None,
        }
    }

    /// Touches only an entry that still has `version`.
    #[must_use]
    pub fn if_version(mut self, version: Version) -> Self {
        self.if_version = Some(version);
        self
    }
}

/// What a failed condition found in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictState {
    /// The backend did not say; read to find out.
    Unknown,
    /// No entry, or only one past its expiry.
    Absent,
    /// This entry.
    Present(Entry),
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was written"]
pub enum WriteOutcome {
    /// The value is stored.
    Written {
        /// Its version; `None` only from a driver without conditions.
        version: Option<Version>,
    },
    /// The condition did not hold, and nothing was changed.
    Conflict(ConflictState),
}

/// What became of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was removed"]
pub enum RemoveOutcome {
    /// No entry is there any more; without a condition, also where none was.
    Removed,
    /// The condition did not hold, and nothing was changed.
    Conflict(ConflictState),
}
