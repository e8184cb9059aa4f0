use std::time::{Duration, Instant};

use async_trait::async_trait;
use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{Driver, Expiry, Key, Write, WriteOptions};
use tempfile::TempDir;

use super::file_size;
use crate::growth::subject::{self, Subject, key, left_until, value};

/// The number of writes in a batch.
const BATCH: usize = 1_024;
/// Shorter than the default, so that a run does not have to wait for it.
const SWEEP_INTERVAL: Duration = Duration::from_millis(200);

pub(super) async fn open() -> Box<dyn Subject> {
    let folder = crate::stores::folder();
    let options =
        SqliteOptions::new(folder.path().join("sessions.db")).with_sweep_interval(SWEEP_INTERVAL);
    let driver = SqliteDriver::open(options).await.expect("a database");
    Box::new(Ours {
        driver,
        folder,
        batch: Vec::new(),
        batching: false,
    })
}

struct Ours {
    driver: SqliteDriver,
    folder: TempDir,
    batch: Vec<Write>,
    batching: bool,
}

impl Ours {
    async fn flush(&mut self) {
        for written in self
            .driver
            .write_many(std::mem::take(&mut self.batch))
            .await
        {
            let _outcome = written.expect("a write");
        }
    }
}

#[async_trait]
impl Subject for Ours {
    fn bytes(&self) -> i64 {
        file_size(&self.folder.path().join("sessions.db"))
    }

    async fn begin_batch(&mut self) {
        self.batching = true;
    }

    async fn end_batch(&mut self) {
        self.flush().await;
        self.batching = false;
    }

    async fn write(&mut self, session: usize, end: Instant) {
        if !self.batching {
            return subject::write(&self.driver, session, end).await;
        }
        let expiry = Expiry::after(left_until(end));
        self.batch.push(
            Write::new(Key::new(&key(session)).expect("a valid key"), value())
                .with_options(WriteOptions::default().with_expiry(expiry)),
        );
        if self.batch.len() == BATCH {
            self.flush().await;
        }
    }

    async fn read(&mut self, session: usize) {
        subject::read(&self.driver, session).await;
    }

    async fn list(&mut self) -> Option<usize> {
        Some(subject::list(&self.driver).await)
    }
}
