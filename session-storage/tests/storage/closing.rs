//! `close` affects all handles and watchers.

use futures_util::StreamExt;
use session_core::ErrorKind;

use crate::support::{memory, storage};

#[test_support::test]
async fn all_handles_are_closed_and_watchers_end() {
    let storage = storage();
    let mounted = memory();
    storage.mount("m", mounted.clone()).unwrap();
    let part = storage.prefix("part").unwrap();
    let mut changes = storage.watch("").await.unwrap();
    storage.close().await.unwrap();
    storage.close().await.unwrap();
    assert!(changes.next().await.is_none());
    let closed = [
        part.get::<u8>("k").await.err(),
        part.set("k", &1).await.err(),
        part.clear("").await.err(),
        part.mount("x", memory()).err(),
        part.set_many([("k", 1)]).await.remove(0).err(),
        part.keys("").boxed().next().await.unwrap().err(),
        part.watch("").await.err(),
        mounted.exists(&crate::support::key("k")).await.err(),
    ];
    for error in closed {
        assert_eq!(error.unwrap().kind(), ErrorKind::Closed);
    }
}

#[test_support::test]
async fn a_watcher_ends_with_the_last_handle() {
    let storage = storage();
    let mut changes = storage.watch("").await.unwrap();
    storage.clone().set("k", &1).await.unwrap();
    drop(storage);
    assert!(changes.next().await.is_some());
    assert!(changes.next().await.is_none());
}
