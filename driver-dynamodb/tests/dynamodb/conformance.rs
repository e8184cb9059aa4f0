//! The contract of session-core, held against this driver on both servers: with a base and without, with other names,
//! with reads that may be older.
//!
//! It is a test program of its own, so that a case that does not apply is reported as ignored.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use conformance_tests::{Subject, TestProgram};
use driver_dynamodb::{AttributeNames, DynamoDbOptions};
use session_core::Prefix;
use support::{DYNALITE, MINISTACK, binary, client, open, options, put, text};

#[allow(dead_code, reason = "the other test program uses the rest")]
mod support;

static ON_DYNALITE: LazyLock<DynamoDbOptions> = LazyLock::new(|| options(&DYNALITE.url()));
static ON_MINISTACK: LazyLock<DynamoDbOptions> = LazyLock::new(|| options(&MINISTACK.url()));
static WITH_OTHER_NAMES: LazyLock<DynamoDbOptions> = LazyLock::new(|| {
    let names = AttributeNames::default()
        .with_key("Id")
        .with_value("the data")
        .with_expires_at("ttl");
    options(&MINISTACK.url())
        .with_prefix("app:sessions")
        .with_consistent_read(false)
        .with_attributes(names)
});

fn main() -> ExitCode {
    TestProgram::new()
        .with_subject("on_dynalite", || on(ON_DYNALITE.clone()))
        .with_subject("on_ministack", || also_on(ON_MINISTACK.clone()))
        .with_subject("with_a_prefix_with_other_names", || {
            also_on(WITH_OTHER_NAMES.clone())
        })
        .run()
}

/// How long each generated case runs on a further configuration.
const BRIEF: Duration = Duration::from_millis(500);

const TTL: Duration = Duration::from_secs(3_600);

/// The driver by `options`, which are the same for all of its cases.
async fn on(options: DynamoDbOptions) -> Subject {
    let options = options.with_ttl(TTL);
    let url = options.endpoint_url.clone().unwrap();
    let (table, names) = (options.table.clone(), options.attributes.clone());
    let base = Prefix::new(options.prefix.as_deref().unwrap_or_default()).unwrap();
    let nobody = format!("http://127.0.0.1:{}", test_support::free_port());
    let outage = options
        .clone()
        .with_endpoint_url(nobody)
        .with_create_table(false);
    Subject::new(open(options).await)
        .with_default_ttl(TTL)
        .with_clocks_of_clients()
        .with_outage(open(outage).await)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let (client, table, names) = (client(&url), table.clone(), names.clone());
            let key = text(base.join(&key).as_str());
            async move {
                let value = match std::str::from_utf8(&value) {
                    Ok(value) => text(value),
                    Err(_) => binary(&value),
                };
                put(&client, &table, &[(&names.key, key), (&names.value, value)]).await;
                Ok(())
            }
        })
}

/// A further server or configuration, for which the generated cases need not run as long.
async fn also_on(options: DynamoDbOptions) -> Subject {
    on(options).await.with_budget(BRIEF)
}
