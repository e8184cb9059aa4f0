//! The contract of session-core, held against this driver: on each layout, below a prefix, and through a
//! pooler.
//!
//! It is a test program of its own, so that a case that does not apply is reported as ignored.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use conformance_tests::{HookError, Subject, TestProgram};
use driver_postgres::{Layout, PostgresDriver, PostgresOptions};
use session_core::Key;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection};
use test_support::{PgBouncer, PostgresServer, free_port};

use support::PATIENCE;

#[allow(dead_code, reason = "the other test program uses the rest")]
mod support;

fn main() -> ExitCode {
    TestProgram::new()
        .with_subject("on_the_table_of_unstorage", || async {
            static DATABASE: OnceLock<String> = OnceLock::new();
            let database = database(&DATABASE);
            let options = PostgresOptions::new(PostgresServer::shared().url(database));
            let subject = on(database, options).await;
            subject.with_budget(Duration::from_millis(500))
        })
        .with_subject(
            "on_a_table_of_bytes_below_a_prefix_through_a_pooler",
            || async {
                static DATABASE: OnceLock<String> = OnceLock::new();
                static POOLER: OnceLock<PgBouncer> = OnceLock::new();
                let pooler = POOLER.get_or_init(|| PgBouncer::start(PostgresServer::shared()));
                let database = database(&DATABASE);
                let options = PostgresOptions::new(pooler.url(database))
                    .with_pooler(true)
                    .with_listen_url(PostgresServer::shared().url(database))
                    .with_layout(Layout::Bytes)
                    .with_prefix("app:100%_");
                on(database, options).await.with_budget(BRIEF)
            },
        )
        .run()
}

/// The database of a configuration, which all its cases share.
fn database(name: &'static OnceLock<String>) -> &'static str {
    name.get_or_init(|| PostgresServer::shared().create_database())
}

const TTL: Duration = Duration::from_secs(3_600);

/// How long each generated case runs on a further configuration.
const BRIEF: Duration = Duration::from_millis(250);

/// A driver whose server is nowhere.
async fn unreachable() -> PostgresDriver {
    let url = format!("postgres://postgres@127.0.0.1:{}/none", free_port());
    let pool = PgPoolOptions::new().connect_lazy(&url).unwrap();
    let options = PostgresOptions::default()
        .with_migrate(false)
        .with_timeout(Duration::from_millis(200));
    PostgresDriver::from_pool(pool, options).await.unwrap()
}

/// `setItem` or `setItemRaw` of unstorage's db0 driver, on a connection of its own.
async fn foreign_write(
    url: String,
    layout: Layout,
    key: String,
    value: Vec<u8>,
) -> Result<(), HookError> {
    let mut connection = PgConnection::connect(&url).await?;
    let column = |column: &str| {
        format!(
            "INSERT INTO unstorage (key, {column}, created_at, updated_at) \
             VALUES ($1, $2, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) \
             ON CONFLICT(key) DO UPDATE SET {column} = $2, updated_at = CURRENT_TIMESTAMP"
        )
    };
    let text = std::str::from_utf8(&value)
        .ok()
        .filter(|text| !text.contains('\0'));
    match (layout, text) {
        (Layout::Bytes, _) => {
            let sql = "INSERT INTO session_entries (key, value) VALUES ($1, $2) \
                       ON CONFLICT(key) DO UPDATE SET value = $2";
            sqlx::query(sql)
                .bind(key.as_bytes())
                .bind(value)
                .execute(&mut connection)
                .await?
        }
        (_, Some(text)) => {
            let sql = sqlx::AssertSqlSafe(column("value"));
            sqlx::query(sql)
                .bind(key)
                .bind(text)
                .execute(&mut connection)
                .await?
        }
        (_, None) => {
            let sql = sqlx::AssertSqlSafe(column("blob"));
            sqlx::query(sql)
                .bind(key)
                .bind(value)
                .execute(&mut connection)
                .await?
        }
    };
    connection.close().await?;
    Ok(())
}

/// Completes the options: some cases need expired entries that were not swept yet, and some need entries that were.
fn completed(options: PostgresOptions) -> PostgresOptions {
    options
        .with_ttl(TTL)
        .with_timeout(PATIENCE)
        .with_sweep_interval(Duration::from_millis(250))
        .with_pool_size(4)
}

async fn subject(driver: PostgresDriver, database: &str, options: &PostgresOptions) -> Subject {
    let url = PostgresServer::shared().url(database);
    let layout = options.layout;
    let prefix = options.prefix.as_ref().map(|prefix| format!("{prefix}:"));
    let prefix = prefix.unwrap_or_default();
    Subject::new(driver)
        .with_default_ttl(TTL)
        .with_outage(unreachable().await)
        .with_shared_backend()
        .with_foreign_write(move |key: Key, value| {
            let key = format!("{prefix}{}", key.as_str());
            foreign_write(url.clone(), layout, key, value.to_vec())
        })
}

async fn on(database: &str, options: PostgresOptions) -> Subject {
    let options = completed(options);
    let driver = PostgresDriver::open(options.clone()).await.unwrap();
    subject(driver, database, &options).await
}
