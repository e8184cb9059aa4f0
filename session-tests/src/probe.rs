use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver_memory::MemoryDriver;
use parking_lot::Mutex;
use session_core::{
    Bytes, Capabilities, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage, Outcome,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, WriteOptions, WriteOutcome, async_trait,
};
use tokio::sync::Semaphore;

/// A memory driver that counts its operations, fails them on demand, and waits before writes on demand.
pub struct Probe {
    inner: MemoryDriver,
    operations: Mutex<Vec<&'static str>>,
    fail: Mutex<Option<(&'static str, Outcome)>>,
    /// Writes take a permit each.
    pub writes: Semaphore,
    /// How many writes have begun.
    pub writes_begun: AtomicUsize,
    /// How many writes have succeeded.
    pub writes_done: AtomicUsize,
}

impl Probe {
    /// Returns an empty driver that does not fail or wait.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryDriver::new(),
            operations: Mutex::default(),
            fail: Mutex::default(),
            writes: Semaphore::new(Semaphore::MAX_PERMITS),
            writes_begun: AtomicUsize::new(0),
            writes_done: AtomicUsize::new(0),
        })
    }

    /// The operations since the last call.
    pub fn take_operations(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.operations.lock())
    }

    /// Lets every `operation` fail from now on, without being applied.
    pub fn fail(&self, operation: &'static str, outcome: Outcome) {
        *self.fail.lock() = Some((operation, outcome));
    }

    /// Lets all operations succeed again.
    pub fn heal(&self) {
        *self.fail.lock() = None;
    }

    fn begin(&self, operation: &'static str) -> Result<()> {
        self.operations.lock().push(operation);
        match *self.fail.lock() {
            Some((failing, outcome)) if failing == operation => {
                Err(Error::new(ErrorKind::Unavailable, "the backend is away")
                    .with_outcome(outcome)
                    .with_context("probe", operation))
            }
            _ => Ok(()),
        }
    }

    /// The stored bytes of `key`.
    pub async fn stored(&self, key: &Key) -> Option<Bytes> {
        let entry = self.inner.read(key).await.unwrap();
        entry.map(|entry| entry.value)
    }
}

#[async_trait]
impl Driver for Probe {
    fn name(&self) -> &str {
        "probe"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.begin("read")?;
        self.inner.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.begin("write")?;
        self.writes_begun.fetch_add(1, Ordering::SeqCst);
        let _permit = self.writes.acquire().await.unwrap();
        let outcome = self.inner.write(key, value, options).await?;
        self.writes_done.fetch_add(1, Ordering::SeqCst);
        Ok(outcome)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.begin("remove")?;
        self.inner.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.begin("list")?;
        self.inner.list(options).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.begin("touch")?;
        self.inner.touch(key, options).await
    }

    async fn close(&self) -> Result<()> {
        self.begin("close")?;
        self.inner.close().await
    }
}
