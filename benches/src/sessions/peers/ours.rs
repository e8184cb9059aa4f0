use std::sync::Arc;

use driver_memory::MemoryDriver;
use serde::Serialize;
use serde::de::DeserializeOwned;
use session_core::{
    Bytes, Capabilities, Driver, Entry, Key, ListOptions, ListPage, RemoveOptions, RemoveOutcome,
    Result, TouchOptions, WriteOptions, WriteOutcome, async_trait,
};
use session_tower::{Session, SessionLayer};

use super::{Backing, IDENTITY, OURS, Operations, Peer};
use crate::sessions::app::AxumApp;
use crate::sessions::routes::{self, Handle, SMALL, WAIT};

pub(super) fn peer(backing: Backing) -> Peer {
    let operations = (backing == Backing::Counting).then(Operations::default);
    let driver: Arc<dyn Driver> = match &operations {
        None => Arc::new(MemoryDriver::new()),
        Some(operations) => Arc::new(CountingDriver {
            inner: MemoryDriver::new(),
            operations: operations.clone(),
        }),
    };
    let app = routes::app::<Session>().layer(SessionLayer::new(driver));
    Peer {
        name: OURS,
        note: "`SessionLayer` over `MemoryDriver`, defaults; the cookie contains the plain id",
        app: Box::new(AxumApp::new(app)),
        below: Some(IDENTITY),
        operations,
    }
}

impl Handle for Session {
    async fn get<T: DeserializeOwned + Send>(&self, name: &'static str) -> Option<T> {
        Session::get(self, name).await.expect("a readable value")
    }

    async fn set<T: Serialize + Send + Sync>(&self, name: &str, value: &T) {
        Session::set(self, name, value).expect("a value that can be stored");
    }

    async fn destroy(&self) {
        Session::destroy(self)
            .await
            .expect("a session that can end");
    }

    async fn increment(&self) {
        let add_one = |visits: Option<u64>| visits.unwrap_or(0) + 1;
        self.update(SMALL, add_one).await.expect("a number");
        tokio::time::sleep(WAIT).await;
    }
}

struct CountingDriver {
    inner: MemoryDriver,
    operations: Operations,
}

#[async_trait]
impl Driver for CountingDriver {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.operations.add_one();
        self.inner.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.operations.add_one();
        self.inner.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.operations.add_one();
        self.inner.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.operations.add_one();
        self.inner.list(options).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.operations.add_one();
        self.inner.touch(key, options).await
    }
}
