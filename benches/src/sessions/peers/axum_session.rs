use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum_session::{
    DatabaseError, DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool,
    SessionStore,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Backing, IDENTITY, Operations, Peer};
use crate::sessions::app::AxumApp;
use crate::sessions::routes::{self, Handle};

pub(super) async fn peer(backing: Backing) -> Peer {
    let operations = (backing == Backing::Counting).then(Operations::default);
    let app = match &operations {
        None => app::<SessionNullPool>(None).await,
        Some(operations) => {
            let pool = CountingPool {
                records: Arc::default(),
                operations: operations.clone(),
            };
            app(Some(pool)).await
        }
    };
    Peer {
        name: "axum_session 0.22",
        note: "in its own memory, defaults (it makes a session for each visitor), but without binding to the \
               address, as the others; the cookie contains the plain id. Its memory counts and not the \
               store: it reads that once an hour, and sees nothing of what other processes write",
        app: Box::new(AxumApp::new(app)),
        below: Some(IDENTITY),
        operations,
    }
}

async fn app<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static>(
    pool: Option<P>,
) -> Router {
    app_with(pool, SessionConfig::default()).await
}

/// Returns an application on `pool`, without binding sessions to addresses.
pub(crate) async fn app_with<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static>(
    pool: Option<P>,
    config: SessionConfig,
) -> Router {
    let config = config.with_ip_and_user_agent(false);
    let store = SessionStore::<P>::new(pool, config).await;
    let layer = SessionLayer::new(store.expect("a valid configuration"));
    routes::app::<Session<P>>().layer(layer)
}

impl<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static> Handle for Session<P> {
    /// One request may remove a session from memory while another uses it.
    const MAY_MISS: bool = true;

    async fn get<T: DeserializeOwned + Send>(&self, name: &'static str) -> Option<T> {
        Session::get(self, name)
    }

    async fn set<T: Serialize + Send + Sync>(&self, name: &str, value: &T) {
        Session::set(self, name, value);
    }

    async fn destroy(&self) {
        Session::destroy(self);
    }
}

/// Opens an in-memory database.
#[derive(Clone, Debug)]
struct CountingPool {
    records: Arc<Mutex<HashMap<String, String>>>,
    operations: Operations,
}

impl CountingPool {
    fn records(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.operations.add_one();
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DatabasePool for CountingPool {
    async fn initiate(&self, _table: &str) -> Result<(), DatabaseError> {
        Ok(())
    }

    async fn count(&self, _table: &str) -> Result<i64, DatabaseError> {
        Ok(i64::try_from(self.records().len()).unwrap_or(i64::MAX))
    }

    async fn store(
        &self,
        id: &str,
        session: &str,
        _expires: i64,
        _table: &str,
    ) -> Result<(), DatabaseError> {
        self.records().insert(id.to_owned(), session.to_owned());
        Ok(())
    }

    async fn load(&self, id: &str, _table: &str) -> Result<Option<String>, DatabaseError> {
        Ok(self.records().get(id).cloned())
    }

    async fn delete_one_by_id(&self, id: &str, _table: &str) -> Result<(), DatabaseError> {
        self.records().remove(id);
        Ok(())
    }

    async fn exists(&self, id: &str, _table: &str) -> Result<bool, DatabaseError> {
        Ok(self.records().contains_key(id))
    }

    async fn delete_by_expiry(&self, _table: &str) -> Result<Vec<String>, DatabaseError> {
        Ok(Vec::new())
    }

    async fn delete_all(&self, _table: &str) -> Result<(), DatabaseError> {
        self.records().clear();
        Ok(())
    }

    async fn get_ids(&self, _table: &str) -> Result<Vec<String>, DatabaseError> {
        Ok(self.records().keys().cloned().collect())
    }

    fn auto_handles_expiry(&self) -> bool {
        false
    }
}
