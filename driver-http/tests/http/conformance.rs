//! The contract of session-core, held against this driver on unstorage's own server of both versions, over Redis, which
//! heeds a time to live, and on the server of this project.
//!
//! It is a test program of its own, so that a case that does not apply is reported as ignored.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use conformance_tests::{HookError, Subject, TestProgram};
use driver_http::{Dialect, HttpDriver, HttpOptions};
use session_core::{Bytes, DriverExt, Key, RetryPolicy};
use storage_server::{StorageServer, over_memory, over_sqlite};
use support::Unstorage;
use test_support::{RedisServer, free_port};

mod storage_server;
#[allow(dead_code, reason = "the other test program uses the rest")]
mod support;

fn main() -> ExitCode {
    TestProgram::new()
        .with_subject("on_version_1", || async { on(&servers().v1, None) })
        .with_subject("on_version_2", || async {
            on(&servers().v2, None).with_budget(BRIEF)
        })
        .with_subject("below_a_prefix", || async {
            on(&servers().v1, Some("app:sessions")).with_budget(BRIEF)
        })
        .with_subject("on_session_server_over_memory", || async {
            on_session_server(over_memory(), None)
        })
        .with_subject("on_session_server_over_sqlite", || async {
            on_session_server(over_sqlite(), Some("app:sessions")).with_budget(BRIEF)
        })
        .run()
}

/// How long each generated case runs on a further configuration.
const BRIEF: Duration = Duration::from_millis(500);

const TTL: Duration = Duration::from_secs(3_600);

/// Enough time for large batches on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both versions over one Redis, each below a base of its own, since they write raw bytes in different ways.
struct Servers {
    v1: Unstorage,
    v2: Unstorage,
    _redis: RedisServer,
}

fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let redis = RedisServer::start();
        Servers {
            v1: Unstorage::start(Dialect::V1, &["redis", &redis.url()]),
            v2: Unstorage::start(Dialect::V2, &["redis", &redis.url()]),
            _redis: redis,
        }
    })
}

/// What unstorage's own HTTP driver does, which knows no time to live of ours.
async fn foreign_write(plain: Arc<HttpDriver>, key: Key, value: Bytes) -> Result<(), HookError> {
    plain.put(key.as_str(), value).await?;
    Ok(())
}

fn on(server: &Unstorage, prefix: Option<&str>) -> Subject {
    let mut options = server.options().with_ttl(TTL).with_timeout(PATIENCE);
    options.prefix = prefix.map(str::to_owned);
    let unreachable = HttpOptions::new(format!("http://127.0.0.1:{}", free_port()))
        .with_retry(RetryPolicy::never());
    let mut plain = options.clone();
    plain.ttl = None;
    let plain = Arc::new(HttpDriver::open(plain).unwrap());
    Subject::new(HttpDriver::open(options).unwrap())
        .with_outage(HttpDriver::open(unreachable).unwrap())
        .with_shared_backend()
        .with_foreign_write(move |key, value| foreign_write(Arc::clone(&plain), key, value))
}

fn on_session_server(server: &StorageServer, prefix: Option<&str>) -> Subject {
    let mut options = server.options().with_ttl(TTL).with_timeout(PATIENCE);
    options.prefix = prefix.map(str::to_owned);
    let unreachable = options
        .clone()
        .with_url(format!("http://127.0.0.1:{}", free_port()))
        .with_retry(RetryPolicy::never());
    // What unstorage's own driver does, which knows nothing of conditions and of times.
    let mut foreign = options.clone().with_dialect(Dialect::V2);
    foreign.ttl = None;
    let foreign = Arc::new(HttpDriver::open(foreign).unwrap());
    Subject::new(HttpDriver::open(options).unwrap())
        .with_outage(HttpDriver::open(unreachable).unwrap())
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let foreign = Arc::clone(&foreign);
            async move { Ok(foreign.put(key.as_str(), value).await?) }
        })
}
