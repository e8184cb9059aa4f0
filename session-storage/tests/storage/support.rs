//! Helpers for these tests.

use std::sync::Arc;

use driver_memory::MemoryDriver;
use futures_util::TryStreamExt;
use session_core::{Driver, Key};
use session_storage::Storage;

pub(crate) fn memory() -> Arc<dyn Driver> {
    Arc::new(MemoryDriver::new())
}

pub(crate) fn storage() -> Storage {
    Storage::new(memory())
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// The keys below `base`, sorted.
pub(crate) async fn keys(storage: &Storage, base: &str) -> Vec<String> {
    sorted(storage.keys(base).try_collect().await.unwrap())
}

pub(crate) async fn keys_to_depth(storage: &Storage, base: &str, depth: usize) -> Vec<String> {
    sorted(
        storage
            .keys_to_depth(base, depth)
            .try_collect()
            .await
            .unwrap(),
    )
}

fn sorted(keys: Vec<Key>) -> Vec<String> {
    let mut keys: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
    keys.sort_unstable();
    keys
}

/// Writes each name under itself as the key.
pub(crate) async fn fill(storage: &Storage, names: &[&str]) {
    for name in names {
        storage.set(name, name).await.unwrap();
    }
}
