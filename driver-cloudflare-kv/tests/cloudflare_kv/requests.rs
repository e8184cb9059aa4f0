//! How concurrent calls share requests, and in which order changes are sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use driver_cloudflare_kv::CloudflareKvDriver;
use futures_util::future::join_all;
use http_support::Method;
use serde_json::{Value, json};
use session_core::{Driver, DriverExt, ListOptions, Prefix, Write};
use test_support::{HttpFault, HttpProxy};

use crate::support::{Namespace, all_written, key};

fn name(number: usize) -> String {
    format!("k{number:04}")
}

async fn fill(driver: &CloudflareKvDriver, count: usize) {
    let writes = (0..count).map(|number| Write::new(key(&name(number)), name(number)));
    all_written(driver.write_many(writes.collect()).await);
}

/// The paths of the requests that came, behind the namespace, without queries.
fn paths(proxy: &HttpProxy) -> Vec<String> {
    let path = |path: String| {
        let path = path.split_once("/namespaces/").unwrap().1;
        let path = path.split_once('/').unwrap().1;
        path.split('?').next().unwrap().to_owned()
    };
    proxy
        .seen()
        .into_iter()
        .map(|seen| path(seen.path))
        .collect()
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_reads_take_at_most_four_requests() {
    let namespace = Namespace::new();
    fill(&namespace.driver(), 100).await;
    let (driver, proxy) = namespace.behind_proxy();
    let driver = Arc::new(driver);
    let reads = (0..100).map(|number| {
        let driver = driver.clone();
        tokio::spawn(async move { driver.get(&name(number)).await })
    });
    for (number, read) in join_all(reads).await.into_iter().enumerate() {
        assert_eq!(read.unwrap().unwrap().unwrap(), name(number));
    }
    assert!(proxy.count() <= 4, "{}", proxy.count());
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_writes_and_removals_take_few_requests() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    // So that they are there before the first answer is.
    proxy.always(HttpFault::Delay(Duration::from_millis(50)));
    let names: Vec<String> = (0..100).map(name).collect();
    for written in join_all(names.iter().map(|name| driver.put(name, name.clone()))).await {
        written.unwrap();
    }
    assert!(proxy.count() <= 4, "{}", proxy.count());
    assert_eq!(namespace.names().await, names);
    proxy.clear();
    proxy.always(HttpFault::Delay(Duration::from_millis(50)));
    for removed in join_all(names.iter().map(|name| driver.delete(name))).await {
        removed.unwrap();
    }
    assert!(proxy.count() <= 4, "{}", proxy.count());
    assert!(namespace.names().await.is_empty());
}

#[test_support::test]
async fn batches_are_split_at_the_limits_of_cloudflare() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    fill(&driver, 1_500).await;
    assert_eq!(proxy.count(), 2);
    proxy.clear();
    let keys: Vec<_> = (0..250).map(|number| key(&name(number))).collect();
    let read = driver.read_many(&keys).await.unwrap();
    assert_eq!(read.iter().flatten().count(), 250);
    assert_eq!(paths(&proxy), ["bulk/get"; 3]);
    let sizes = proxy.seen().into_iter().map(|seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        body["keys"].as_array().unwrap().len()
    });
    assert_eq!(sizes.max(), Some(100));
    proxy.clear();
    driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(
        paths(&proxy),
        ["keys", "bulk/delete", "keys", "bulk/delete"]
    );
    assert!(namespace.names().await.is_empty());
}

#[test_support::test]
async fn a_single_call_is_one_request_and_does_not_wait() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    driver.put("k", "value").await.unwrap();
    driver.get("k").await.unwrap();
    driver.exists(&key("k")).await.unwrap();
    driver.metadata(&key("k")).await.unwrap();
    driver.list(ListOptions::default()).await.unwrap();
    driver.delete("k").await.unwrap();
    assert_eq!(
        paths(&proxy),
        [
            "bulk",
            "bulk/get",
            "bulk/get",
            "bulk/get",
            "keys",
            "bulk/delete"
        ]
    );
    let mut shortest = Duration::MAX;
    for _ in 0..30 {
        let started = Instant::now();
        driver.get("k").await.unwrap();
        shortest = shortest.min(started.elapsed());
    }
    // For so long each would wait for company.
    assert!(shortest < Duration::from_millis(100), "{shortest:?}");
}

