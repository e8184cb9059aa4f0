//! The driver on this project's own server, over memory and over SQLite.

use std::sync::Arc;
use std::time::Duration;

use driver_http::HttpDriver;
use futures_util::future::try_join_all;
use session_core::{
    Driver, DriverExt, ErrorKind, Expiry, Outcome, TouchOptions, WriteOptions, WriteOutcome,
};
use test_support::{HttpFault, HttpProxy};

use crate::storage_server::{over_memory, over_sqlite};
use crate::support::key;

#[test_support::test]
async fn a_conditional_write_whose_response_was_lost_is_unknown_and_not_retried() {
    let proxy = HttpProxy::start(over_memory().url.trim_end_matches("/kv"));
    let options = over_memory()
        .options()
        .with_url(format!("{}/kv", proxy.url()));
    let driver = HttpDriver::open(options).unwrap();
    let key = key("lost");
    driver.put("lost", "1").await.unwrap();
    let version = driver.read(&key).await.unwrap().unwrap().version.unwrap();
    proxy.clear();
    proxy.next(HttpFault::LostAnswer);
    let write = WriteOptions::if_version(version);
    let error = driver.write(&key, "2".into(), write).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(proxy.count(), 1);
    assert_eq!(driver.get("lost").await.unwrap().unwrap(), "2");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_servers_lose_no_increment() {
    let drivers = (0..4).map(|_| Arc::new(HttpDriver::open(over_sqlite().options()).unwrap()));
    let drivers: Vec<_> = drivers.collect();
    drivers[0].put("n", "0").await.unwrap();
    let tasks = drivers.into_iter().map(|driver| {
        tokio::spawn(async move {
            let mut made = 0;
            while made < 25 {
                let entry = driver.read(&key("n")).await.unwrap().unwrap();
                let number: u32 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
                let options = WriteOptions::if_version(entry.version.unwrap());
                let next = (number + 1).to_string().into();
                if let WriteOutcome::Written { .. } =
                    driver.write(&key("n"), next, options).await.unwrap()
                {
                    made += 1;
                }
            }
        })
    });
    try_join_all(tasks).await.unwrap();
    let all = HttpDriver::open(over_sqlite().options()).unwrap();
    assert_eq!(all.get("n").await.unwrap().unwrap(), "100");
}

/// Sessions that are only read stay alive by this.
#[test_support::test]
async fn expiry_is_reported_and_moved_by_a_touch_without_a_new_version() {
    for server in [over_memory(), over_sqlite()] {
        let driver = HttpDriver::open(server.options()).unwrap();
        let capabilities = driver.capabilities();
        assert!(capabilities.reports_expiry && capabilities.touch);
        let key = key("touched");
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
        driver
            .put_with_ttl("touched", "value", minute)
            .await
            .unwrap();
        let before = driver.read(&key).await.unwrap().unwrap();
        let options =
            TouchOptions::to(Expiry::after(hour)).if_version(before.version.clone().unwrap());
        assert!(driver.touch(&key, options).await.unwrap());
        let after = driver.read(&key).await.unwrap().unwrap();
        assert_eq!(
            (&after.value, &after.version),
            (&before.value, &before.version)
        );
        let moved = after
            .expires_at
            .unwrap()
            .saturating_since(before.expires_at.unwrap());
        assert!(moved > hour - 2 * minute && moved < hour, "{moved:?}");
        let never = TouchOptions::to(Expiry::Never);
        assert!(driver.touch(&key, never.clone()).await.unwrap());
        assert_eq!(driver.read(&key).await.unwrap().unwrap().expires_at, None);
        driver.put("touched", "other").await.unwrap();
        let stale = never.clone().if_version(before.version.unwrap());
        assert!(!driver.touch(&key, stale).await.unwrap());
        driver.delete("touched").await.unwrap();
        assert!(!driver.touch(&key, never).await.unwrap());
    }
}
