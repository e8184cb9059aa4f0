//! Whole requests to an application with sessions, as operations of a store.

use axum::Router;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::Store;
use crate::sessions::app::AxumApp;
use crate::sessions::routes::Handle;

/// An application with sessions on a server.
pub(crate) trait Application: Send + Sync + 'static {
    const NAME: &'static str;
    const NOTE: &'static str;
    const IS_OURS: bool = false;

    /// Creates the application on the server with this URL.
    fn open(server: &str) -> impl Future<Output = Router> + Send;
}

/// A client of the application.
pub(super) struct Requests<A> {
    app: AxumApp,
    application: std::marker::PhantomData<A>,
}

impl<A: Application> Requests<A> {
    pub(super) async fn open(server: String) -> Self {
        Self {
            app: AxumApp::new(A::open(&server).await),
            application: std::marker::PhantomData,
        }
    }

    async fn call(&self, path: &str, cookies: &OnceCell<String>) {
        let answer = self
            .app
            .answer(path, cookies.get().map(String::as_str))
            .await;
        assert!(answer.success, "{} must respond", A::NAME);
    }
}

impl<A: Application> Store for Requests<A> {
    const NAME: &'static str = A::NAME;
    const NOTE: &'static str = A::NOTE;
    const IS_OURS: bool = A::IS_OURS;

    /// The cookies of the session, after it is created.
    type Key = OnceCell<String>;

    fn key(&self, _session: usize) -> Self::Key {
        OnceCell::new()
    }

    async fn read(&self, _caller: usize, cookies: &Self::Key) -> usize {
        self.call("/long/read", cookies).await;
        0
    }

    /// Creates the session.
    async fn write(&self, _caller: usize, cookies: &Self::Key) {
        let begun = cookies.get_or_init(|| async {
            let answer = self.app.answer("/long/write", None).await;
            answer.cookies.expect("a new session has a cookie")
        });
        begun.await;
    }

    async fn commit(&self, _caller: usize, cookies: &Self::Key) {
        self.call("/long/write", cookies).await;
    }
}

impl Handle for tower_sessions_014::Session {
    async fn get<T: DeserializeOwned + Send>(&self, name: &'static str) -> Option<T> {
        tower_sessions_014::Session::get(self, name)
            .await
            .expect("a readable value")
    }

    async fn set<T: Serialize + Send + Sync>(&self, name: &str, value: &T) {
        let inserted = self.insert(name, value).await;
        inserted.expect("a value that can be stored");
    }

    async fn destroy(&self) {
        self.flush().await.expect("a session that can end");
    }
}
