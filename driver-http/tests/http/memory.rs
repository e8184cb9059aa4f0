//! A server that sends far more than it was asked for costs little memory.

use std::time::Duration;

use driver_http::{Dialect, HttpDriver, HttpOptions};
use session_core::{Driver, ErrorKind, ListOptions, Prefix, RetryPolicy, WriteOptions};
use test_support::{HttpFault, HttpProxy, hostile_http, memory_growth};

use crate::support::key;

/// The limit of a response.
const LIMIT: u64 = 64 << 20;

const JSON: usize = 60 << 20;

/// What the hostile server of a test takes at most.
const SERVER: u64 = 48 << 20;

fn driver(proxy: &HttpProxy) -> HttpDriver {
    let options = HttpOptions::new(proxy.url())
        .with_dialect(Dialect::V2)
        .with_timeout(Duration::from_secs(60))
        .with_retry(RetryPolicy::never());
    HttpDriver::open(options).unwrap()
}

#[test_support::test]
async fn sixty_mebibytes_of_json_are_bounded() {
    let growth = memory_growth("memory::sixty_mebibytes_of_json_are_bounded", async {
        let key = key("k");
        let proxy = HttpProxy::start("http://127.0.0.1:1");
        let driver = driver(&proxy);
        let name = ["\"", &"0123456789".repeat(7), "\","].concat();
        for (start, part, end, kind) in [
            ("[", "\"app/a\",", "\"b\"]", Some(ErrorKind::Backend)),
            ("[", "[],", "[]]", Some(ErrorKind::Backend)),
            ("", "[", "", Some(ErrorKind::Backend)),
            ("{", "\"a\":{},", "}", Some(ErrorKind::Backend)),
            // Names of another prefix are not kept.
            ("[", &name, "\"app/b\"]", None),
        ] {
            proxy.always(HttpFault::repeated(start, part, end, JSON));
            let listed = driver
                .list(ListOptions::below(Prefix::new("app").unwrap()))
                .await;
            assert_eq!(
                listed.as_ref().err().map(|error| error.kind()),
                kind,
                "{part}"
            );
            assert!(kind.is_some() || listed.unwrap().keys.len() == 1);
            let written = driver.write(&key, "v".into(), WriteOptions::default());
            assert_eq!(
                written.await.unwrap_err().kind(),
                ErrorKind::TooLarge,
                "{part}"
            );
            let read = driver.read(&key).await.unwrap().unwrap();
            assert!(read.value.len() > JSON - 65_536);
        }
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
            HttpDriver::open(HttpOptions::new(url).with_timeout(TIMEOUT)).unwrap()
        }),
    );
    let growth = growth.await;
    // The server runs in the same process, and the allocator keeps some of what was freed.
    assert!(growth < 2 * LIMIT + SERVER, "{growth}");
}
