use fred::clients::Client;
use time::OffsetDateTime;
use tower_sessions_014::session::{Id, Record};
use tower_sessions_014::session_store::SessionStore as _;
use tower_sessions_redis_store::RedisStore;

use super::fred::connect;
use crate::stores::{Store, VALUE_LENGTH};

/// The store of tower-sessions 0.14 on fred.
pub(super) struct TowerRedis(RedisStore<Client>);

impl TowerRedis {
    pub(super) async fn open(server: String) -> Self {
        Self(RedisStore::new(connect(&server).await))
    }
}

impl Store for TowerRedis {
    const NAME: &'static str = "tower-sessions RedisStore";
    const NOTE: &'static str = "0.16, on tower-sessions 0.14 and fred 10, by one connection; records of one text in \
                                MessagePack; commits are not conditional";

    type Key = Record;

    fn key(&self, session: usize) -> Record {
        let value = serde_json::Value::from("x".repeat(VALUE_LENGTH));
        Record {
            id: Id(i128::try_from(session).unwrap_or(i128::MAX)),
            data: std::iter::once(("value".to_owned(), value)).collect(),
            expiry_date: OffsetDateTime::now_utc() + time::Duration::days(1),
        }
    }

    async fn read(&self, _caller: usize, session: &Record) -> usize {
        let record = self.0.load(&session.id).await.expect("a read");
        record.expect("a session").data.len()
    }

    async fn write(&self, _caller: usize, session: &Record) {
        // This store fails to save a missing session.
        if self.0.save(session).await.is_err() {
            let created = self.0.create(&mut session.clone()).await;
            created.expect("a write");
        }
    }

    async fn commit(&self, _caller: usize, session: &Record) {
        let record = self.0.load(&session.id).await.expect("a read");
        let saved = self.0.save(&record.expect("a session")).await;
        saved.expect("a write");
    }
}
