//! The contract of session-core, held against this driver on each kind of server.
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
use driver_redis::{RawFormat, ReadFrom, RedisDriver, RedisOptions, redis};
use support::{cluster, on_cluster, on_sentinels, on_tls, sentinels, server, start_valkey, tls};
use test_support::{RedisServer, free_port};

#[allow(dead_code, reason = "the other test programs use the rest")]
mod support;

fn main() -> ExitCode {
    TestProgram::new()
        .with_subject("on_redis", || {
            on(RedisOptions::new(server().url()), server())
        })
        .with_subject("below_a_base", || {
            let options = RedisOptions::new(server().url())
                .with_prefix("app:*[sessions")
                .with_connections(3);
            also_on(options, server())
        })
        .with_subject("in_the_form_of_unstorage_1", || {
            let options = RedisOptions::new(server().url())
                .with_prefix("v1")
                .with_raw_format(RawFormat::Base64);
            also_on(options, server())
        })
        .with_subject("on_a_client_of_the_application", on_a_client)
        .with_subject("on_valkey", || {
            also_on(RedisOptions::new(valkey().url()), valkey())
        })
        .with_subject("with_tls_and_an_acl", || {
            also_on(on_tls(tls()), tls().server())
        })
        .with_subject("under_sentinels", || {
            also_on(on_sentinels(sentinels()), sentinels().primary())
        })
        .with_subject("on_a_cluster", || {
            also_on(on_cluster(cluster()), &cluster().nodes()[0])
        })
        .with_subject("with_reads_from_replicas", reading_from_replicas)
        .run()
}

const TTL: Duration = Duration::from_secs(3_600);

/// Enough for a value of 64 MiB while all tests keep the machine busy.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long each generated case runs on a further configuration.
const BRIEF: Duration = Duration::from_millis(500);

fn valkey() -> &'static RedisServer {
    static SERVER: LazyLock<RedisServer> = LazyLock::new(start_valkey);
    &SERVER
}

/// A driver whose server is nowhere.
async fn unreachable() -> RedisDriver {
    let options = RedisOptions::new(format!("redis://127.0.0.1:{}", free_port()))
        .with_pre_connect(false)
        .with_timeout(Duration::from_millis(200));
    RedisDriver::open(options).await.unwrap()
}

async fn on(options: RedisOptions, server: &'static RedisServer) -> Subject {
    let base = options.prefix.as_ref().map(|base| format!("{base}:"));
    let base = base.unwrap_or_default();
    let options = options.with_ttl(TTL).with_timeout(TIMEOUT);
    let driver = RedisDriver::open(options).await.unwrap();
    Subject::new(driver)
        .with_default_ttl(TTL)
        .with_outage(unreachable().await)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let key = format!("{base}{}", key.as_str());
            async move {
                tokio::task::spawn_blocking(move || server.set(&key, &value)).await?;
                Ok(())
            }
        })
}

/// A further kind of server or configuration, for which the generated cases need not run as long.
async fn also_on(options: RedisOptions, server: &'static RedisServer) -> Subject {
    on(options, server).await.with_budget(BRIEF)
}

async fn on_a_client() -> Subject {
    let client = redis::Client::open(format!("{}/1", server().url())).unwrap();
    let options = RedisOptions::default().with_prefix("client").with_ttl(TTL);
    let driver = RedisDriver::from_client(client, options.with_timeout(TIMEOUT));
    Subject::new(driver.await.unwrap())
        .with_budget(BRIEF)
        .with_default_ttl(TTL)
        .with_shared_backend()
}

async fn reading_from_replicas() -> Subject {
    let options = on_cluster(cluster())
        .with_prefix("replicas")
        .with_read_from(ReadFrom::Replica);
    let subject = also_on(options, &cluster().nodes()[0]).await;
    subject.with_convergence(|| async {
        let waiting = tokio::task::spawn_blocking(|| cluster().wait_until_replicated());
        waiting.await.unwrap();
    })
}
