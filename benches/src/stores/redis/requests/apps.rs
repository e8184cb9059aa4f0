use std::sync::Arc;

use ::axum_session::SessionConfig;
use axum::Router;
use axum_session_redispool::SessionRedisPool;
use redis_pool::RedisPool;
use session_core::decorators::{NearCache, NearCacheOptions};
use session_tower::{Session, SessionLayer};
use time::Duration;
use tower_sessions_014::{CachingSessionStore, SessionManagerLayer};
use tower_sessions_moka_store::MokaStore;
use tower_sessions_redis_store::RedisStore;

use crate::sessions::peers::{OURS, axum_session};
use crate::sessions::routes;
use crate::stores::redis::{fred, ours};
use crate::stores::requests::Application;

pub(super) struct Ours;

impl Application for Ours {
    const NAME: &'static str = OURS;
    const NOTE: &'static str =
        "`SessionLayer` over `driver-redis`, defaults; commits are conditional";
    const IS_OURS: bool = true;

    async fn open(server: &str) -> Router {
        let driver = ours::open(server.to_owned()).await;
        routes::app::<Session>().layer(SessionLayer::new(Arc::new(driver)))
    }
}

/// The same with a near-cache.
pub(super) struct Cached;

impl Application for Cached {
    const NAME: &'static str = "session-kit, near-cache";
    const NOTE: &'static str = "the same with `near_cache = true`: no read is older than 1 s";
    const IS_OURS: bool = true;

    async fn open(server: &str) -> Router {
        let driver = ours::open(server.to_owned()).await;
        let cached = NearCache::new(driver, NearCacheOptions::default()).await;
        let cached = cached.expect("a server that tracks");
        routes::app::<Session>().layer(SessionLayer::new(Arc::new(cached)))
    }
}

pub(super) struct Tower;

impl Application for Tower {
    const NAME: &'static str = "tower-sessions 0.14";
    const NOTE: &'static str = "`SessionManagerLayer` over `RedisStore` 0.16 on fred 10, by one connection, defaults; \
                                there is none for tower-sessions 0.15; commits are not conditional";

    async fn open(server: &str) -> Router {
        let store = RedisStore::new(fred::connect(server).await);
        routes::app::<tower_sessions_014::Session>().layer(SessionManagerLayer::new(store))
    }
}

/// The same with the cache of tower-sessions.
pub(super) struct TowerMoka;

impl Application for TowerMoka {
    const NAME: &'static str = "tower-sessions 0.14, Moka";
    const NOTE: &'static str = "the same behind `CachingSessionStore` with `MokaStore` 0.15: what another process \
                                changes is not seen while an entry is cached";

    async fn open(server: &str) -> Router {
        let store = RedisStore::new(fred::connect(server).await);
        let cached = CachingSessionStore::new(MokaStore::new(Some(100_000)), store);
        routes::app::<tower_sessions_014::Session>().layer(SessionManagerLayer::new(cached))
    }
}

pub(super) struct AxumSession;

impl Application for AxumSession {
    const NAME: &'static str = "axum_session 0.22";
    const NOTE: &'static str = "over `SessionRedisPool` 0.13, with `with_memory_lifetime(0)`, so that it reads Redis for \
                                each request as the others do and not once an hour, and then writes there for each, \
                                too; its pool lends a connection to one caller, so it has 64 of them; of two \
                                requests of one session at a time one may find it empty; without binding to the address";

    async fn open(server: &str) -> Router {
        const CONNECTIONS: usize = 64;
        let client = redis::Client::open(server).expect("a URL");
        let pool = RedisPool::new(client, CONNECTIONS, Some(CONNECTIONS));
        let config = SessionConfig::default().with_memory_lifetime(Duration::ZERO);
        axum_session::app_with(Some(SessionRedisPool::from(pool)), config).await
    }
}
