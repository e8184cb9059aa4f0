//! Listing and clearing 200,000 keys needs little memory. It is measured in a separate process.

use std::process::Command;
use std::sync::Arc;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::TryStreamExt;
use session_core::{Expiry, Key, Write, WriteOptions};
use session_storage::Storage;

use crate::support::storage;

/// The variable that tells a test that it runs in the measured process.
const MEASURED: &str = "STORAGE_TEST_MEASURED";

const KEYS: usize = 200_000;
const MOST_KIB: u64 = 100 * 1_024;

/// The peak memory of this process, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs the test `name` in a separate process, and returns the peak memory that it prints.
fn peak_of(name: &str) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MEASURED, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let line = said
        .lines()
        .find_map(|line| line.split("peak: ").nth(1))
        .unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

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
    println!("peak: {}", peak());
}

#[test_support::test]
async fn a_file_of_many_keys_over_mounts_is_listed_and_cleared_in_little_memory() {
    if std::env::var_os(MEASURED).is_some() {
        let folder = tempfile::tempdir().unwrap();
        let open = async |name: &str| {
            let options = SqliteOptions::new(folder.path().join(name));
            Arc::new(SqliteDriver::open(options).await.unwrap())
        };
        let storage = Storage::new(open("root.db").await);
        storage.mount("base:m", open("mounted.db").await).unwrap();
        // With a watcher, the storage is cleared key by key.
        let _changes = storage.watch("").await.unwrap();
        list_and_clear(&storage).await;
        storage.close().await.unwrap();
        return;
    }
    let name = "memory::a_file_of_many_keys_over_mounts_is_listed_and_cleared_in_little_memory";
    let peak = peak_of(name);
    println!("{peak} KiB");
    assert!(peak < MOST_KIB, "{peak} KiB");
}

#[test_support::test]
async fn a_map_of_many_keys_is_listed_and_cleared_in_little_memory_beside_it() {
    if std::env::var_os(MEASURED).is_some() {
        list_and_clear(&storage()).await;
        return;
    }
    let peak =
        peak_of("memory::a_map_of_many_keys_is_listed_and_cleared_in_little_memory_beside_it");
    println!("{peak} KiB");
    assert!(peak < MOST_KIB, "{peak} KiB");
}
