//! Listing and clearing 200,000 keys needs little memory. It is measured in a separate process.

use std::sync::Arc;
use std::time::Duration;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::TryStreamExt;
use session_core::{Expiry, Key, Write, WriteOptions};
use session_storage::Storage;
use test_support::memory_growth;

use crate::support::storage;

const KEYS: usize = 200_000;

/// How far the peak of the process may rise.
const MOST: u64 = 100 << 20;

async fn fill(storage: &Storage) {
    let driver = storage.as_driver();
    let keys: Vec<usize> = (0..KEYS).collect();
    for chunk in keys.chunks(1_000) {
        let write = |number: &usize| {
            Write::new(
                Key::new(&format!("base:{}:{number:08}", ["a", "m"][number % 2])).unwrap(),
                "0123456789",
            )
            .with_options(WriteOptions::default().with_expiry(Expiry::Never))
        };
        for outcome in driver.write_many(chunk.iter().map(write).collect()).await {
            let _unconditional = outcome.unwrap();
        }
    }
}

async fn count(storage: &Storage) -> usize {
    storage
        .keys("base")
        .try_fold(0, |count, _| async move { Ok(count + 1) })
        .await
        .unwrap()
}

async fn list_and_clear(storage: &Storage) {
    fill(storage).await;
    assert_eq!(count(storage).await, KEYS);
    storage.clear("base").await.unwrap();
    assert_eq!(count(storage).await, 0);
}

#[test_support::test]
async fn a_file_of_many_keys_over_mounts_is_listed_and_cleared_in_little_memory() {
    let name = "memory::a_file_of_many_keys_over_mounts_is_listed_and_cleared_in_little_memory";
    let growth = memory_growth(name, async {
        let folder = tempfile::tempdir().unwrap();
        let open = async |name: &str| {
            // A checkpoint may take seconds on a slow disk, and time is not what is tested here.
            let options =
                SqliteOptions::new(folder.path().join(name)).with_timeout(Duration::from_secs(30));
            Arc::new(SqliteDriver::open(options).await.unwrap())
        };
        let storage = Storage::new(open("root.db").await);
        storage.mount("base:m", open("mounted.db").await).unwrap();
        // With a watcher, the storage is cleared key by key.
        let _changes = storage.watch("").await.unwrap();
        list_and_clear(&storage).await;
        storage.close().await.unwrap();
    });
    let growth = growth.await;
    assert!(growth < MOST, "{growth}");
}

#[test_support::test]
async fn a_map_of_many_keys_is_listed_and_cleared_in_little_memory_beside_it() {
    let name = "memory::a_map_of_many_keys_is_listed_and_cleared_in_little_memory_beside_it";
    let growth = memory_growth(name, async { list_and_clear(&storage()).await });
    let growth = growth.await;
    assert!(growth < MOST, "{growth}");
}
