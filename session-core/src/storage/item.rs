use std::fmt;

use bytes::Bytes;

use crate::{Expiry, Key, Timestamp, Write, WriteOptions};

/// One item of a storage, whole: what a snapshot holds and a copy carries over.
///
/// ```
/// use futures_util::TryStreamExt;
/// use session_core::{Result, storage::Storage};
///
/// async fn size(storage: &Storage) -> Result<usize> {
///     let sizes = storage.items("").map_ok(|item| item.value.len());
///     sizes.try_fold(0, |sum, size| async move { Ok(sum + size) }).await
/// }
/// ```
///
/// The metadata of an item is one of its own, under the key with `$` behind. `Debug` shows the length of the value
/// and not the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// Its key, below the base that was asked for.
    pub key: Key,
    /// Its bytes as they are stored.
    pub value: Bytes,
    /// When it ends; [`Expiry::Default`] where the driver does not report it.
    pub expiry: Expiry,
}

impl Item {
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.expiry, Expiry::At(end) if end <= now)
    }

    pub(super) fn to_write(&self, key: Key) -> Write {
        Write::new(key, self.value.clone())
            .with_options(WriteOptions::default().with_expiry(self.expiry))
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("key", &self.key)
            .field("len", &self.value.len())
            .field("expiry", &self.expiry)
            .finish()
    }
}
