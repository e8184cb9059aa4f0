//! The [`Driver`] trait, which is the contract of a backend.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::{
    Capabilities, Entry, Error, InvalidationListener, Key, ListOptions, ListPage, Metadata, Prefix,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, WriteOptions, WriteOutcome,
};

/// A write in a batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Write {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Bytes,
    /// The expiry and the condition.
    pub options: WriteOptions,
}

impl Write {
    /// Creates a write of `value` to `key`, with the driver's default expiry and without a condition.
    pub fn new(key: Key, value: impl Into<Bytes>) -> Self {
        Self {
            key,
            value: value.into(),
            options: WriteOptions::default(),
        }
    }

    /// Sets the expiry and the condition.
    #[must_use]
    pub fn with_options(mut self, options: WriteOptions) -> Self {
        self.options = options;
        self
    }
}

/// A change of a key that [`Driver::watch`] reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The key that changed.
    pub key: Key,
    /// How it changed.
    pub kind: ChangeKind,
}

impl Change {
    /// Creates a change of `key`.
    pub fn new(key: Key, kind: ChangeKind) -> Self {
        Self { key, kind }
    }
}

/// How a watched key changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// A value was written.
    Written,
    /// The entry was removed, by a caller or because it expired.
    Removed,
}

/// A storage backend, which maps a [`Key`] to bytes with an optional expiry.
///
/// To write a driver, implement [`name`](Self::name), [`capabilities`](Self::capabilities) and the four required
/// operations. All other methods are provided; override those that the backend can do better. Helpers for callers are
/// in [`DriverExt`](crate::DriverExt). The `conformance-tests` crate tests whether a driver keeps the contract below.
///
/// ```
/// use std::{collections::BTreeMap, sync::Mutex};
/// use session_core::{
///     async_trait, Bytes, Capabilities, Driver, DriverExt, Entry, Error, Key, ListOptions, ListPage, RemoveOptions,
///     RemoveOutcome, Result, Timestamp, WriteCondition, WriteOptions, WriteOutcome,
/// };
///
/// #[derive(Default)]
/// struct Shelf(Mutex<BTreeMap<Key, Entry>>);
///
/// #[async_trait]
/// impl Driver for Shelf {
///     fn name(&self) -> &str {
///         "shelf"
///     }
///
///     fn capabilities(&self) -> Capabilities {
///         Capabilities::default().with_reports_expiry(true)
///     }
///
///     async fn read(&self, key: &Key) -> Result<Option<Entry>> {
///         let entry = self.0.lock().unwrap().get(key).cloned();
///         Ok(entry.filter(|e| e.expires_at.is_none_or(|expiry| Timestamp::now() < expiry)))
///     }
///
///     async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
///         if options.condition != WriteCondition::Always {
///             return Err(Error::unsupported(self.name(), "conditional write"));
///         }
///         let expiry = options.expiry.resolve(None, Timestamp::now());
///         self.0.lock().unwrap().insert(key.clone(), Entry::new(value).with_expires_at(expiry));
///         Ok(WriteOutcome::written(None))
///     }
///
///     async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
///         if options.if_version.is_some() {
///             return Err(Error::unsupported(self.name(), "conditional removal"));
///         }
///         self.0.lock().unwrap().remove(key);
///         Ok(RemoveOutcome::Removed)
///     }
///
///     async fn list(&self, options: ListOptions) -> Result<ListPage> {
///         let now = Timestamp::now();
///         let map = self.0.lock().unwrap();
///         let alive = map.iter().filter(|(_, e)| e.expires_at.is_none_or(|expiry| now < expiry));
///         let keys = alive.map(|(k, _)| k.clone()).filter(|k| options.prefix.contains(k)).collect();
///         Ok(ListPage::new(keys, None))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let shelf = Shelf::default();
/// shelf.put("greeting", "hello").await?;
/// assert_eq!(shelf.get("greeting").await?.unwrap(), "hello");
/// # Ok(())
/// # }
/// ```
///
/// # The contract
///
/// - **Values** are returned byte for byte, including empty ones.
/// - **Expiry.** An expired entry is never returned, listed, counted, or treated as present by a condition, even if
///   the backend has not removed it yet. An overwrite replaces the expiry.
/// - **Conditions** are checked and applied in one atomic step. A failed condition is an outcome, not an error. A
///   driver that cannot do this returns [`ErrorKind::Unsupported`]; it never checks first and writes later.
/// - **Versions** change with every change of the value, including changes of equal length and changes by other
///   writers than this driver.
/// - **A missing entry is not an error, and an error is never reported as a missing entry.** The
///   [`outcome`](Error::outcome) of an error says whether the operation may have been applied.
/// - **Cancellation.** A future that is dropped at any point leaves the old value or the new one.
/// - **Threads.** Methods never block the runtime, and may be called from many tasks at once.
///
/// [`ErrorKind::Unsupported`]: crate::ErrorKind::Unsupported
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Returns the name of the backend, such as `sqlite`, for errors, logs and configuration.
    fn name(&self) -> &str;

    /// Returns what this driver supports.
    fn capabilities(&self) -> Capabilities;

    /// Reads the entry of `key`; `None` if it does not exist.
    async fn read(&self, key: &Key) -> Result<Option<Entry>>;

    /// Writes `value`, if the condition of `options` holds.
    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome>;

    /// Removes the entry of `key`, if the condition of `options` holds.
    ///
    /// Without a condition it also succeeds if the key is absent.
    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome>;

    /// Lists keys, a page at a time, in any order.
    ///
    /// A caller that follows the cursors to the end gets each key that exists during the whole listing at least once,
    /// even while others write and remove.
    async fn list(&self, options: ListOptions) -> Result<ListPage>;

    /// Returns whether `key` has an entry. The default implementation reads it.
    async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.read(key).await?.is_some())
    }

    /// Returns the metadata of the entry of `key`, without its value. The default implementation reads the entry.
    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        Ok(self.read(key).await?.as_ref().map(Metadata::from))
    }

    /// Changes the expiry of an entry, if the condition of `options` holds, and returns whether it did.
    ///
    /// It returns `false` if the entry does not exist or has another version. It does not change the value or the version,
    /// and does not restore an expired entry. The default implementation is an error of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn touch(&self, _key: &Key, _options: TouchOptions) -> Result<bool> {
        Err(Error::unsupported(self.name(), "touch"))
    }

    /// Reads several entries. The results are in the order of `keys`, duplicates included.
    ///
    /// It is not a snapshot. The default implementation reads one after another.
    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            entries.push(self.read(key).await?);
        }
        Ok(entries)
    }

    /// Makes several writes. The results are in the order of `writes`.
    ///
    /// Of two writes to one key the later one wins. It is not atomic: each write has its own result. The default
    /// implementation writes one after another.
    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(self.write(&write.key, write.value, write.options).await);
        }
        outcomes
    }

    /// Removes several entries without a condition.
    ///
    /// It is not atomic: after an error some entries may be removed. It is safe to repeat. The default implementation
    /// removes one after another.
    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        for key in keys {
            let _unconditional = self.remove(key, RemoveOptions::default()).await?;
        }
        Ok(())
    }

    /// Removes every entry below `prefix`.
    ///
    /// An entry that is written meanwhile may be removed or not. After an error some entries may be removed. It is safe to
    /// repeat. The default implementation lists and removes.
    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let mut options = ListOptions::below(prefix.clone());
        loop {
            let page = self.list(options.clone()).await?;
            self.remove_many(&page.keys).await?;
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    /// Returns a stream of the changes below `prefix` from now on.
    ///
    /// The default implementation is an error of kind [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn watch(&self, _prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        Err(Error::unsupported(self.name(), "watch"))
    }

    /// Tells `listener` from now on which entries have changed since [`read_tracked`](Self::read_tracked) returned them.
    ///
    /// The driver keeps the listener for as long as it lives. The default implementation is an error of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn listen(&self, _listener: Arc<dyn InvalidationListener>) -> Result<()> {
        Err(Error::unsupported(self.name(), "listen"))
    }

    /// Reads like [`read`](Self::read), and tells the listeners when the entry changes or expires afterwards.
    ///
    /// It tells each of them once, so that the entry must be read again to be tracked again. An entry that is absent need
    /// not be tracked. The default implementation is an error of kind [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn read_tracked(&self, _key: &Key) -> Result<Option<Entry>> {
        Err(Error::unsupported(self.name(), "read_tracked"))
    }

    /// Waits until the listeners know of every change that was made before the call.
    ///
    /// It also proves that the backend is still the one that decides, such as the primary of a cluster. The default
    /// implementation is an error of kind [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn sync_invalidations(&self) -> Result<()> {
        Err(Error::unsupported(self.name(), "sync_invalidations"))
    }

    /// Finishes background work and releases all resources.
    ///
    /// Afterwards every operation is an error of kind [`Closed`](crate::ErrorKind::Closed). Closing again is not an error.
    /// The default implementation does nothing, for drivers without resources; such a driver still works afterwards.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for dyn Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({})", self.name())
    }
}

/// The future that a method of [`Driver`] returns, as `async_trait` defines it.
pub type DriverFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<D: Driver + ?Sized> Driver for Arc<D> {
    crate::delegate_driver!(this => **this);
}
