//! How concurrent calls share requests, and how fast they are over a slow network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use driver_upstash::UpstashDriver;
use futures_util::future::{join_all, try_join_all};
use session_core::session::{SessionId, SessionManager};
use session_core::{Driver, DriverExt, Write};
use test_support::HttpFault;

use crate::support::{Behind, increment, key};

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_concurrent_reads_of_sessions_take_at_most_four_requests() {
    let behind = Behind::start(|_| {}).await;
    let store = Arc::new(SessionManager::new(behind.driver.clone()));
    let mut ids: Vec<SessionId> = Vec::new();
    for number in 0..64 {
        let session = store.create();
        session.set("n", &number).unwrap();
        session.save().await.unwrap();
        ids.push(session.id().unwrap());
    }
    behind.proxy.clear();
    // As from somewhere, so that those who come later find the first one under way.
    behind.far_away(Duration::from_millis(20));
    let reads = ids.iter().map(|id| {
        let (store, id) = (Arc::clone(&store), *id);
        tokio::spawn(async move {
            let session = store.open(id).await.unwrap().unwrap();
            session.get::<u32>("n").await.unwrap()
        })
    });
    for (number, read) in (0..).zip(join_all(reads).await) {
        assert_eq!(read.unwrap(), Some(number));
    }
    assert!(
        behind.proxy.count() <= 4,
        "{} requests",
        behind.proxy.count()
    );
}

#[test_support::test]
async fn a_single_call_is_sent_at_once_and_alone() {
    let behind = Behind::start(|_| {}).await;
    behind.driver.put("k", "v").await.unwrap();
    let mut fastest = Duration::MAX;
    for _ in 0..20 {
        let started = Instant::now();
        behind.driver.get("k").await.unwrap();
        fastest = fastest.min(started.elapsed());
    }
    assert_eq!(behind.proxy.count(), 21);
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_slow_network_many_tasks_do_twenty_times_as_much_as_one() {
    const TASKS: usize = 64;
    const READS: usize = 10;
    let behind = Behind::start(|_| {}).await;
    behind.driver.put("k", "v").await.unwrap();
    behind.far_away(Duration::from_millis(20));

    let started = Instant::now();
    for _ in 0..READS {
        behind.driver.get("k").await.unwrap();
    }
    let alone = READS as f64 / started.elapsed().as_secs_f64();

    let before = behind.proxy.count();
    let started = Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let driver = behind.driver.clone();
        tokio::spawn(async move {
            for _ in 0..READS {
                driver.get("k").await.unwrap();
            }
        })
    });
    try_join_all(tasks).await.unwrap();
    let together = (TASKS * READS) as f64 / started.elapsed().as_secs_f64();
    let requests = behind.proxy.count() - before;
    println!("reads a second: {alone:.0} one at a time, {together:.0} by {TASKS} tasks");
    // If those who were answered did not meet those who wait, each would wait for two requests.
    assert!(requests < 2 * READS - 2, "{requests} requests");
    assert!(
        together >= 20.0 * alone,
        "{alone} and {together} reads a second"
    );
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_of_a_request_has_its_own_result_or_error() {
    let behind = Behind::start(|_| {}).await;
    behind.gateway.redis().cli(&["LPUSH", "list", "x"]);
    behind.driver.put("text", "v").await.unwrap();
    behind.far_away(Duration::from_millis(20));
    let names = ["text", "list", "none"];
    let reads = (0..30).map(|number| {
        let driver = behind.driver.clone();
        tokio::spawn(async move { driver.get(names[number % 3]).await })
    });
    for (number, read) in join_all(reads).await.into_iter().enumerate() {
        match (names[number % 3], read.unwrap()) {
            ("text", Ok(Some(value))) => assert_eq!(value, "v"),
            ("list", Err(error)) => {
                assert_eq!(error.kind(), session_core::ErrorKind::CorruptData);
                assert_eq!(error.driver(), Some("upstash"));
            }
            ("none", Ok(None)) => {}
            (name, other) => panic!("{name}: {other:?}"),
        }
    }
    assert!(behind.proxy.count() <= 4);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_caller_does_not_affect_others() {
    let behind = Behind::start(|_| {}).await;
    behind.driver.put("k", "v").await.unwrap();
    behind.far_away(Duration::from_millis(100));
    let stays: Vec<_> = (0..8)
        .map(|_| {
            let driver = behind.driver.clone();
            tokio::spawn(async move { driver.get("k").await })
        })
        .collect();
    for _ in 0..8 {
        let leaves = behind.driver.get("k");
        let _left = tokio::time::timeout(Duration::from_millis(10), leaves).await;
    }
    for read in join_all(stays).await {
        assert_eq!(read.unwrap().unwrap().unwrap(), "v");
    }
}

#[test_support::test]
async fn a_write_that_was_given_up_while_it_waited_is_not_sent() {
    let behind = Behind::start(|_| {}).await;
    behind
        .proxy
        .next(HttpFault::Delay(Duration::from_millis(200)));
    let running = behind.driver.clone();
    let running = tokio::spawn(async move { running.get("k").await });
    while behind.proxy.count() == 0 {
        tokio::task::yield_now().await;
    }
    let write = behind.driver.put("given-up", "v");
    let given_up = tokio::time::timeout(Duration::from_millis(50), write).await;
    assert!(given_up.is_err());
    running.await.unwrap().unwrap();
    behind.driver.put("k", "v").await.unwrap();
    assert_eq!(behind.gateway.redis().cli(&["EXISTS", "given-up"]), "0");
}

#[test_support::test]
async fn a_slow_response_does_not_delay_other_calls() {
    let behind = Behind::start(|_| {}).await;
    behind.driver.put("k", "v").await.unwrap();
    behind.proxy.next(HttpFault::Delay(Duration::from_secs(2)));
    let slow = behind.driver.clone();
    let slow = tokio::spawn(async move { slow.get("k").await });
    // The slow one is under way.
    while behind.proxy.count() < 2 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    behind.driver.get("k").await.unwrap();
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        started.elapsed()
    );
    assert!(!slow.is_finished());
    slow.await.unwrap().unwrap();
}

