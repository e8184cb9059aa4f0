//! `watch`.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use conformance_tests::{Fault, Faulty, Operation};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::json;
use session_core::storage::Storage;
use session_core::{Change, ChangeKind, DriverExt, ErrorKind, Result};
use session_kit::drivers::{MemoryDriver, SqliteDriver, SqliteOptions};

use crate::support::{fill, memory, storage};

/// A driver that cannot watch: a SQLite file sees no changes by others.
async fn silent() -> Arc<SqliteDriver> {
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

/// That nothing is told of so far.
fn is_quiet(changes: &mut BoxStream<'static, Result<Change>>) -> bool {
    let mut next = changes.next();
    std::pin::Pin::new(&mut next)
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}

/// unstorage tells of no batch and of no `clear`.
#[test_support::test]
async fn bug_batches_and_clear_are_told_of() {
    let storage = Storage::new(silent().await);
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
async fn a_watcher_is_told_of_its_base_with_keys_of_its_part() {
    let storage = Storage::new(silent().await);
    let mut below = storage.watch("app").await.unwrap();
    let mut part = storage.prefix("app").watch("a").await.unwrap();
    fill(&storage, &["app", "app2:x", "app:a:1", "b", "app:b"]).await;
    assert_eq!(told(&mut below, 2).await, ["+app:a:1", "+app:b"]);
    assert_eq!(told(&mut part, 1).await, ["+a:1"]);
    assert!(is_quiet(&mut below) && is_quiet(&mut part));
}

#[test_support::test]
async fn metadata_changes_under_its_own_key() {
    let storage = Storage::new(silent().await);
    let mut changes = storage.watch("").await.unwrap();
    storage.set_metadata("foo", &json!({})).await.unwrap();
    storage.remove_metadata("foo").await.unwrap();
    assert_eq!(told(&mut changes, 2).await, ["+foo$", "-foo$"]);
}

#[test_support::test]
async fn what_others_do_is_told_of_where_the_driver_can_and_told_once() {
    let (watching, silent) = (Arc::new(MemoryDriver::new()), silent().await);
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
async fn mounts_that_come_and_go_are_followed() {
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
    // What the mount hides of the root is not there for the storage.
    root.put("m:hidden", "1").await.unwrap();
    assert!(is_quiet(&mut changes));
    storage.unmount("m").unwrap();
    assert!(is_quiet(&mut changes));
    // What goes through a mount is told of though the watcher has not come to hear of the mount itself.
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
async fn a_change_that_did_not_happen_is_not_told_of() {
    let faulty = Faulty::new(silent().await);
    let faults = faulty.faults();
    let storage = Storage::new(Arc::new(faulty));
    storage.set("k", &1).await.unwrap();
    let mut changes = storage.watch("").await.unwrap();
    let refused = session_core::WriteOptions::if_absent();
    let _conflict = storage.set_with("k", &2, refused).await.unwrap();
    faults.next(Operation::Write, Fault::before(ErrorKind::Unavailable));
    storage.set("k", &3).await.unwrap_err();
    assert!(is_quiet(&mut changes));
    // Its answer is lost, so it may have happened.
    faults.next(Operation::Write, Fault::after(ErrorKind::TimedOut));
    storage.set("k", &4).await.unwrap_err();
    assert_eq!(told(&mut changes, 1).await, ["+k"]);
}

#[test_support::test]
async fn a_write_whose_future_is_dropped_is_told_of() {
    let slow = Faulty::new(silent().await);
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
async fn a_watcher_that_falls_behind_is_told_so() {
    let storage = Storage::new(silent().await);
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
async fn a_watcher_who_leaves_is_forgotten() {
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
