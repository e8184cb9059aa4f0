//! Copies from one storage to another.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use session_core::ErrorKind;
use session_storage::{CopyProgress, Storage};

use crate::support::{fill, keys, memory, storage};

async fn copied(from: &Storage, base: &str, to: &Storage, target: &str) -> Vec<CopyProgress> {
    from.copy_to(base, to, target).try_collect().await.unwrap()
}

#[test_support::test]
async fn all_items_are_copied_with_metadata_and_expiry() {
    let (from, to) = (storage(), storage());
    from.mount("app:m", memory()).unwrap();
    from.set("app:text", "123").await.unwrap();
    from.set_raw("app:m:raw", vec![0xff, 0]).await.unwrap();
    from.set_with_ttl("app:ending", &1, Duration::from_secs(60))
        .await
        .unwrap();
    from.set_metadata("app:text", &json!({ "by": "Ada" }))
        .await
        .unwrap();
    from.set("beside", &1).await.unwrap();
    let progress = copied(&from, "app", &to, "copy").await;
    assert_eq!(progress.last().unwrap().items, 4);
    assert_eq!(progress.last().unwrap().bytes, 3 + 2 + 1 + 12);
    assert_eq!(
        keys(&to, "").await,
        ["copy:ending", "copy:m:raw", "copy:text"]
    );
    assert_eq!(
        to.snapshot("copy").await.unwrap(),
        from.snapshot("app").await.unwrap()
    );
    assert_eq!(
        to.metadata("copy:text").await.unwrap().unwrap().custom["by"],
        "Ada"
    );
}

#[test_support::test]
async fn progress_grows_batch_by_batch_and_dropping_stops() {
    let (from, to) = (storage(), storage());
    for number in 0..100 {
        from.set(&format!("k:{number}"), &number).await.unwrap();
    }
    let mut copying = from.copy_to("", &to, "").boxed();
    let first = copying.try_next().await.unwrap().unwrap();
    drop(copying);
    assert!((1..100).contains(&first.items));
    assert_eq!(keys(&to, "").await.len() as u64, first.items);
    let progress = copied(&from, "", &to, "").await;
    assert!(
        progress
            .windows(2)
            .all(|pair| pair[0].items < pair[1].items)
    );
    assert_eq!(keys(&to, "").await.len(), 100);
}

#[test_support::test]
async fn a_base_is_not_copied_into_itself() {
    let storage = storage();
    fill(&storage, &["a:1"]).await;
    for (base, target) in [("a", "a"), ("a", "a:b"), ("a:b", "a"), ("", "copy")] {
        let error = storage
            .copy_to(base, &storage, target)
            .try_collect::<Vec<_>>()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{base} {target}");
    }
    assert_eq!(
        copied(&storage, "a", &storage.prefix("b").unwrap(), "")
            .await
            .len(),
        1
    );
    assert_eq!(keys(&storage, "").await, ["a:1", "b:1"]);
}
