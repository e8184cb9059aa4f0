//! Entries of a driver, and their metadata.

use std::fmt;

use bytes::Bytes;

use crate::{Timestamp, Version};

/// The entry of a key: the value, its version and its expiry.
///
/// ```
/// use session_core::{Entry, Version};
///
/// let entry = Entry::new("hello").with_version(Version::from_u64(1));
/// assert_eq!(entry.value, "hello");
/// assert_eq!(entry.expires_at, None);
/// ```
///
/// `Debug` shows the length of the value, not the value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The stored bytes.
    pub value: Bytes,
    /// The version to name in a condition. `None` only from a driver without conditions.
    pub version: Option<Version>,
    /// When the entry expires. `None` means never, or unknown if the driver does not
    /// [report expiry](crate::Capabilities::reports_expiry).
    pub expires_at: Option<Timestamp>,
}

impl Entry {
    /// An entry without a version that never expires.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self {
            value: value.into(),
            version: None,
            expires_at: None,
        }
    }

    /// Sets the version.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Sets when the entry expires.
    #[must_use]
    pub fn with_expires_at(mut self, expires_at: Option<Timestamp>) -> Self {
        self.expires_at = expires_at;
        self
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("len", &self.value.len())
            .field("version", &self.version)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// What a driver knows about an entry without reading its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Length of the value in bytes.
    pub size: Option<u64>,
    /// Version of the value.
    pub version: Option<Version>,
    /// When the entry expires; see [`Entry::expires_at`].
    pub expires_at: Option<Timestamp>,
    /// When the entry was first written, where the backend keeps it.
    pub created_at: Option<Timestamp>,
    /// When the value was last written, where the backend keeps it.
    pub modified_at: Option<Timestamp>,
}

impl From<&Entry> for Metadata {
    fn from(entry: &Entry) -> Self {
        Self {
            size: u64::try_from(entry.value.len()).ok(),
            version: entry.version.clone(),
            expires_at: entry.expires_at,
            ..Self::default()
        }
    }
}
