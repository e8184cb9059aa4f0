//! Watching a storage.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use conformance_tests::{Fault, Faulty, Operation};
use driver_memory::MemoryDriver;
use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::json;
use session_core::{Change, ChangeKind, DriverExt, ErrorKind, Result};
use session_storage::Storage;

use crate::support::{fill, memory, storage};

/// A driver that cannot watch: a SQLite file sees no changes by others.
async fn without_watch() -> Arc<SqliteDriver> {
    Arc::new(
        SqliteDriver::open(SqliteOptions::new(":memory:"))
            .await
            .unwrap(),
    )
}

/// The next `count` changes, as `+key` and `-key`.
async fn told(changes: &mut BoxStream<'static, Result<Change>>, count: usize) -> Vec<String> {
    let told = changes.take(count).map(|change| {
        let change = change.unwrap();
        let sign = match change.kind {
            ChangeKind::Written => '+',
            _ => '-',
        };
        format!("{sign}{}", change.key.as_str())
    });
    let told = tokio::time::timeout(Duration::from_secs(20), told.collect()).await;
    told.expect("too few changes are told of")
}

/// Asserts that no change has been reported so far.
fn is_quiet(changes: &mut BoxStream<'static, Result<Change>>) -> bool {
    let mut next = changes.next();
    std::pin::Pin::new(&mut next)
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}

/// unstorage reports neither batches nor `clear`.
#[test_support::test]
async fn bug_batches_and_clear_are_reported() {
    let storage = Storage::new(without_watch().await);
    let mut changes = storage.watch("").await.unwrap();
    storage.set("a", &1).await.unwrap();
    storage.set_raw("b", vec![1]).await.unwrap();
    for result in storage.set_many([("c:1", 1), ("c:2", 2)]).await {
        result.unwrap();
    }
    storage.remove("a").await.unwrap();
    assert_eq!(told(&mut changes, 4).await, ["+a", "+b", "+c:1", "+c:2"]);
    let removed = told(&mut changes, 2).await;
    assert!(removed.contains(&"-a".to_owned()), "{removed:?}");
    storage.clear("c").await.unwrap();
    assert_eq!(told(&mut changes, 2).await, ["-c:1", "-c:2"]);
    assert!(is_quiet(&mut changes));
    storage.close().await.unwrap();
}

#[test_support::test]
async fn a_watcher_gets_the_changes_below_its_base_with_relative_keys() {
    let storage = Storage::new(without_watch().await);
    let mut below = storage.watch("app").await.unwrap();
    let mut part = storage.prefix("app").unwrap().watch("a").await.unwrap();
    fill(&storage, &["app", "app2:x", "app:a:1", "b", "app:b"]).await;
    assert_eq!(told(&mut below, 2).await, ["+app:a:1", "+app:b"]);
    assert_eq!(told(&mut part, 1).await, ["+a:1"]);
    assert!(is_quiet(&mut below) && is_quiet(&mut part));
}

#[test_support::test]
async fn a_change_of_metadata_is_reported_under_its_own_key() {
    let storage = Storage::new(without_watch().await);
    let mut changes = storage.watch("").await.unwrap();
    storage.set_metadata("foo", &json!({})).await.unwrap();
    storage.remove_metadata("foo").await.unwrap();
    assert_eq!(told(&mut changes, 2).await, ["+foo$", "-foo$"]);
}

#[test_support::test]
async fn changes_by_others_are_reported_once_if_the_driver_can_watch() {
    let (watching, silent) = (Arc::new(MemoryDriver::new()), without_watch().await);
    let storage = Storage::new(silent.clone());
    storage.mount("m", watching.clone()).unwrap();
    let mut changes = storage.watch("").await.unwrap();
    silent.put("unseen", "1").await.unwrap();
    watching.put("by-another", "1").await.unwrap();
    storage.set("m:through", &1).await.unwrap();
    assert_eq!(told(&mut changes, 2).await, ["+m:by-another", "+m:through"]);
    watching.delete("through").await.unwrap();
    storage.set("here", &1).await.unwrap();
    let mut both = told(&mut changes, 2).await;
    both.sort();
    assert_eq!(both, ["+here", "-m:through"]);
    assert!(is_quiet(&mut changes));
}

