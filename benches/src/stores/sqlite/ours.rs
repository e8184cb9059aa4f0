use std::path::PathBuf;
use std::sync::Arc;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::Driver;
use tempfile::TempDir;

use crate::stores::Store;
use crate::stores::memory::{ByDyn, Session};

/// The driver with its defaults.
pub(super) struct Sqlite {
    driver: ByDyn,
    folder: TempDir,
}

const FILE: &str = "ours.db";

impl Sqlite {
    pub(super) async fn open(folder: TempDir) -> Self {
        let options = SqliteOptions::new(folder.path().join(FILE));
        let driver = SqliteDriver::open(options).await.expect("a database");
        Self {
            driver: ByDyn::new(Arc::new(driver) as Arc<dyn Driver>),
            folder,
        }
    }
}

impl Store for Sqlite {
    const NAME: &'static str = "driver-sqlite";
    const NOTE: &'static str = "its defaults, through `dyn Driver`; commits are conditional";
    const IS_OURS: bool = true;

    type Key = Session;

    fn file(&self) -> Option<(PathBuf, &'static str)> {
        Some((self.folder.path().join(FILE), driver_sqlite::DEFAULT_TABLE))
    }

    fn key(&self, session: usize) -> Session {
        self.driver.key(session)
    }

    async fn read(&self, caller: usize, session: &Session) -> usize {
        self.driver.read(caller, session).await
    }

    async fn write(&self, caller: usize, session: &Session) {
        self.driver.write(caller, session).await;
    }

    async fn commit(&self, caller: usize, session: &Session) {
        self.driver.commit(caller, session).await;
    }
}
