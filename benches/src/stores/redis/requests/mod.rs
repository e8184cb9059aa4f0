//! Whole requests with sessions on Redis.

mod apps;
mod lost;

use axum::Router;
use tokio::sync::OnceCell;

use crate::sessions::app::AxumApp;
use crate::stores::contender::{Contender, Operation, filled};
use crate::stores::{Backend, CALLERS, Location, Store};

pub(crate) use lost::measure as lost;

use super::server;

pub(crate) const TITLE: &str = "requests: redis";
pub(crate) const VALKEY: &str = "requests: valkey";

pub(in crate::stores) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "whole requests to an application of axum, without a network in front of it, by sessions with one value on \
           one server of Redis without persistence; read + commit is a request that reads the value and sets another; \
           ours is conditional by a script",
    location: Location::Server(server::redis),
    operations: &[Operation::Read, Operation::Commit],
    callers: &CALLERS,
    contenders: &CONTENDERS,
};

/// Valkey has a native compare-and-set.
pub(in crate::stores) const ON_VALKEY: Backend = Backend {
    title: VALKEY,
    note: "the same on Valkey 9; our conditional commits use `SET … IFEQ`",
    location: Location::Server(server::valkey),
    ..BACKEND
};

const CONTENDERS: [Contender; 5] = [
    Contender::at::<Requests<apps::Ours>>(|server| {
        Box::pin(async move { filled(Requests::<apps::Ours>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::Cached>>(|server| {
        Box::pin(async move { filled(Requests::<apps::Cached>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::Tower>>(|server| {
        Box::pin(async move { filled(Requests::<apps::Tower>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::TowerMoka>>(|server| {
        Box::pin(async move { filled(Requests::<apps::TowerMoka>::open(server).await).await })
    }),
    Contender::at::<Requests<apps::AxumSession>>(|server| {
        Box::pin(async move { filled(Requests::<apps::AxumSession>::open(server).await).await })
    }),
];

/// An application with sessions on Redis.
pub(crate) trait Application: Send + Sync + 'static {
    const NAME: &'static str;
    const NOTE: &'static str;
    const IS_OURS: bool = false;

    /// Creates the application on the server with this URL.
    fn open(server: &str) -> impl Future<Output = Router> + Send;
}

/// A client of the application.
struct Requests<A> {
    app: AxumApp,
    application: std::marker::PhantomData<A>,
}

impl<A: Application> Requests<A> {
    async fn open(server: String) -> Self {
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
