//! Beside unstorage and Astro: their table, their writes, their rows.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{
    ConflictState, Driver, DriverExt, Entry, Expiry, Timestamp, WriteOptions, WriteOutcome,
};
use sqlx::SqliteConnection;

use crate::support::{Database, connect, key, run};

/// What unstorage's db0 driver runs when its table is missing.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS unstorage (
        key TEXT PRIMARY KEY,
        value TEXT,
        blob BLOB,
        created_at TEXT DEFAULT CURRENT_TIMESTAMP,
        updated_at TEXT DEFAULT CURRENT_TIMESTAMP
      );";

/// `setItem` of unstorage's db0 driver.
async fn set_item(connection: &mut SqliteConnection, name: &str, value: &str) {
    sqlx::query(
        "INSERT INTO unstorage (key, value, created_at, updated_at) \
         VALUES (?, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) \
         ON CONFLICT(key) DO UPDATE SET value = ?, updated_at = CURRENT_TIMESTAMP",
    )
    .bind(name)
    .bind(value)
    .bind(value)
    .execute(connection)
    .await
    .unwrap();
}

/// `setItemRaw` of unstorage's db0 driver.
async fn set_item_raw(connection: &mut SqliteConnection, name: &str, value: &[u8]) {
    sqlx::query(
        "INSERT INTO unstorage (key, blob, created_at, updated_at) \
         VALUES (?, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) \
         ON CONFLICT(key) DO UPDATE SET blob = ?, updated_at = CURRENT_TIMESTAMP",
    )
    .bind(name)
    .bind(value)
    .bind(value)
    .execute(connection)
    .await
    .unwrap();
}

fn far() -> WriteOptions {
    WriteOptions::default().with_expiry(Expiry::At(Timestamp::from_millis(9_000_000_000_000)))
}

async fn entry(driver: &SqliteDriver, name: &str) -> Entry {
    driver.read(&key(name)).await.unwrap().unwrap()
}

#[test_support::test]
async fn a_foreign_write_changes_the_version_and_clears_the_expiry() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut foreign = database.connect().await;
    let _written = driver.write(&key("k"), "ours".into(), far()).await.unwrap();
    let before = entry(driver, "k").await;
    assert!(before.expires_at.is_some());

    // Also where it writes the very same value.
    for value in ["ours", "equal", "eqUal"] {
        let before = entry(driver, "k").await;
        set_item(&mut foreign, "k", value).await;
        let after = entry(driver, "k").await;
        assert_eq!(after.value, value.as_bytes());
        assert_ne!(after.version, before.version);
        assert_eq!(after.expires_at, None);
        let late = WriteOptions::if_version(before.version.unwrap());
        let outcome = driver.write(&key("k"), "late".into(), late).await.unwrap();
        assert_eq!(
            outcome,
            WriteOutcome::Conflict(ConflictState::Present(after))
        );
    }
}

#[test_support::test]
async fn a_foreign_insertion_has_a_version_of_its_own() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut foreign = database.connect().await;
    set_item(&mut foreign, "k", "v").await;
    let first = entry(driver, "k").await;
    run(&mut foreign, "DELETE FROM unstorage WHERE key='k'").await;
    set_item(&mut foreign, "k", "v").await;
    let second = entry(driver, "k").await;
    assert_ne!(first.version, second.version);
    run(
        &mut foreign,
        "INSERT OR REPLACE INTO unstorage(key,value) VALUES('k','v')",
    )
    .await;
    assert_ne!(second.version, entry(driver, "k").await.version);

    let ours = WriteOptions::if_version(entry(driver, "k").await.version.unwrap());
    let outcome = driver.write(&key("k"), "ours".into(), ours).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Written { .. }));
}

#[test_support::test]
async fn a_foreign_write_revives_an_expired_entry() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut foreign = database.connect().await;
    let ended = WriteOptions::default().with_expiry(Expiry::At(Timestamp::from_millis(1)));
    let _written = driver.write(&key("k"), "old".into(), ended).await.unwrap();
    assert_eq!(driver.get("k").await.unwrap(), None);
    set_item(&mut foreign, "k", "new").await;
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "new");
}

#[test_support::test]
async fn raw_items_are_bytes_and_text_wins_if_both_are_set() {
    let database = Database::new().await;
    let driver = &database.driver;
    let mut foreign = database.connect().await;
    set_item_raw(&mut foreign, "raw", &[1, 0xff, 2]).await;
    assert_eq!(driver.get("raw").await.unwrap().unwrap(), vec![1, 0xff, 2]);

    // unstorage leaves the one where it was when it writes the other.
    set_item(&mut foreign, "raw", "text").await;
    assert_eq!(driver.get("raw").await.unwrap().unwrap(), "text");
    let before = entry(driver, "raw").await;
    set_item_raw(&mut foreign, "raw", &[3]).await;
    assert_eq!(driver.get("raw").await.unwrap().unwrap(), "text");
    assert_ne!(entry(driver, "raw").await.version, before.version);

    driver.put("raw", vec![0xfe]).await.unwrap();
    assert_eq!(driver.get("raw").await.unwrap().unwrap(), vec![0xfe]);
    let rows = database.rows("SELECT typeof(value) || typeof(blob) FROM unstorage");
    assert_eq!(rows.await, ["nullblob"]);
}

