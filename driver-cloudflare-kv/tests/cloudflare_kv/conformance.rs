//! The contract of session-core, held against this driver: by the REST API, below a base, by miniflare's explorer.
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
use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use serde_json::json;
use session_core::{Bytes, Key, RetryPolicy};
use support::Namespace;
use test_support::free_port;

#[allow(dead_code, reason = "the other test program uses the rest")]
mod support;

static BY_THE_REST_API: LazyLock<Namespace> = LazyLock::new(Namespace::new);
static WITH_A_PREFIX: LazyLock<Namespace> = LazyLock::new(Namespace::new);
static BY_THE_EXPLORER: LazyLock<Namespace> = LazyLock::new(Namespace::new);

fn main() -> ExitCode {
    TestProgram::new()
        .with_subject("by_the_rest_api", || {
            on(&BY_THE_REST_API, BY_THE_REST_API.options())
        })
        .with_subject("with_a_prefix", || {
            let options = WITH_A_PREFIX.options().with_prefix("app:sessions");
            also_on(&WITH_A_PREFIX, options)
        })
        .with_subject("by_the_explorer", || {
            also_on(&BY_THE_EXPLORER, BY_THE_EXPLORER.explorer_options())
        })
        .run()
}

/// How long each generated case runs. The server takes some milliseconds for each operation.
const BUDGET: Duration = Duration::from_secs(1);

/// The same on a further configuration.
const BRIEF: Duration = Duration::from_millis(200);

const TTL: Duration = Duration::from_secs(3_600);

/// A driver whose server nobody runs.
fn unreachable(options: CloudflareKvOptions) -> CloudflareKvDriver {
    let options = options
        .with_api_url(format!("http://127.0.0.1:{}", free_port()))
        .with_retry(RetryPolicy::never());
    CloudflareKvDriver::open(options).unwrap()
}

/// A driver with `options`, on a namespace that other cases use too.
async fn on(namespace: &'static Namespace, options: CloudflareKvOptions) -> Subject {
    let base = options.prefix.as_deref().map(|prefix| format!("{prefix}:"));
    let base = base.unwrap_or_default();
    let options = options.with_ttl(TTL);
    Subject::new(CloudflareKvDriver::open(options.clone()).unwrap())
        .with_budget(BUDGET)
        .with_default_ttl(TTL)
        .with_shared_backend()
        .with_outage(unreachable(options))
        .with_foreign_write(move |key: Key, value: Bytes| {
            let key = format!("{base}{}", key.as_str());
            async move {
                namespace.witness("put", json!([key, value.to_vec()])).await;
                Ok(())
            }
        })
}

/// A further configuration, for which the generated cases need not run as long.
async fn also_on(namespace: &'static Namespace, options: CloudflareKvOptions) -> Subject {
    on(namespace, options).await.with_budget(BRIEF)
}
