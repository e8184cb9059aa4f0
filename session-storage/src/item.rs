use std::fmt;

use session_core::{Bytes, Expiry, Key, Timestamp, Write, WriteOptions};

/// A whole item of a storage: its key, its stored bytes and its expiry.
///
/// ```
/// use futures_util::TryStreamExt;
/// use session_core::Result;
/// use session_storage::Storage;
///
/// async fn size(storage: &Storage) -> Result<usize> {
///     let sizes = storage.items("").map_ok(|item| item.value.len());
///     sizes.try_fold(0, |sum, size| async move { Ok(sum + size) }).await
/// }
/// ```
///
/// Metadata is a separate item, under the key of its item with `$` appended. `Debug` shows the length of the value
/// instead of the value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageItem {
    /// The key, relative to the base that was read.
    pub key: Key,
    /// The bytes as they are stored.
    pub value: Bytes,
    /// When the item expires; [`Expiry::Default`] if the driver does not report it.
    pub expiry: Expiry,
}

impl StorageItem {
    /// An item with the driver's default expiry.
    pub fn new(key: Key, value: impl Into<Bytes>) -> Self {
        Self {
            key,
            value: value.into(),
            expiry: Expiry::Default,
        }
    }

    /// Sets when the item expires.
    #[must_use]
    pub fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = expiry;
        self
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.expiry, Expiry::At(expires_at) if expires_at <= now)
    }

    pub(crate) fn to_write(&self, key: Key) -> Write {
        Write::new(key, self.value.clone())
            .with_options(WriteOptions::default().with_expiry(self.expiry))
    }
}

impl fmt::Debug for StorageItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageItem")
            .field("key", &self.key)
            .field("len", &self.value.len())
            .field("expiry", &self.expiry)
            .finish()
    }
}
