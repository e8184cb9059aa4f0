//! A read of the value alone stays one, through whatever stands over a driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use conformance_tests::{Counting, Faulty};
use driver_memory::MemoryDriver;
use session_core::decorators::{Overlay, Prefixed, ReadOnly, Retry, Timeout, Traced};
use session_core::{
    Bytes, Capabilities, Driver, DriverExt, Entry, Key, ListOptions, ListPage, Prefix,
    RemoveOptions, RemoveOutcome, Result, RetryPolicy, WriteOptions, WriteOutcome, async_trait,
};
use session_storage::Storage;

/// A driver that counts the reads by which it is asked for the end as well.
#[derive(Default)]
struct ValueReader {
    memory: MemoryDriver,
    whole_reads: AtomicUsize,
}

#[async_trait]
impl Driver for ValueReader {
    fn name(&self) -> &str {
        "value-reader"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            cheap_value_reads: true,
            ..self.memory.capabilities()
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.whole_reads.fetch_add(1, Ordering::SeqCst);
        self.memory.read(key).await
    }

    async fn read_value(&self, key: &Key) -> Result<Option<Entry>> {
        self.memory.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.memory.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.memory.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.memory.list(options).await
    }
}

async fn reads_the_value_alone(over: impl Fn(Arc<dyn Driver>) -> Arc<dyn Driver>, what: &str) {
    let driver = Arc::new(ValueReader::default());
    driver.memory.put("key", "value").await.unwrap();
    let over = over(driver.clone());
    assert!(over.capabilities().cheap_value_reads, "{what}");
    let value = over.get("key").await.unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]), "{what}");
    assert_eq!(driver.whole_reads.load(Ordering::SeqCst), 0, "{what}");
}

#[tokio::test]
async fn a_decorator_passes_a_read_of_the_value_alone_on() {
    reads_the_value_alone(|driver| Arc::new(driver), "an Arc").await;
    reads_the_value_alone(
        |driver| Arc::new(Prefixed::new(driver, Prefix::root())),
        "Prefixed",
    )
    .await;
    reads_the_value_alone(|driver| Arc::new(ReadOnly::new(driver)), "ReadOnly").await;
    reads_the_value_alone(|driver| Arc::new(Traced::new(driver)), "Traced").await;
    reads_the_value_alone(|driver| Arc::new(Overlay::new(driver, [])), "Overlay").await;
    let retry = |driver| Arc::new(Retry::new(driver, RetryPolicy::default())) as Arc<dyn Driver>;
    reads_the_value_alone(retry, "Retry").await;
    reads_the_value_alone(|driver| Arc::new(Timeout::with_default(driver)), "Timeout").await;
    reads_the_value_alone(|driver| Arc::new(Counting::new(driver)), "Counting").await;
    reads_the_value_alone(|driver| Arc::new(Faulty::new(driver)), "Faulty").await;
    reads_the_value_alone(|driver| Storage::new(driver).as_driver(), "Storage").await;
}

#[tokio::test]
async fn a_storage_reads_values_alone() {
    let driver = Arc::new(ValueReader::default());
    let storage = Storage::new(driver.clone());
    storage.set("key", "value").await.unwrap();
    let value: Option<String> = storage.get("key").await.unwrap();
    assert_eq!(value.as_deref(), Some("value"));
    assert_eq!(driver.whole_reads.load(Ordering::SeqCst), 0);
}
