//! The suite waits for lagging readers if the subject says when they have caught up.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use conformance_tests::Subject;
use driver_memory::MemoryDriver;
use parking_lot::Mutex;
use session_core::{
    Capabilities, Consistency, Driver, Entry, Key, ListOptions, ListPage, RemoveOptions,
    RemoveOutcome, Result, WriteOptions, WriteOutcome,
};

/// A driver whose reads return the previous entry until the readers have caught up.
type Behind = Arc<Mutex<HashMap<Key, Entry>>>;

#[derive(Debug, Default)]
struct Late {
    primary: MemoryDriver,
    behind: Behind,
}

impl Late {
    async fn fall_behind(&self, key: &Key) -> Result<()> {
        if let Some(entry) = self.primary.read(key).await? {
            self.behind.lock().insert(key.clone(), entry);
        }
        Ok(())
    }
}

#[async_trait]
impl Driver for Late {
    fn name(&self) -> &str {
        "late"
    }

    fn capabilities(&self) -> Capabilities {
        self.primary
            .capabilities()
            .with_consistency(Consistency::Eventual)
            .with_touch(false)
            .with_watch(false)
            .with_invalidations(false)
            .with_batch(false)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let behind = self.behind.lock().get(key).cloned();
        match behind {
            Some(entry) => Ok(Some(entry)),
            None => self.primary.read(key).await,
        }
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.fall_behind(key).await?;
        self.primary.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.fall_behind(key).await?;
        self.primary.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.primary.list(options).await
    }

    async fn close(&self) -> Result<()> {
        self.primary.close().await
    }
}

fn catching_up() -> Subject {
    let driver = Late::default();
    let behind = Arc::clone(&driver.behind);
    Subject::new(driver).with_convergence(move || {
        behind.lock().clear();
        async {}
    })
}

conformance_tests::suite!(|| async { crate::catching_up() });

#[test_support::test]
async fn readers_that_never_catch_up_fail() {
    let cases = [
        "a_removed_key_is_a_miss",
        "an_overwrite_replaces_the_whole_value",
    ];
    let report = conformance_tests::run_only(&cases, || async { Late::default() }).await;
    assert_eq!(report.failed().count(), 2, "{report}");
}
