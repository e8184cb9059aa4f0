//! A server that sends far more than it was asked for costs little memory.

use std::time::Duration;

use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
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
        let options = CloudflareKvOptions::new("account", "namespace", "token")
            .with_api_url(proxy.url())
            .with_timeout(Duration::from_secs(60))
            .with_retry(RetryPolicy::never());
        let driver = CloudflareKvDriver::open(options).unwrap();
        let many: String = (0..2_000)
            .map(|number| format!("\"{number}\":null,"))
            .collect();
        let metadata =
            "{\"success\":true,\"result\":{\"values\":{\"k\":{\"value\":\"v\",\"metadata\":";
        let nested = [metadata, "["].concat();
        let object = [metadata, "{"].concat();
        for (start, part, end) in [
            (
                "{\"success\":true,\"result\":{\"values\":{",
                many.as_str(),
                "\"k\":null}}}",
            ),
            (
                "{\"success\":true,\"result\":[",
                "{\"name\":\"k\"},",
                "{\"name\":\"k\"}]}",
            ),
            ("{\"success\":true,\"result\":", "[", "]}"),
            ("[", "0,", "0]"),
        ] {
            proxy.always(HttpFault::repeated(start, part, end, JSON));
            let read = driver.read(&key).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::Backend, "{part:.20}");
            let listed = driver.list(ListOptions::default()).await;
            assert_eq!(
                listed.unwrap_err().kind(),
                ErrorKind::TooLarge,
                "{part:.20}"
            );
            let written = driver.write(&key, "v".into(), WriteOptions::default());
            assert_eq!(
                written.await.unwrap_err().kind(),
                ErrorKind::TooLarge,
                "{part:.20}"
            );
        }
        // The metadata of another program is skipped.
        for (start, part, end) in [
            (&nested, "0,", "0]}}}}"),
            (&nested, "[],", "0]}}}}"),
            (&object, "\"expiresAtMs\":[0],", "\"a\":0}}}}}"),
            (&object, "\"a\":{\"b\":[0]},", "\"a\":0}}}}}"),
        ] {
            proxy.always(HttpFault::repeated(start, part, end, JSON));
            let entry = driver.read(&key).await.unwrap().unwrap();
            assert_eq!(entry.value, "v", "{part}");
        }
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
            let options = CloudflareKvOptions::new("account", "namespace", "token")
                .with_api_url(url)
                .with_timeout(TIMEOUT);
            CloudflareKvDriver::open(options).unwrap()
        }),
    );
    let growth = growth.await;
    // The server runs in the same process, and the allocator keeps some of what was freed.
    assert!(growth < 2 * LIMIT + SERVER, "{growth}");
}
