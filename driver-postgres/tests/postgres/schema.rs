//! How the table is created and completed.

use std::sync::Arc;

use driver_postgres::{Layout, PostgresDriver};
use futures_util::future::join_all;
use session_core::{DriverExt, ErrorKind};

use crate::support::Database;

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_that_open_at_once_create_one_table() {
    let database = Arc::new(Database::new());
    let opening = (0..12).map(|_| {
        let database = Arc::clone(&database);
        tokio::spawn(async move { database.open().await })
    });
    for driver in join_all(opening).await {
        driver.unwrap().put("k", "v").await.unwrap();
    }
    assert_eq!(database.psql("SELECT count(*) FROM unstorage"), "1");
}

#[test_support::test]
async fn a_complete_table_is_not_touched_again() {
    let database = Database::new();
    database.open().await;
    let state = "SELECT string_agg(xmin::text || oid, ',' ORDER BY oid) FROM pg_trigger \
                 WHERE tgrelid = 'unstorage'::regclass";
    let before = database.psql(state);
    database.open().await;
    assert_eq!(database.psql(state), before);
    // Nor is what is there when something else is missing.
    database.psql("DROP INDEX unstorage_expires_at");
    database.open().await;
    assert_eq!(database.psql(state), before);
}

#[test_support::test]
async fn the_printed_statements_are_those_of_the_migration() {
    for layout in [Layout::Unstorage, Layout::Bytes] {
        let database = Database::new();
        database.psql("CREATE SCHEMA app");
        let options = database.options().with_layout(layout);
        let options = options.with_table("app.sessions");
        let by_hand = options.clone().with_migrate(false);
        let missing = PostgresDriver::open(by_hand.clone()).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::InvalidConfig);
        assert!(missing.to_string().contains("schema_sql"), "{missing}");
        let sql = options.schema_sql().unwrap();
        database.psql(&sql);
        // They can be run again.
        database.psql(&sql);
        let driver = PostgresDriver::open(by_hand).await.unwrap();
        driver.put("k", "v").await.unwrap();
        assert_eq!(database.psql("SELECT count(*) FROM app.sessions"), "1");
    }
}

#[test_support::test]
async fn another_table_is_refused_and_left_alone() {
    for (table, named) in [
        ("CREATE TABLE unstorage (id int)", "no column `key`"),
        (
            "CREATE TABLE unstorage (key int PRIMARY KEY, value text, blob bytea, created_at timestamp, updated_at timestamp)",
            "of type integer",
        ),
        (
            "CREATE TABLE unstorage (key text, value text, blob bytea, created_at timestamp, updated_at timestamp)",
            "primary key",
        ),
        (
            "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             CREATE TABLE unstorage (key text COLLATE blind PRIMARY KEY, value text, blob bytea, created_at timestamp, \
             updated_at timestamp)",
            "collation",
        ),
    ] {
        let database = Database::new();
        database.psql(table);
        let error = PostgresDriver::open(database.options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains(named), "{error}");
        let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'unstorage'::regclass AND attname = 'revision'";
        assert_eq!(database.psql(columns), "0");
    }
}
