//! A right driver whose backend is far away passes every case, and no case takes much longer than on a local backend.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use conformance_tests::{Fault, Faulty, HookError, Subject};
use driver_memory::MemoryDriver;
use session_core::{
    Driver, Entry, ErrorKind, Expiry, Key, ListOptions, ListPage, Metadata, Prefix, RemoveOptions,
    RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome, delegate_driver,
};

const TTL: Duration = Duration::from_secs(3_600);

/// How long a case may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A client of a server in memory. A request is on its way for half of the delay, and so is the answer. Closing a client
/// does not close the server.
#[derive(Debug)]
struct Client {
    server: Arc<MemoryDriver>,
    delay: Duration,
}

impl Client {
    async fn ask<T>(&self, answer: impl Future<Output = T> + Send) -> T {
        tokio::time::sleep(self.delay / 2).await;
        let answer = answer.await;
        tokio::time::sleep(self.delay / 2).await;
        answer
    }
}

#[async_trait]
impl Driver for Client {
    delegate_driver!(this => this.server, except read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, read_tracked, sync_invalidations, close);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.ask(self.server.read(key)).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.ask(self.server.write(key, value, options)).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.ask(self.server.remove(key, options)).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.ask(self.server.list(options)).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.ask(self.server.exists(key)).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.ask(self.server.metadata(key)).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.ask(self.server.touch(key, options)).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.ask(self.server.read_many(keys)).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        self.ask(self.server.write_many(writes)).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.ask(self.server.remove_many(keys)).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.ask(self.server.clear(prefix)).await
    }

    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        self.ask(self.server.read_tracked(key)).await
    }

    async fn sync_invalidations(&self) -> Result<()> {
        self.ask(self.server.sync_invalidations()).await
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

fn far_away(server: &Arc<MemoryDriver>, delay: Duration) -> Subject {
    let client = |server| Client { server, delay };
    let unreachable = Faulty::new(client(Arc::clone(server)));
    let away = Fault::before(ErrorKind::Unavailable).with_delay(delay);
    unreachable.faults().outage(away);
    let foreign = client(Arc::clone(server));
    let foreign = Arc::new(foreign);
    Subject::new(client(Arc::clone(server)))
        .with_default_ttl(TTL)
        .with_outage(unreachable)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let foreign = Arc::clone(&foreign);
            async move {
                let options = WriteOptions::default().with_expiry(Expiry::Never);
                let _unconditional = foreign.write(&key, value, options).await?;
                Ok::<(), HookError>(())
            }
        })
}

async fn assert_passes(delay: Duration) {
    let memory = Arc::new(MemoryDriver::new().with_ttl(TTL));
    let report = conformance_tests::run(move || {
        let memory = Arc::clone(&memory);
        async move { far_away(&memory, delay) }
    });
    let report = report.await;
    report.assert_passed();
    let long = report.cases.iter().filter(|report| report.took > LONGEST);
    let long: Vec<_> = long.map(|report| (report.case.name, report.took)).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 400)]
async fn a_driver_behind_20_milliseconds_passes() {
    assert_passes(Duration::from_millis(20)).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 400)]
async fn a_driver_behind_50_milliseconds_passes() {
    assert_passes(Duration::from_millis(50)).await;
}
