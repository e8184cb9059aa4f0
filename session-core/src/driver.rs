use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::{
    Capabilities, Entry, Error, Key, ListOptions, ListPage, Metadata, Prefix, RemoveOptions,
    RemoveOutcome, Result, TouchOptions, WriteOptions, WriteOutcome,
};

/// One write of a batch.
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
    /// A write of `value` to `key`, with the driver's default expiry and without a condition.
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

/// A change of one key, as a watcher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The key that changed.
    pub key: Key,
    /// How it changed.
    pub kind: ChangeKind,
}

impl Change {
    /// A change of `key`.
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

/// A backend: it maps a [`Key`] to opaque bytes with an optional expiry.
///
/// A driver of one's own implements [`name`](Self::name), [`capabilities`](Self::capabilities) and the
/// four required operations; every other method is provided, and is overridden where the backend does
/// better. Helpers for callers are in [`DriverExt`](crate::DriverExt). Run the `conformance-tests`
/// crate on a driver to see whether it keeps what follows.
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
///         Capabilities { reports_expiry: true, ..Capabilities::default() }
///     }
///
///     async fn read(&self, key: &Key) -> Result<Option<Entry>> {
///         let entry = self.0.lock().unwrap().get(key).cloned();
///         Ok(entry.filter(|e| e.expires_at.is_none_or(|end| Timestamp::now() < end)))
///     }
///
///     async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
///         if options.condition != WriteCondition::Always {
///             return Err(Error::unsupported(self.name(), "conditional write"));
///         }
///         let end = options.expiry.resolve(None, Timestamp::now());
///         self.0.lock().unwrap().insert(key.clone(), Entry::new(value).with_expires_at(end));
///         Ok(WriteOutcome::Written { version: None })
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
///         let alive = map.iter().filter(|(_, e)| e.expires_at.is_none_or(|end| now < end));
///         let keys = alive.map(|(k, _)| k.clone()).filter(|k| options.prefix.contains(k)).collect();
///         Ok(ListPage { keys, next: None })
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
/// - **Values** come back byte for byte, empty ones too.
/// - **Expiry.** An entry past its end is never returned, listed, counted, or taken as present by a
///   condition, whether the backend has removed it or not. An overwrite sets the expiry anew.
/// - **Conditions** are checked and acted on in one atomic step. A failed one is an outcome, not an
///   error. A driver that cannot do this refuses conditions with [`ErrorKind::Unsupported`]; it never
///   checks first and acts then.
/// - **Versions** change with every change of the value, also with one of equal length, also with one by
///   a writer that is not this driver.
/// - **A miss is not an error, and an error is never a miss.** An error says by its
///   [`outcome`](Error::outcome) whether the operation may have happened.
/// - **Cancellation.** A future that is dropped at any point leaves the old value or the new one.
/// - **Threads.** Methods never block the runtime, and may be called from many tasks at once.
///
/// [`ErrorKind::Unsupported`]: crate::ErrorKind::Unsupported
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The name of the backend, for errors, logs and configuration: `sqlite`, `redis`.
    fn name(&self) -> &str;

    /// What this driver can do.
    fn capabilities(&self) -> Capabilities;

    /// Reads the entry of `key`, or `None` if there is none.
    async fn read(&self, key: &Key) -> Result<Option<Entry>>;

    /// Writes `value`, if the condition of `options` holds.
    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome>;

    /// Removes the entry of `key`, if the condition of `options` holds. Without a condition it also
    /// succeeds where nothing is.
    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome>;

    /// Lists keys, a page at a time, in any order.
    ///
    /// Whoever follows the cursors to the end gets each key that was there throughout at least once,
    /// also while others write and remove.
    async fn list(&self, options: ListOptions) -> Result<ListPage>;

    /// Whether `key` has an entry. Provided by a read.
    async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.read(key).await?.is_some())
    }

    /// What is known of the entry of `key` without its value. Provided by a read.
    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        Ok(self.read(key).await?.as_ref().map(Metadata::from))
    }

    /// Moves the end of an entry alone, if the condition of `options` holds, and says whether it did: `false` is
    /// that no entry is there, or one of another version.
    ///
    /// It rewrites no value, changes no version and brings nothing back. Provided as an error of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn touch(&self, _key: &Key, _options: TouchOptions) -> Result<bool> {
        Err(Error::unsupported(self.name(), "touch"))
    }

    /// Reads several entries; the results stand in the order of `keys`, duplicates included. Provided by
    /// reads one by one. It is not a snapshot.
    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            entries.push(self.read(key).await?);
        }
        Ok(entries)
    }

    /// Makes several writes; the results stand in the order of `writes`, and of two writes to one key the
    /// later one wins. Provided by writes one by one. It is not atomic: each write has a result of its own.
    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(self.write(&write.key, write.value, write.options).await);
        }
        outcomes
    }

    /// Removes several entries without a condition. Provided by removals one by one. It is not atomic:
    /// after an error some may be gone; doing it again is safe.
    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        for key in keys {
            let _unconditional = self.remove(key, RemoveOptions::default()).await?;
        }
        Ok(())
    }

    /// Removes every entry below `prefix` and none beside it. Provided by listing and removing. An entry
    /// that is written meanwhile may stay or go; after an error some are gone; doing it again is safe.
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

    /// Tells of each change below `prefix` from now on. Provided as an error of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    async fn watch(&self, _prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        Err(Error::unsupported(self.name(), "watch"))
    }

    /// Finishes what runs in the background and gives up what is held. Afterwards every operation is an
    /// error of kind [`Closed`](crate::ErrorKind::Closed); closing again is not. Provided as doing nothing,
    /// for drivers that hold nothing, and which therefore go on working.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for dyn Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Driver({})", self.name())
    }
}

/// The future of a [`Driver`]'s method, as `async_trait` makes it.
pub type DriverFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<D: Driver + ?Sized> Driver for Arc<D> {
    crate::delegate_driver!(this => **this);
}
