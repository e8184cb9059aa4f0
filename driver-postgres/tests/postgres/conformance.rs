//! The contract of session-core, held against this driver: on each layout, below a prefix, and through a
//! pooler.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;
use std::time::Duration;

use conformance_tests::{HookError, Subject};
use driver_postgres::{Layout, PostgresDriver, PostgresOptions};
use session_core::Key;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection};
use test_support::{PgBouncer, PostgresServer, free_port};

use crate::support::PATIENCE;

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

/// A database for the cases of one configuration.
macro_rules! database {
    () => {{
        static NAME: LazyLock<String> =
            LazyLock::new(|| PostgresServer::shared().create_database());
        NAME.as_str()
    }};
}

fn unstorage() -> &'static str {
    database!()
}

mod on_the_table_of_unstorage {
    use driver_postgres::PostgresOptions;
    use test_support::PostgresServer;

    conformance_tests::suite!(|| {
        let database = super::unstorage();
        let options = PostgresOptions::new(PostgresServer::shared().url(database));
        async move {
            let subject = super::on(database, options).await;
            subject.with_budget(std::time::Duration::from_millis(500))
        }
    });
}

fn pooled() -> &'static str {
    database!()
}

fn pooler() -> &'static PgBouncer {
    static POOLER: LazyLock<PgBouncer> =
        LazyLock::new(|| PgBouncer::start(PostgresServer::shared()));
    &POOLER
}

mod on_a_table_of_bytes_below_a_prefix_through_a_pooler {
    use driver_postgres::{Layout, PostgresOptions};

    conformance_tests::suite!(|| async {
        let database = super::pooled();
        let options = PostgresOptions::new(super::pooler().url(database))
            .with_pooler(true)
            .with_layout(Layout::Bytes)
            .with_prefix("app:100%_");
        super::on(database, options).await.with_budget(super::BRIEF)
    });
}