#[test_support::test]
async fn batches_take_few_requests() {
    let behind = Behind::start(|_| {}).await;
    let keys: Vec<_> = (0..1_000)
        .map(|number| key(&format!("k{number}")))
        .collect();
    let writes = keys.iter().map(|key| Write::new(key.clone(), "v"));
    for outcome in behind.driver.write_many(writes.collect()).await {
        let _written = outcome.unwrap();
    }
    assert!(behind.proxy.count() <= 10);
    behind.proxy.clear();
    let entries = behind.driver.read_many(&keys).await.unwrap();
    assert!(entries.iter().all(Option::is_some));
    assert!(behind.proxy.count() <= 10);
    behind.proxy.clear();
    behind.driver.remove_many(&keys).await.unwrap();
    assert!(behind.proxy.count() <= 10);
}

/// What is too much for one answer is asked for piece by piece.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_too_large_together_are_read_separately() {
    let behind = Behind::start(|options| options.timeout = Duration::from_secs(60)).await;
    let value = "v".repeat(8 * 1024 * 1024);
    behind.driver.put("large", value.clone()).await.unwrap();
    behind.far_away(Duration::from_millis(50));
    let reads = (0..9).map(|_| {
        let driver = behind.driver.clone();
        tokio::spawn(async move { driver.get("large").await.unwrap().unwrap().len() })
    });
    for length in try_join_all(reads).await.unwrap() {
        assert_eq!(length, value.len());
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn drivers_that_share_a_database_lose_no_increment() {
    let behind = Behind::start(|_| {}).await;
    behind.driver.put("n", "0").await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let other = UpstashDriver::open(behind.gateway.options()).await.unwrap();
        for driver in [Arc::new(other), behind.driver.clone()] {
            tasks.push(tokio::spawn(async move {
                let mut made = 0;
                while made < 10 {
                    made += usize::from(increment(&*driver, &key("n")).await.unwrap());
                }
            }));
        }
    }
    try_join_all(tasks).await.unwrap();
    assert_eq!(behind.driver.get("n").await.unwrap().unwrap(), "80");
}

#[test_support::test]
async fn a_client_of_the_application_is_used() {
    let client = driver_upstash::reqwest::Client::builder()
        .user_agent("the application")
        .build()
        .unwrap();
    let behind = crate::support::Behind::start(|options| {
        options.client = Some(client.into());
    });
    let behind = behind.await;
    session_core::DriverExt::put(&*behind.driver, "k", "v")
        .await
        .unwrap();
    let seen = behind.proxy.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers["user-agent"], "the application");
    assert_eq!(seen[0].headers["upstash-encoding"], "base64");
}
