//! A driver of ours that is loaded by batches.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_core::{Driver, Expiry, Key, Write, WriteOptions};

use super::subject::{self, Subject, key, left_until, value};

/// The number of writes in a batch.
const BATCH: usize = 1_024;
/// Shorter than the default, so that a run does not have to wait for it.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Batched<D> {
    driver: D,
    bytes: Box<dyn Fn() -> i64 + Send + Sync>,
    batch: Vec<Write>,
    batching: bool,
}

impl<D: Driver> Batched<D> {
    /// A subject whose store has as many bytes as `bytes` returns.
    pub(super) fn new(driver: D, bytes: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            driver,
            bytes: Box::new(bytes),
            batch: Vec::new(),
            batching: false,
        }
    }

    async fn flush(&mut self) {
        for written in self
            .driver
            .write_many(std::mem::take(&mut self.batch))
            .await
        {
            let _outcome = written.expect("a write");
        }
    }
}

#[async_trait]
impl<D: Driver> Subject for Batched<D> {
    fn bytes(&self) -> i64 {
        (self.bytes)()
    }

    async fn begin_batch(&mut self) {
        self.batching = true;
    }

    async fn end_batch(&mut self) {
        self.flush().await;
        self.batching = false;
    }

    async fn write(&mut self, session: usize, end: Instant) {
        if !self.batching {
            return subject::write(&self.driver, session, end).await;
        }
        let expiry = Expiry::after(left_until(end));
        self.batch.push(
            Write::new(Key::new(&key(session)).expect("a valid key"), value())
                .with_options(WriteOptions::default().with_expiry(expiry)),
        );
        if self.batch.len() == BATCH {
            self.flush().await;
        }
    }

    async fn read(&mut self, session: usize) {
        subject::read(&self.driver, session).await;
    }

    async fn list(&mut self) -> Option<usize> {
        Some(subject::list(&self.driver).await)
    }
}