#[test_support::test]
async fn a_table_of_unstorage_is_completed_and_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut foreign = connect(&path).await;
    run(&mut foreign, CREATE).await;
    set_item(&mut foreign, "k", "old").await;
    let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();

    let old = entry(&driver, "k").await;
    assert_eq!(old.value, "old");
    let ours = WriteOptions::if_version(old.version.clone().unwrap());
    let outcome = driver
        .write(&key("k"), "ours".into(), ours.clone())
        .await
        .unwrap();
    assert!(matches!(outcome, WriteOutcome::Written { .. }));
    let outcome = driver.write(&key("k"), "again".into(), ours).await.unwrap();
    assert!(matches!(outcome, WriteOutcome::Conflict(_)));

    set_item(&mut foreign, "k", "theirs").await;
    assert_ne!(entry(&driver, "k").await.version, old.version);
    driver.close().await.unwrap();
}

#[test_support::test]
async fn the_table_is_the_one_that_unstorage_makes() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../astro-sqlite.json")).unwrap();
    let schema = vectors[0]["schema"].as_str().unwrap();
    let database = Database::new().await;
    let ours = database
        .rows("SELECT sql FROM sqlite_master WHERE name='unstorage'")
        .await;
    let without_our_columns = ours[0].replace(", expires_at INTEGER, revision INTEGER", "");
    assert_eq!(without_our_columns, schema);
    // unstorage runs this at its first operation, whoever made the table.
    run(&mut database.connect().await, CREATE).await;
}

#[test_support::test]
async fn what_astro_stored_is_read_byte_for_byte_and_written_as_it_did() {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../astro-sqlite.json")).unwrap();
    assert!(vectors.len() > 10);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let mut foreign = connect(&path).await;
    run(&mut foreign, CREATE).await;
    for vector in &vectors {
        let row = &vector["row"];
        sqlx::query("INSERT INTO unstorage VALUES(?,?,?,?,?)")
            .bind(row["key"].as_str())
            .bind(row["value"].as_str())
            .bind(row["blob"].as_str())
            .bind(row["created_at"].as_str())
            .bind(row["updated_at"].as_str())
            .execute(&mut foreign)
            .await
            .unwrap();
    }
    let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();
    for vector in &vectors {
        let row = &vector["row"];
        let (name, value) = (row["key"].as_str().unwrap(), row["value"].as_str().unwrap());
        assert_eq!(driver.get(name).await.unwrap().unwrap(), value.as_bytes());
        driver.delete(name).await.unwrap();
        driver.put(name, value.to_owned()).await.unwrap();
        let (read, kinds): (String, String) = sqlx::query_as(
            "SELECT value, typeof(key)||typeof(value)||typeof(blob)||typeof(created_at) FROM unstorage \
             WHERE key=?",
        )
        .bind(name)
        .fetch_one(&mut foreign)
        .await
        .unwrap();
        assert_eq!((read.as_str(), kinds.as_str()), (value, "texttextnulltext"));
    }
    driver.close().await.unwrap();
}

#[test_support::test]
async fn many_drivers_open_one_new_file_at_once() {
    for made_by_unstorage in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        if made_by_unstorage {
            let mut foreign = connect(&path).await;
            run(&mut foreign, CREATE).await;
        }
        let mut tasks = Vec::new();
        for index in 0..12 {
            let options = SqliteOptions::new(&path);
            tasks.push(tokio::spawn(async move {
                let driver = SqliteDriver::open(options).await.unwrap();
                driver.put(&format!("k{index}"), "v").await.unwrap();
                driver
            }));
        }
        for task in tasks {
            let driver = task.await.unwrap();
            assert!(driver.get("k0").await.unwrap().is_some());
        }
    }
}

#[test_support::test]
async fn another_table_has_a_schema_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    for table in ["unstorage", "select", "Mine_2", "key"] {
        let options = SqliteOptions::new(&path).with_table(table);
        let driver = SqliteDriver::open(options.clone()).await.unwrap();
        assert_eq!(driver.get("k").await.unwrap(), None, "{table}");
        driver.put("k", table.to_owned()).await.unwrap();
        driver.close().await.unwrap();
        let again = SqliteDriver::open(options).await.unwrap();
        assert_eq!(again.get("k").await.unwrap().unwrap(), table.as_bytes());
    }
}