#[test_support::test]
async fn concurrent_reads_of_one_key_are_combined() {
    let namespace = Namespace::new();
    fill(&namespace.driver(), 1).await;
    let (driver, proxy) = namespace.behind_proxy();
    proxy.always(HttpFault::Delay(Duration::from_millis(50)));
    for read in join_all((0..500).map(|_| driver.get("k0000"))).await {
        assert_eq!(read.unwrap().unwrap(), "k0000");
    }
    assert!(proxy.count() <= 3, "{}", proxy.count());
}

#[test_support::test]
async fn a_read_that_begins_after_a_write_sees_it() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    driver.put("k", "old").await.unwrap();
    // A read that is under way for long, with the old value.
    proxy.on(|seen| {
        let held = seen.path.ends_with("/bulk/get") && seen.body.len() < 60;
        held.then_some(HttpFault::Delay(Duration::from_millis(300)))
    });
    let early = driver.get("k");
    let late = async {
        driver.put("k", "new").await.unwrap();
        driver.get("k").await.unwrap().unwrap()
    };
    let (_, late) = tokio::join!(early, late);
    assert_eq!(late, "new");
}

#[test_support::test]
async fn the_later_of_two_writes_arrives_later() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    let driver = Arc::new(driver);
    // The first is slow on its way; the second would be there before it.
    proxy.next(HttpFault::Delay(Duration::from_millis(400)));
    let slow = driver.clone();
    let first = tokio::spawn(async move { slow.put("k", "first").await });
    while proxy.count() == 0 {
        tokio::task::yield_now().await;
    }
    let (second, other) = tokio::join!(driver.put("k", "second"), driver.put("other", "value"));
    second.unwrap();
    other.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(namespace.stored("k").await.0, "second");
    // Another key did not wait for it.
    let bodies: Vec<String> = proxy
        .seen()
        .iter()
        .map(|seen| format!("{:?}", seen.body))
        .collect();
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    assert!(
        bodies[1].contains("other") && !bodies[1].contains("second"),
        "{bodies:?}"
    );
    assert!(bodies[2].contains("second"), "{bodies:?}");
}

#[test_support::test]
async fn only_the_last_of_the_waiting_writes_of_a_key_is_sent() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    proxy.always(HttpFault::Delay(Duration::from_millis(50)));
    let writes = (0..50).map(|number| driver.put("k", name(number)));
    for written in join_all(writes).await {
        written.unwrap();
    }
    assert!(proxy.count() <= 3, "{}", proxy.count());
    assert_eq!(namespace.stored("k").await.0, name(49));
    let (put, removed) = tokio::join!(driver.put("k", "value"), driver.delete("k"));
    put.unwrap();
    removed.unwrap();
    assert!(namespace.names().await.is_empty());
}

