//! Concurrent requests of one session.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::browser::Browser;
use crate::program::Site;

#[test_support::test]
async fn fifty_concurrent_visits_are_all_counted_in_sqlite() {
    fifty_concurrent_visits_are_all_counted(&Site::sqlite()).await;
}

#[test_support::test]
async fn fifty_concurrent_visits_are_all_counted_in_memory() {
    fifty_concurrent_visits_are_all_counted(&Site::memory(100)).await;
}

async fn fifty_concurrent_visits_are_all_counted(site: &Site) {
    let server = Arc::new(site.serve().await);
    let browser = Browser::new();
    assert_eq!(browser.visit(&server).await, 1);

    let mut visits = JoinSet::new();
    for _ in 0..50 {
        let (browser, server) = (browser.clone(), server.clone());
        visits.spawn(async move { browser.visit(&server).await });
    }
    let numbers: BTreeSet<u32> = visits.join_all().await.into_iter().collect();
    assert_eq!(numbers, (2..=51).collect());
}

#[test_support::test]
async fn fifty_concurrent_additions_to_the_cart_are_all_kept() {
    let site = Site::sqlite();
    let server = Arc::new(site.serve().await);
    let browser = Browser::new();
    assert_eq!(browser.visit(&server).await, 1);

    let mut additions = JoinSet::new();
    for number in 0..50 {
        let (browser, server) = (browser.clone(), server.clone());
        let product = ["teapot", "kite", "lantern"][number % 3];
        additions.spawn(async move { browser.add(&server, product).await.status });
    }
    for status in additions.join_all().await {
        assert!(status.is_success(), "{status}");
    }
    assert_eq!(browser.items(&server).await, 50);
}

#[test_support::test]
async fn four_servers_on_one_file_never_repeat_a_number() {
    let site = Site::sqlite();
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(Arc::new(site.serve().await));
    }
    let browser = Browser::new();
    assert_eq!(browser.visit(&servers[0]).await, 1);

    let mut visits = JoinSet::new();
    for number in 0..100 {
        let (browser, server) = (browser.clone(), servers[number % 4].clone());
        visits.spawn(async move { browser.visit(&server).await });
    }
    let numbers: BTreeSet<u32> = visits.join_all().await.into_iter().collect();
    assert_eq!(numbers, (2..=101).collect());
    assert_eq!(browser.visit(&servers[3]).await, 102);
}
