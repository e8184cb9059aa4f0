use std::sync::Arc;

use driver_redis::{RedisDriver, RedisOptions};

use crate::stores::Store;
use crate::stores::memory::{self, ByDyn, Named, Session};

/// The driver with its defaults, as its concrete type.
pub(super) struct ByType(RedisDriver);

impl ByType {
    pub(super) async fn open(server: String) -> Self {
        Self(open(server).await)
    }
}

pub(crate) async fn open(server: String) -> RedisDriver {
    let driver = RedisDriver::open(RedisOptions::new(server)).await;
    driver.expect("a connection")
}

impl Store for ByType {
    const NAME: &'static str = "driver-redis";
    const NOTE: &'static str = "its defaults, by its own type; a read brings the remaining life, too; commits are \
                                conditional";
    const IS_OURS: bool = true;

    type Key = Session;

    fn key(&self, session: usize) -> Session {
        Session::new(session)
    }

    async fn read(&self, _caller: usize, session: &Session) -> usize {
        memory::read(&self.0, session).await
    }

    async fn write(&self, _caller: usize, session: &Session) {
        memory::write(&self.0, session).await;
    }

    async fn commit(&self, _caller: usize, session: &Session) {
        memory::commit(&self.0, session).await;
    }
}

/// The driver as an `Arc<dyn Driver>`.
pub(super) enum Dynamic {}

impl Dynamic {
    pub(super) async fn open(server: String) -> ByDyn<Self> {
        ByDyn::new(Arc::new(open(server).await))
    }
}

impl Named for Dynamic {
    const NAME: &'static str = "driver-redis, dyn Driver";
    const NOTE: &'static str = "the interface that sessions use, with the expiry";
}
