use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{self, SessionStore};
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use super::{Backing, IDENTITY, Operations, Peer, TOWER_SESSIONS};
use crate::sessions::app::AxumApp;
use crate::sessions::routes::{self, Handle};

pub(super) fn peer(backing: Backing) -> Peer {
    let operations = (backing == Backing::Counting).then(Operations::default);
    let routes = routes::app::<Session>();
    let app = match &operations {
        None => routes.layer(SessionManagerLayer::new(MemoryStore::default())),
        Some(operations) => routes.layer(SessionManagerLayer::new(CountingStore {
            inner: MemoryStore::default(),
            operations: operations.clone(),
        })),
    };
    Peer {
        name: TOWER_SESSIONS,
        note: "`SessionManagerLayer` over its `MemoryStore`, defaults; the cookie contains the plain id",
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
        let inserted = self.insert(name, value).await;
        inserted.expect("a value that can be stored");
    }

    async fn destroy(&self) {
        self.flush().await.expect("a session that can end");
    }
}

#[derive(Clone, Debug)]
struct CountingStore {
    inner: MemoryStore,
    operations: Operations,
}

#[async_trait]
impl SessionStore for CountingStore {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        self.operations.add_one();
        self.inner.create(record).await
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        self.operations.add_one();
        self.inner.save(record).await
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        self.operations.add_one();
        self.inner.load(id).await
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.operations.add_one();
        self.inner.delete(id).await
    }
}
