use std::time::{Duration, Instant};

use async_trait::async_trait;
use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{Driver, Expiry, Key, Write, WriteOptions};
use tempfile::TempDir;

use super::subject::{self, OpenSubject, Subject, key, left_until, value};

pub(super) const SUBJECTS: [OpenSubject; 1] = [|| Box::pin(open())];

/// How many writes are made together.
const BATCH: usize = 1_024;
/// Sooner than by default, so that a run need not wait for it.
const SWEEP_INTERVAL: Duration = Duration::from_millis(200);

async fn open() -> Box<dyn Subject> {
    let folder = crate::stores::folder();
    let options = SqliteOptions {
        sweep_interval: Some(SWEEP_INTERVAL),
        ..SqliteOptions::new(folder.path().join("sessions.db"))
    };
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
    fn name(&self) -> &'static str {
        "driver-sqlite"
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn bytes(&self) -> i64 {
        let file = self.folder.path().join("sessions.db");
        let connection = rusqlite::Connection::open(&file).expect("a database");
        // What stands in the log alone is copied into the file first.
        connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .expect("a checkpoint");
        let size = std::fs::metadata(file).expect("a file").len();
        i64::try_from(size).unwrap_or(i64::MAX)
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
        self.batch.push(Write {
            key: Key::new(&key(session)).expect("a valid key"),
            value: value(),
            options: WriteOptions::default().with_expiry(expiry),
        });
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
