use std::sync::Arc;

use ::axum_session::SessionConfig;
use axum::Router;
use axum_session_redispool::SessionRedisPool;
use redis_pool::RedisPool;
use serde::Serialize;
use serde::de::DeserializeOwned;
use session_tower::{Session, SessionLayer};
use time::Duration;
use tower_sessions_014::SessionManagerLayer;
use tower_sessions_redis_store::RedisStore;

use super::Application;
use crate::sessions::peers::{OURS, axum_session};
use crate::sessions::routes::{self, Handle};
use crate::stores::redis::{fred, ours};

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
