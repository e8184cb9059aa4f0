use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use session_core::{Driver, DriverExt, Expiry, Key, Prefix, WriteOptions};

pub(super) const KEY_LENGTH: usize = 36;
pub(super) const VALUE_LENGTH: usize = 64;

/// A store that grows, used by one caller.
#[async_trait]
pub(super) trait Subject: Send {
    /// The bytes that it takes now, by a measure of its own.
    fn bytes(&self) -> i64 {
        crate::allocations::live_bytes()
    }

    /// Called before many writes of which nobody waits for any single one.
    async fn begin_batch(&mut self) {}

    /// Called after them: all of them must have been made.
    async fn end_batch(&mut self) {}

    /// Writes a session of a fresh key and a fresh value.
    async fn write(&mut self, session: usize, end: Instant);

    async fn read(&mut self, session: usize);

    /// Lists all sessions and says how many there are; `None` if it cannot.
    async fn list(&mut self) -> Option<usize>;
}

/// What grows, in a process of its own.
pub(super) struct Candidate {
    pub(super) name: &'static str,
    pub(super) is_ours: bool,
    /// Opens an empty one.
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

// What the subjects of ours have in common, over any driver.

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
