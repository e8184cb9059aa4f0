use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use driver_memory::MemoryDriver;
use session_core::{Driver, Expiry, Key, WriteOptions};

use crate::stores::{Store, VALUE_LENGTH};

/// The key and the value of a session, and its expiry.
pub(crate) struct Session {
    pub(crate) key: Key,
    pub(crate) value: Bytes,
    pub(crate) expiry: Expiry,
}

impl Session {
    pub(crate) fn new(session: usize) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            key: Key::new(&key_text(session)).expect("a valid key"),
            value: Bytes::from(vec![b'x'; VALUE_LENGTH]),
            expiry: Expiry::after(DAY),
        }
    }

    pub(crate) fn options(&self) -> WriteOptions {
        WriteOptions::default().with_expiry(self.expiry)
    }
}

/// Returns a session id in its stored form.
pub(crate) fn key_text(session: usize) -> String {
    format!("00000000-0000-4000-8000-{session:012}")
}

/// The name of a driver in the table.
pub(crate) trait Named: Send + Sync + 'static {
    const NAME: &'static str;
    const NOTE: &'static str;
    const IS_OURS: bool = false;
}

pub(crate) enum Memory {}

impl Named for Memory {
    const NAME: &'static str = "driver-memory, dyn Driver";
    const NOTE: &'static str =
        "the interface that sessions use; each session has an expiry; commits are conditional";
    const IS_OURS: bool = true;
}

/// The driver as an `Arc<dyn Driver>`, like sessions use it.
pub(crate) struct ByDyn<N = Memory> {
    driver: Arc<dyn Driver>,
    named: PhantomData<N>,
}

impl<N> ByDyn<N> {
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            named: PhantomData,
        }
    }
}

impl Default for ByDyn {
    fn default() -> Self {
        Self::new(Arc::new(MemoryDriver::new()))
    }
}

impl<N: Named> Store for ByDyn<N> {
    const NAME: &'static str = N::NAME;
    const NOTE: &'static str = N::NOTE;
    const IS_OURS: bool = N::IS_OURS;

    type Key = Session;

    fn key(&self, session: usize) -> Session {
        Session::new(session)
    }

    async fn read(&self, _caller: usize, session: &Session) -> usize {
        read(&*self.driver, session).await
    }

    async fn write(&self, _caller: usize, session: &Session) {
        write(&*self.driver, session).await;
    }

    async fn commit(&self, _caller: usize, session: &Session) {
        commit(&*self.driver, session).await;
    }
}

/// The trait methods on the concrete type.
#[derive(Default)]
pub(crate) struct ByAsyncTrait(MemoryDriver);

impl Store for ByAsyncTrait {
    const NAME: &'static str = "driver-memory, Driver";
    const NOTE: &'static str = "the trait methods on the concrete type";

    type Key = Session;

    fn key(&self, session: usize) -> Session {
        Session::new(session)
    }

    async fn read(&self, _caller: usize, session: &Session) -> usize {
        read(&self.0, session).await
    }

    async fn write(&self, _caller: usize, session: &Session) {
        write(&self.0, session).await;
    }

    async fn commit(&self, _caller: usize, session: &Session) {
        commit(&self.0, session).await;
    }
}

/// The methods of the driver without futures.
#[derive(Default)]
pub(crate) struct ByType(MemoryDriver);

impl Store for ByType {
    const NAME: &'static str = "driver-memory, read_now";
    const NOTE: &'static str = "the methods without futures";

    type Key = Session;

    fn key(&self, session: usize) -> Session {
        Session::new(session)
    }

    async fn read(&self, _caller: usize, session: &Session) -> usize {
        let entry = self.0.read_now(&session.key).expect("a read");
        entry.expect("a session").value.len()
    }

    async fn write(&self, _caller: usize, session: &Session) {
        let written = self
            .0
            .write_now(&session.key, session.value.clone(), session.options());
        let _outcome = black_box(written.expect("a write"));
    }

    async fn commit(&self, _caller: usize, session: &Session) {
        let entry = self.0.read_now(&session.key).expect("a read");
        let version = entry.and_then(|entry| entry.version).expect("a version");
        let options = WriteOptions::if_version(version).with_expiry(session.expiry);
        let written = self
            .0
            .write_now(&session.key, session.value.clone(), options);
        let _outcome = black_box(written.expect("a write"));
    }
}

pub(crate) async fn read<D: Driver + ?Sized>(driver: &D, session: &Session) -> usize {
    let entry = driver.read(&session.key).await.expect("a read");
    entry.expect("a session").value.len()
}

pub(crate) async fn write<D: Driver + ?Sized>(driver: &D, session: &Session) {
    let written = driver
        .write(&session.key, session.value.clone(), session.options())
        .await;
    let _outcome = black_box(written.expect("a write"));
}

pub(crate) async fn commit<D: Driver + ?Sized>(driver: &D, session: &Session) {
    let entry = driver.read(&session.key).await.expect("a read");
    let version = entry.and_then(|entry| entry.version).expect("a version");
    let options = WriteOptions::if_version(version).with_expiry(session.expiry);
    let written = driver
        .write(&session.key, session.value.clone(), options)
        .await;
    let _outcome = black_box(written.expect("a write"));
}
