//! Beside writers that know nothing of this driver's columns, as unstorage does.

use std::time::Duration;

use session_core::{Driver, DriverExt, Expiry, WriteOptions, WriteOutcome};

use crate::support::{Database, key};

/// The statement of unstorage's db0 driver.
pub(crate) const CREATE: &str = "CREATE TABLE IF NOT EXISTS unstorage (
        key VARCHAR(255) NOT NULL PRIMARY KEY,
        value TEXT,
        blob BYTEA,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
      )";

fn set(column: &str, key: &str, value: &str) -> String {
    format!(
        "INSERT INTO unstorage (key, {column}, created_at, updated_at) \
         VALUES ('{key}', '{value}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) \
         ON CONFLICT(key) DO UPDATE SET {column} = '{value}', updated_at = CURRENT_TIMESTAMP"
    )
}

#[test_support::test]
async fn a_table_of_unstorage_is_completed_and_its_rows_are_read() {
    let database = Database::new();
    database.psql(CREATE);
    database.psql(&set("value", "before:text", "text"));
    database.psql(&set("blob", "before:bytes", "\\x00ff"));
    let driver = database.open().await;
    assert_eq!(driver.get("before:text").await.unwrap().unwrap(), "text");
    assert_eq!(
        driver.get("before:bytes").await.unwrap().unwrap(),
        &b"\0\xff"[..]
    );
    let name = key("before:text");
    let entry = driver.read(&name).await.unwrap().unwrap();
    let options = WriteOptions::if_version(entry.version.unwrap());
    let written = driver.write(&name, "new".into(), options);
    assert!(matches!(
        written.await.unwrap(),
        WriteOutcome::Written { .. }
    ));
}

#[test_support::test]
async fn what_the_driver_writes_stands_where_unstorage_reads_it() {
    let database = Database::new();
    let driver = database.open().await;
    driver.put("text", "täxt").await.unwrap();
    driver.put("bytes", &b"\xff\xfe"[..]).await.unwrap();
    driver.put("nul", "a\0b").await.unwrap();
    let raw = WriteOptions::default().with_raw(true);
    let _written = driver
        .write(&key("raw"), "ascii".into(), raw)
        .await
        .unwrap();
    let rows = "SELECT key, value, encode(blob, 'hex') FROM unstorage ORDER BY key";
    assert_eq!(
        database.psql(rows),
        "bytes||fffe\nnul||610062\nraw||6173636969\ntext|täxt|"
    );
    assert_eq!(driver.get("nul").await.unwrap().unwrap(), "a\0b");
    // An overwrite leaves nothing of the other kind.
    driver.put("bytes", "text").await.unwrap();
    let row = "SELECT value, blob IS NULL FROM unstorage WHERE key = 'bytes'";
    assert_eq!(database.psql(row), "text|t");
}

#[test_support::test]
async fn a_foreign_write_changes_the_version_and_clears_the_expiry() {
    let database = Database::new();
    let driver = database.open().await;
    let hour = Expiry::after(Duration::from_secs(3_600));
    let options = WriteOptions::default().with_expiry(hour);
    let _written = driver
        .write(&key("k"), "ours".into(), options)
        .await
        .unwrap();
    let ours = driver.read(&key("k")).await.unwrap().unwrap();
    assert!(ours.expires_at.is_some());
    // The same value, so that only the trigger can tell.
    database.psql(&set("value", "k", "ours"));
    let theirs = driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(theirs.expires_at, None);
    assert_ne!(theirs.version, ours.version);
    let options = WriteOptions::if_version(ours.version.unwrap());
    let refused = driver
        .write(&key("k"), "late".into(), options)
        .await
        .unwrap();
    let WriteOutcome::Conflict(current) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(current, session_core::ConflictState::Present(theirs));
}
