//! Batches over several mounts.

use std::time::Duration;

use conformance_tests::{Counting, Fault, Faulty, Operation};
use driver_memory::MemoryDriver;
use session_core::{ErrorKind, Expiry, WriteOptions, WriteOutcome};
use session_storage::Storage;
use std::sync::Arc;

use crate::support::{fill, key, memory, storage};

/// unstorage returns `m2:a, m2:b, q, m1:a` here.
#[test_support::test]
async fn bug_grouped_results_keep_the_order_of_the_input() {
    let storage = storage();
    storage.mount("m1", memory()).unwrap();
    storage.mount("m2", memory()).unwrap();
    fill(&storage, &["m1:a", "m2:a", "m2:b", "q"]).await;
    let asked = ["m2:a", "q", "m1:a", "missing", "m2:b", "q"];
    let values: Vec<Option<String>> = storage.get_many(&asked).await.unwrap();
    let expected = asked.map(|key| (key != "missing").then(|| key.to_owned()));
    assert_eq!(values, expected);
}

#[test_support::test]
async fn a_write_that_fails_does_not_affect_the_others() {
    let storage = storage();
    let faulty = Faulty::new(MemoryDriver::new());
    faulty
        .faults()
        .outage(Fault::before(ErrorKind::Unavailable));
    storage.mount("down", Arc::new(faulty)).unwrap();
    storage.mount("up", memory()).unwrap();
    let items = [("up:a", 1), ("down:a", 2), ("::", 3), ("b", 4), ("up:a", 5)];
    let kinds: Vec<_> = storage
        .set_many(items)
        .await
        .into_iter()
        .map(|result| result.err().map(|error| error.kind()))
        .collect();
    assert_eq!(
        kinds,
        [
            None,
            Some(ErrorKind::Unavailable),
            Some(ErrorKind::InvalidKey),
            None,
            None
        ]
    );
    assert_eq!(storage.get("up:a").await.unwrap(), Some(5));
    assert_eq!(storage.get("b").await.unwrap(), Some(4));
}

#[test_support::test]
async fn each_write_of_a_batch_has_its_expiry_and_condition() {
    let storage = storage();
    storage.set("there", &0).await.unwrap();
    let ending = WriteOptions::default().with_expiry(Expiry::after(Duration::from_secs(60)));
    let outcomes = storage
        .set_many_with([
            ("a", 1, ending),
            ("there", 2, WriteOptions::if_absent()),
            ("b", 3, WriteOptions::default()),
        ])
        .await;
    let written: Vec<bool> = outcomes
        .into_iter()
        .map(|outcome| matches!(outcome.unwrap(), WriteOutcome::Written { .. }))
        .collect();
    assert_eq!(written, [true, false, true]);
    let driver = storage.as_driver();
    let end = |name| {
        let driver = driver.clone();
        async move { driver.read(&key(name)).await.unwrap().unwrap().expires_at }
    };
    assert!(end("a").await.is_some());
    assert!(end("b").await.is_none());
    assert_eq!(storage.get("there").await.unwrap(), Some(0));
}

/// unstorage's issue #392.
#[test_support::test]
async fn a_batch_is_one_operation_of_each_driver() {
    let (one, other) = (
        Counting::new(MemoryDriver::new()),
        Counting::new(MemoryDriver::new()),
    );
    let counts = [one.counts(), other.counts()];
    let storage = Storage::new(Arc::new(one));
    storage.mount("m", Arc::new(other)).unwrap();
    let keys = ["a", "m:a", "b", "m:b", "c"];
    for result in storage.set_many(keys.map(|key| (key, 1))).await {
        result.unwrap();
    }
    storage.get_many::<u8>(&keys).await.unwrap();
    storage.remove_many(&keys).await.unwrap();
    for counts in counts {
        assert_eq!(counts.total(), 3);
        for operation in [
            Operation::WriteMany,
            Operation::ReadMany,
            Operation::RemoveMany,
        ] {
            assert_eq!(counts.of(operation), 1);
        }
    }
}

#[test_support::test]
async fn empty_batches_succeed() {
    let storage = storage();
    assert!(storage.set_many([] as [(&str, u8); 0]).await.is_empty());
    assert!(
        storage
            .get_many::<u8>(&[] as &[&str])
            .await
            .unwrap()
            .is_empty()
    );
    storage.remove_many(&[] as &[&str]).await.unwrap();
}
