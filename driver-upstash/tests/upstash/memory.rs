//! A server that sends far more than it was asked for costs little memory.

use std::time::Duration;

use driver_upstash::{UpstashDriver, UpstashOptions};
use session_core::{Driver, ErrorKind, ListOptions, RetryPolicy, WriteOptions};
use test_support::{HttpFault, HttpProxy, hostile_http, memory_growth};

use crate::support::key;

/// The limit of a response.
const LIMIT: u64 = 64 << 20;

const JSON: usize = 60 << 20;

/// What the hostile server of a test takes at most.
const SERVER: u64 = 48 << 20;

#[test_support::test]
async fn sixty_mebibytes_of_json_are_bounded() {
    let growth = memory_growth("memory::sixty_mebibytes_of_json_are_bounded", async {
        let key = key("k");
        let proxy = HttpProxy::start("http://127.0.0.1:1");
        let options = UpstashOptions::new(proxy.url(), "token")
            .with_timeout(Duration::from_secs(60))
            .with_retry(RetryPolicy::never());
        let driver = UpstashDriver::open(options).await.unwrap();
        for (start, part, end) in [
            ("[", "{\"result\":0},", "{}]"),
            ("[", "[],", "[]]"),
            ("[{\"result\":[", "0,", "0]},{\"result\":-1}]"),
            ("[{\"result\":[", "[],", "0]},{\"result\":-1}]"),
            ("[{\"result\":[[", "\"\",", "\"\"]]},{\"result\":-1}]"),
            ("[{\"result\":", "[", "]"),
            ("[{\"result\":{", "\"a\":0,", "\"b\":0}}]"),
            ("[{\"other\":[", "0,", "0]}]"),
        ] {
            proxy.always(HttpFault::repeated(start, part, end, JSON));
            let error = driver.read(&key).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Backend, "{start} {part}");
            // Neither has a value in its response.
            let error = driver.list(ListOptions::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{start} {part}");
            let written = driver.write(&key, "v".into(), WriteOptions::default());
            assert_eq!(
                written.await.unwrap_err().kind(),
                ErrorKind::TooLarge,
                "{start} {part}"
            );
        }
        proxy.always(HttpFault::repeated(
            "[{\"result\":\"",
            "QUJD",
            "\"},{\"result\":-1}]",
            JSON,
        ));
        let entry = driver.read(&key).await.unwrap().unwrap();
        assert!(entry.value.len() > JSON / 4 * 3 - 65_536);
        driver.close().await.unwrap();
    });
    let growth = growth.await;
    assert!(growth < 2 * LIMIT, "{growth}");
}

/// Wrong lengths, endless bodies and heads, deep nesting, one byte at a time, and responses to nothing.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_server_costs_neither_time_nor_memory() {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let name = "memory::a_hostile_server_costs_neither_time_nor_memory";
    let growth = memory_growth(
        name,
        hostile_http(TIMEOUT, |url| async move {
            UpstashDriver::open(UpstashOptions::new(url, "token").with_timeout(TIMEOUT))
                .await
                .unwrap()
        }),
    );
    let growth = growth.await;
    // The server runs in the same process, and the allocator keeps some of what was freed.
    assert!(growth < 2 * LIMIT + SERVER, "{growth}");
}
