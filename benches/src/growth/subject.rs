use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use session_core::{Driver, DriverExt, Expiry, Key, Prefix, WriteOptions};

pub(super) const KEY_LENGTH: usize = 36;
pub(super) const VALUE_LENGTH: usize = 64;

/// A growing store with one caller.
#[async_trait]
pub(super) trait Subject: Send {
    /// Returns its current size in bytes.
    fn bytes(&self) -> i64 {
        crate::allocations::live_bytes()
    }

    /// Begins a bulk load.
    async fn begin_batch(&mut self) {}

    /// Ends a bulk load. All writes must be complete when it returns.
    async fn end_batch(&mut self) {}

    /// Writes a session with a new key and value.
    async fn write(&mut self, session: usize, end: Instant);

    async fn read(&mut self, session: usize);

    /// Lists all sessions and returns their number, or `None` if the store cannot list.
    async fn list(&mut self) -> Option<usize>;
}

/// A subject, which runs in its own process.
pub(super) struct Candidate {
    pub(super) name: &'static str,
    pub(super) is_ours: bool,
    /// Opens an empty store.
    pub(super) open: fn() -> BoxFuture<'static, Box<dyn Subject>>,
}

pub(super) fn key(session: usize) -> String {
    format!("00000000-0000-4000-8000-{session:012}")
}

pub(super) fn value() -> Bytes {
    Bytes::from(vec![b'x'; VALUE_LENGTH])
}

pub(super) fn left_until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

// Shared by all subjects on our drivers.

pub(super) async fn write(driver: &dyn Driver, session: usize, end: Instant) {
    let expiry = Expiry::after(left_until(end));
    let options = WriteOptions::default().with_expiry(expiry);
    let written = driver.write(&driver_key(session), value(), options).await;
    let _outcome = written.expect("a write");
}

pub(super) async fn read(driver: &dyn Driver, session: usize) {
    let entry = driver.read(&driver_key(session)).await;
    std::hint::black_box(entry.expect("a read"));
}

pub(super) async fn list(driver: &dyn Driver) -> usize {
    let keys = driver.keys(Prefix::root());
    let counted = keys.try_fold(0, |count, _| std::future::ready(Ok(count + 1)));
    counted.await.expect("a listing")
}

fn driver_key(session: usize) -> Key {
    Key::new(&key(session)).expect("a valid key")
}
