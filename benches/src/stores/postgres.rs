//! Whole requests with sessions on PostgreSQL.

use axum::Router;
use driver_postgres::{PostgresDriver, PostgresOptions};
use session_core::decorators::{NearCache, NearCacheOptions};
use session_tower::{Session, SessionLayer};
use sqlx_08::PgPool;
use test_support::PostgresServer;
use tower_sessions_014::SessionManagerLayer;
use tower_sessions_sqlx_store::PostgresStore;

use super::contender::{Contender, Operation, filled};
use super::requests::{Application, Requests};
use super::{Backend, CALLERS, Location, Server};
use crate::sessions::peers::OURS;
use crate::sessions::routes;

pub(crate) const TITLE: &str = "requests: postgres";

pub(crate) const CACHED: &str = "session-kit, near-cache";
pub(crate) const TOWER: &str = "tower-sessions 0.14";

pub(super) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "whole requests to an application of axum, without a network in front of it, by sessions with one value on \
           one server of PostgreSQL whose commits are durable; read + commit is a request that reads the value and \
           sets another",
    location: Location::Server(server),
    operations: &[Operation::Read, Operation::Commit],
    callers: &CALLERS,
    contenders: &[
        Contender::at::<Requests<Ours>>(|server| {
            Box::pin(async move { filled(Requests::<Ours>::open(server).await).await })
        }),
        Contender::at::<Requests<Cached>>(|server| {
            Box::pin(async move { filled(Requests::<Cached>::open(server).await).await })
        }),
        Contender::at::<Requests<Tower>>(|server| {
            Box::pin(async move { filled(Requests::<Tower>::open(server).await).await })
        }),
    ],
};

fn server() -> Server {
    let server = durable();
    Server::new(server.url("postgres"), server)
}

/// A server that loses no commit in a power failure, as servers are by default.
pub(crate) fn durable() -> PostgresServer {
    let settings = [
        "fsync=on",
        "synchronous_commit=on",
        "full_page_writes=on",
        "shared_buffers=256MB",
    ];
    PostgresServer::start_with(&settings)
}

async fn driver(server: &str, table: &str) -> PostgresDriver {
    let options = PostgresOptions::new(server).with_table(table);
    let opened = PostgresDriver::open(options).await;
    opened.expect("a table of PostgreSQL")
}

struct Ours;

impl Application for Ours {
    const NAME: &'static str = OURS;
    const NOTE: &'static str =
        "`SessionLayer` over `driver-postgres`, defaults; commits are conditional";
    const IS_OURS: bool = true;

    async fn open(server: &str) -> Router {
        let driver = driver(server, "unstorage").await;
        routes::app::<Session>().layer(SessionLayer::new(driver))
    }
}

struct Cached;

impl Application for Cached {
    const NAME: &'static str = CACHED;
    const NOTE: &'static str = "the same with `near_cache = true`, on a table of its own, whose every change notifies: \
                                no read is older than 1 s";
    const IS_OURS: bool = true;

    async fn open(server: &str) -> Router {
        let driver = driver(server, "cached").await;
        let cached = NearCache::new(driver, NearCacheOptions::default()).await;
        routes::app::<Session>().layer(SessionLayer::new(cached.expect("notifications")))
    }
}

struct Tower;

impl Application for Tower {
    const NAME: &'static str = TOWER;
    const NOTE: &'static str = "`SessionManagerLayer` over `PostgresStore` of tower-sessions-sqlx-store 0.15, defaults; \
                                there is none for tower-sessions 0.15; commits are not conditional";

    async fn open(server: &str) -> Router {
        let store = PostgresStore::new(PgPool::connect(server).await.expect("a server"));
        store.migrate().await.expect("a table of PostgreSQL");
        routes::app::<tower_sessions_014::Session>().layer(SessionManagerLayer::new(store))
    }
}
