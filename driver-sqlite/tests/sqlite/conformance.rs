//! The contract of session-core, held against this driver: on a file, in memory, and below a prefix.
//!
//! It is a test program of its own, so that a case that does not apply is reported as ignored.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use conformance_tests::{HookError, Subject, TestProgram};
use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::Key;
use tempfile::TempDir;

#[allow(dead_code, reason = "the other test program uses the rest")]
mod support;

fn main() -> ExitCode {
    let (file, prefixed) = (new_folder(), new_folder());
    TestProgram::new()
        .with_subject("on_a_file", move || on(Arc::clone(&file), None))
        .with_subject("below_a_prefix", move || {
            on(Arc::clone(&prefixed), Some("app:sessions"))
        })
        .with_subject("in_memory", || async {
            let driver = SqliteDriver::open(SqliteOptions::new(":memory:")).await;
            driver.unwrap()
        })
        .run()
}

fn new_folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

const TTL: Duration = Duration::from_secs(3_600);

/// `setItem` or `setItemRaw` of unstorage's db0 driver, on a connection of its own.
async fn foreign_write(path: PathBuf, key: Key, value: Bytes) -> Result<(), HookError> {
    let mut connection = support::connect(&path).await;
    let upsert = |column: &str| {
        format!(
            "INSERT INTO unstorage (key, {column}, created_at, updated_at) \
             VALUES (?1, ?2, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) \
             ON CONFLICT(key) DO UPDATE SET {column} = ?2, updated_at = CURRENT_TIMESTAMP"
        )
    };
    let written = match std::str::from_utf8(&value) {
        Ok(text) => {
            let query = sqlx::query(sqlx::AssertSqlSafe(upsert("value")));
            query
                .bind(key.as_str())
                .bind(text)
                .execute(&mut connection)
                .await
        }
        Err(_) => {
            let query = sqlx::query(sqlx::AssertSqlSafe(upsert("blob")));
            query
                .bind(key.as_str())
                .bind(&*value)
                .execute(&mut connection)
                .await
        }
    };
    written?;
    Ok(())
}

/// A driver whose table was taken away, so that nothing works.
async fn without_its_table(folder: &TempDir) -> SqliteDriver {
    let folder = tempfile::tempdir_in(folder.path()).unwrap().keep();
    let path = folder.join("broken.db");
    let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();
    support::run(
        &mut support::connect(&path).await,
        "DROP TABLE IF EXISTS unstorage",
    )
    .await;
    driver
}

async fn on(folder: Arc<TempDir>, prefix: Option<&str>) -> Subject {
    let path = folder.path().join("test.db");
    // Some cases need expired entries that were not swept yet, and some need entries that were.
    let mut options = SqliteOptions::new(&path)
        .with_ttl(TTL)
        .with_sweep_interval(Duration::from_millis(250));
    options.prefix = prefix.map(str::to_owned);
    let driver = SqliteDriver::open(options).await.unwrap();
    let outage = without_its_table(&folder).await;
    let prefix = prefix
        .map(|prefix| format!("{prefix}:"))
        .unwrap_or_default();
    Subject::new(driver)
        .with_default_ttl(TTL)
        // Readers do not wait for a change. One that looks before the commit, and after the expiry, finds the old entry
        // expired, although the change began in time.
        .with_clocks_of_clients()
        .with_outage(outage)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            // The folder lives as long as the subject.
            let path = folder.path().join("test.db");
            let key = Key::new(&format!("{prefix}{}", key.as_str())).unwrap();
            foreign_write(path, key, value)
        })
}