#[test_support::test]
async fn a_watcher_follows_mounts_and_unmounts() {
    let root = Arc::new(MemoryDriver::new());
    let storage = Storage::new(root.clone());
    let mut changes = storage.watch("").await.unwrap();
    let mounted = Arc::new(MemoryDriver::new());
    storage.mount("m", mounted.clone()).unwrap();
    storage.set("m:a", &1).await.unwrap();
    assert_eq!(told(&mut changes, 1).await, ["+m:a"]);
    assert!(is_quiet(&mut changes));
    mounted.put("b", "1").await.unwrap();
    assert_eq!(told(&mut changes, 1).await, ["+m:b"]);
    // A change of a hidden key of the root is not reported.
    root.put("m:hidden", "1").await.unwrap();
    assert!(is_quiet(&mut changes));
    storage.unmount("m").unwrap();
    assert!(is_quiet(&mut changes));
    // A change in a mount is reported even if the watcher has not seen the mount yet.
    storage.mount("m", mounted.clone()).unwrap();
    storage.clear("m").await.unwrap();
    assert_eq!(told(&mut changes, 2).await.len(), 2);
    storage.unmount("m").unwrap();
    assert!(is_quiet(&mut changes));
    mounted.put("gone", "1").await.unwrap();
    root.put("m:shown", "1").await.unwrap();
    assert_eq!(told(&mut changes, 1).await, ["+m:shown"]);
}

#[test_support::test]
async fn a_change_that_was_not_applied_is_not_reported() {
    let faulty = Faulty::new(without_watch().await);
    let faults = faulty.faults();
    let storage = Storage::new(Arc::new(faulty));
    storage.set("k", &1).await.unwrap();
    let mut changes = storage.watch("").await.unwrap();
    let refused = session_core::WriteOptions::if_absent();
    let _conflict = storage.set_with("k", &2, refused).await.unwrap();
    faults.next(Operation::Write, Fault::before(ErrorKind::Unavailable));
    storage.set("k", &3).await.unwrap_err();
    assert!(is_quiet(&mut changes));
    // The response is lost, so the change may have been applied.
    faults.next(Operation::Write, Fault::after(ErrorKind::TimedOut));
    storage.set("k", &4).await.unwrap_err();
    assert_eq!(told(&mut changes, 1).await, ["+k"]);
}

#[test_support::test]
async fn a_write_whose_future_is_dropped_is_reported() {
    let slow = Faulty::new(without_watch().await);
    let hour = Duration::from_secs(3_600);
    slow.faults().next(Operation::Write, Fault::slow(hour));
    let storage = Storage::new(Arc::new(slow));
    let mut changes = storage.watch("").await.unwrap();
    let mut write = Box::pin(storage.set("k", &1));
    let mut context = Context::from_waker(Waker::noop());
    assert!(write.as_mut().poll(&mut context).is_pending());
    drop(write);
    assert_eq!(told(&mut changes, 1).await, ["+k"]);
}

#[test_support::test]
async fn a_watcher_that_falls_behind_gets_an_error() {
    let storage = Storage::new(without_watch().await);
    let mut changes = storage.watch("").await.unwrap();
    for chunk in 0..5 {
        let items = (0..1_000).map(|number| (format!("{chunk}:{number}"), number));
        for result in storage.set_many(items).await {
            result.unwrap();
        }
    }
    let error = changes.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(changes.next().await.is_none());
}

#[test_support::test]
async fn a_dropped_watcher_is_forgotten() {
    let storage = storage();
    let watchers: Vec<_> = [
        storage.watch("").await.unwrap(),
        storage.watch("a").await.unwrap(),
    ]
    .into();
    drop(watchers);
    storage.mount("m", memory()).unwrap();
    storage.set("a", &1).await.unwrap();
    let mut changes = storage.watch("").await.unwrap();
    assert!(is_quiet(&mut changes));
    storage.set("b", &1).await.unwrap();
    assert_eq!(told(&mut changes, 1).await, ["+b"]);
}
