//! The contract of session-core, held against this driver on the gateway.
//!
//! It is a test program of its own, so that a case that does not apply is reported as ignored.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use conformance_tests::{HookError, Subject, TestProgram};
use driver_upstash::{UpstashDriver, UpstashOptions};
use session_core::{Bytes, Key, RetryPolicy};
use support::Gateway;
use test_support::free_port;

#[allow(dead_code, reason = "the other test program uses the rest")]
mod support;

fn main() -> ExitCode {
    TestProgram::new()
        .with_subject("on_the_whole_database", || on(None, |_| {}))
        .with_subject("with_a_prefix", || async {
            on(Some("app:sessions"), |_| {}).await.with_budget(BRIEF)
        })
        .with_subject("with_read_regions", || async {
            let subject = on(Some("regions"), |options| {
                options.read_regions = true;
                options.scan_count = Some(10);
            });
            subject.await.with_budget(BRIEF)
        })
        .run()
}

/// How long each generated case runs on a further configuration.
const BRIEF: Duration = Duration::from_millis(500);

const TTL: Duration = Duration::from_secs(3_600);

fn gateway() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(Gateway::start)
}

/// `SET` by a program of others, straight on the Redis behind.
async fn foreign_write(key: String, value: Bytes) -> Result<(), HookError> {
    let text = match std::str::from_utf8(&value) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", STANDARD.encode(&value)),
    };
    let set = move || gateway().redis().cli(&["SET", &key, &text]);
    let answer = tokio::task::spawn_blocking(set).await?;
    assert_eq!(answer, "OK");
    Ok(())
}

async fn on(base: Option<&'static str>, change: fn(&mut UpstashOptions)) -> Subject {
    let mut options = gateway().options().with_ttl(TTL);
    options.prefix = base.map(str::to_owned);
    change(&mut options);
    let unreachable = options
        .clone()
        .with_url(format!("http://127.0.0.1:{}", free_port()))
        .with_retry(RetryPolicy::never());
    let base = base.map(|base| format!("{base}:")).unwrap_or_default();
    let whole = move |key: &Key| format!("{base}{}", key.as_str());
    Subject::new(UpstashDriver::open(options).await.unwrap())
        .with_default_ttl(TTL)
        .with_outage(UpstashDriver::open(unreachable).await.unwrap())
        .with_shared_backend()
        .with_foreign_write(move |key, value| foreign_write(whole(&key), value))
}