#[test_support::test]
async fn a_hanging_response_does_not_delay_others_for_long() {
    let namespace = Namespace::new();
    fill(&namespace.driver(), 2).await;
    let (driver, proxy) = namespace.behind_proxy();
    let driver = Arc::new(driver);
    proxy.next(HttpFault::Hang);
    let hanging = driver.clone();
    let hanging = tokio::spawn(async move { hanging.get("k0000").await });
    while proxy.count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(driver.get("k0001").await.unwrap().unwrap(), "k0001");
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[test_support::test]
async fn a_dropped_caller_does_not_affect_others() {
    let namespace = Namespace::new();
    fill(&namespace.driver(), 3).await;
    let (driver, proxy) = namespace.behind_proxy();
    proxy.next(HttpFault::Delay(Duration::from_millis(100)));
    let first = driver.get("k0000");
    let dropped = tokio::time::timeout(Duration::from_millis(20), driver.get("k0001"));
    let write = tokio::time::timeout(Duration::from_millis(20), driver.put("k0002", "new"));
    let (first, dropped, _, last) = tokio::join!(first, dropped, write, driver.get("k0001"));
    assert_eq!(first.unwrap().unwrap(), "k0000");
    assert!(dropped.is_err());
    assert_eq!(last.unwrap().unwrap(), "k0001");
    let left = driver.get("k0002").await.unwrap().unwrap();
    assert!(left == "k0002" || left == "new");
}

#[test_support::test]
async fn a_write_that_was_given_up_while_it_waited_is_not_sent() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    let driver = Arc::new(driver);
    proxy.next(HttpFault::Delay(Duration::from_millis(300)));
    let running = driver.clone();
    let running = tokio::spawn(async move { running.put("k", "first").await });
    while proxy.count() == 0 {
        tokio::task::yield_now().await;
    }
    let given_up = tokio::time::timeout(Duration::from_millis(50), driver.put("k", "third"));
    let (waiting, given_up) = tokio::join!(driver.put("k", "second"), given_up);
    waiting.unwrap();
    assert!(given_up.is_err());
    running.await.unwrap().unwrap();
    assert_eq!(namespace.stored("k").await.0, "second");
}

/// So many calls a second by `callers` at once, for about a second.
async fn rate(driver: &CloudflareKvDriver, callers: usize) -> f64 {
    let started = Instant::now();
    let call = |caller: usize| async move {
        let mut calls = 0_u32;
        while started.elapsed() < Duration::from_secs(1) {
            let number = (caller * 31 + calls as usize * 7) % 500;
            assert_eq!(
                driver.get(&name(number)).await.unwrap().unwrap(),
                name(number)
            );
            calls += 1;
        }
        f64::from(calls)
    };
    let calls: f64 = join_all((0..callers).map(call)).await.into_iter().sum();
    calls / started.elapsed().as_secs_f64()
}

#[test_support::test]
async fn over_a_slow_network_many_callers_are_served_twenty_times_as_fast_as_one() {
    let namespace = Namespace::new();
    fill(&namespace.driver(), 500).await;
    let (driver, proxy) = namespace.behind_proxy();
    proxy.always(HttpFault::Delay(Duration::from_millis(20)));
    let alone = rate(&driver, 1).await;
    let together = rate(&driver, 100).await;
    println!("{alone:.0} reads/s one at a time, {together:.0} by a hundred at once");
    assert!(together >= 20.0 * alone, "{together} against {alone}");
}

#[test_support::test]
async fn keys_are_percent_encoded_in_paths() {
    let namespace = Namespace::new();
    let (driver, proxy) = namespace.behind_proxy();
    let name = "a b:100%:ü#&=+%2F:🔑";
    // Bytes that are no text are read by a path with the key.
    namespace.witness("put", json!([name, [255]])).await;
    assert_eq!(driver.get(name).await.unwrap().unwrap(), &[255][..]);
    let seen = proxy
        .seen()
        .into_iter()
        .find(|seen| seen.path.contains("/values/"))
        .unwrap();
    assert_eq!(seen.method, Method::GET);
    let (_, encoded) = seen.path.rsplit_once('/').unwrap();
    assert_eq!(
        encoded,
        "a%20b%3A100%25%3A%C3%BC%23%26%3D%2B%252F%3A%F0%9F%94%91"
    );
}

#[test_support::test]
async fn a_client_of_the_application_is_used() {
    let namespace = crate::support::Namespace::new();
    let proxy = test_support::HttpProxy::start(test_support::CloudflareKv::shared().api_url());
    let client = driver_cloudflare_kv::reqwest::Client::builder()
        .user_agent("the application")
        .build()
        .unwrap();
    let options = namespace
        .options()
        .with_api_url(proxy.url())
        .with_client(client);
    let driver = driver_cloudflare_kv::CloudflareKvDriver::open(options).unwrap();
    session_core::DriverExt::put(&driver, "k", "v")
        .await
        .unwrap();
    let seen = proxy.seen();
    assert!(!seen.is_empty());
    for request in seen {
        assert_eq!(request.headers["user-agent"], "the application");
        assert!(request.headers.contains_key("authorization"));
    }
}
