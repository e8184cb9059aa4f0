//! Every call ends by its timeout, whatever the server does.

use std::sync::Arc;
use std::time::Duration;

use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use session_core::RetryPolicy;
use test_support::{SilentServer, every_call_ends};

const TIMEOUT: Duration = Duration::from_secs(1);

async fn check(server: SilentServer, retry: RetryPolicy) {
    let mut options = CloudflareKvOptions::without_account(server.url(), "namespace");
    options.timeout = TIMEOUT;
    options.retry = retry;
    let driver = Arc::new(CloudflareKvDriver::open(options).unwrap());
    every_call_ends(driver, &server, TIMEOUT).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_ends_when_the_server_never_answers() {
    check(SilentServer::start().await, RetryPolicy::default()).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_ends_when_the_server_cannot_be_reached() {
    check(SilentServer::unreachable().await, RetryPolicy::never()).await;
}
