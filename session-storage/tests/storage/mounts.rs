//! Mounts, and parts of a storage.

use futures_util::TryStreamExt;
use session_core::{DriverExt, ErrorKind};
use session_storage::Storage;

use crate::support::{fill, keys, memory, storage};

fn bases(storage: &Storage) -> Vec<String> {
    let mounts = storage.mounts().unwrap();
    mounts
        .iter()
        .map(|mount| mount.base().as_str().to_owned())
        .collect()
}

#[test_support::test]
async fn the_most_specific_mount_holds_a_key() {
    let storage = storage();
    for base in ["mnt", "/cache", "cache/sub"] {
        storage.mount(base, memory()).unwrap();
    }
    for (key, base) in [
        ("cache:", ""),
        ("cache:foo", "cache"),
        ("cache:sub", "cache"),
        ("cache:sub:foo", "cache:sub"),
        ("cached:foo", ""),
        ("x", ""),
    ] {
        assert_eq!(
            storage.mount_of(key).unwrap().base().as_str(),
            base,
            "{key}"
        );
    }
    assert_eq!(bases(&storage), ["cache:sub", "cache", "mnt", ""]);
    assert_eq!(bases(&storage.prefix("cache").unwrap()), ["sub", ""]);
    assert_eq!(bases(&storage.prefix("cache:sub:deeper").unwrap()), [""]);
}

#[test_support::test]
async fn the_key_that_equals_a_base_is_not_in_the_mount() {
    let (storage, mounted) = (storage(), memory());
    storage.mount("mnt", mounted.clone()).unwrap();
    fill(&storage, &["mnt", "mnt:a"]).await;
    let held: Vec<_> = mounted
        .keys(session_core::Prefix::root())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].as_str(), "a");
    storage.unmount("mnt").unwrap();
    assert_eq!(keys(&storage, "").await, ["mnt"]);
}

#[test_support::test]
async fn a_mount_hides_the_keys_below_it_until_it_is_unmounted() {
    let storage = storage();
    fill(&storage, &["mnt:test.txt", "mnt:foo:test.txt"]).await;
    storage.mount("mnt", memory()).unwrap();
    assert!(!storage.has("mnt:test.txt").await.unwrap());
    storage.mount("mnt:foo", memory()).unwrap();
    assert_eq!(
        storage.get::<String>("/mnt/foo/test.txt").await.unwrap(),
        None
    );
    storage.set("mnt:test.txt", "v2").await.unwrap();
    assert_eq!(keys(&storage, "").await, ["mnt:test.txt"]);
    storage.unmount("mnt").unwrap();
    assert_eq!(keys(&storage, "").await, ["mnt:test.txt"]);
    storage.unmount("mnt:foo").unwrap();
    let value: Option<String> = storage.get("mnt:test.txt").await.unwrap();
    assert_eq!(value.unwrap(), "mnt:test.txt");
    assert_eq!(keys(&storage, "").await.len(), 2);
}

/// unstorage silently replaces the old driver.
#[test_support::test]
async fn bug_the_root_cannot_be_mounted_again_or_unmounted() {
    let storage = storage();
    storage.set("k", &1).await.unwrap();
    for base in ["", "/", "::"] {
        assert_eq!(
            storage.mount(base, memory()).unwrap_err().kind(),
            ErrorKind::InvalidConfig
        );
        assert_eq!(
            storage.unmount(base).unwrap_err().kind(),
            ErrorKind::InvalidConfig
        );
    }
    assert_eq!(storage.get("k").await.unwrap(), Some(1));
}

#[test_support::test]
async fn a_base_can_only_be_mounted_once() {
    let storage = storage();
    storage.mount("mnt", memory()).unwrap();
    let error = storage
        .prefix("mnt")
        .unwrap()
        .mount("", memory())
        .unwrap_err();
    assert!(error.to_string().contains("mnt"), "{error}");
    assert!(storage.mount("/mnt/", memory()).is_err());
    assert!(storage.unmount("other").is_err());
}

#[test_support::test]
async fn unmounting_returns_the_open_driver() {
    let storage = storage();
    storage.mount("mnt", memory()).unwrap();
    storage.set("mnt:k", &1).await.unwrap();
    let driver = storage.unmount("mnt").unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "1");
    assert!(!storage.has("mnt:k").await.unwrap());
    storage.mount("again", driver).unwrap();
    assert_eq!(storage.get("again:k").await.unwrap(), Some(1));
}

#[test_support::test]
async fn a_part_of_a_storage_is_a_storage() {
    let storage = storage();
    let part = storage.prefix("/app/").unwrap().prefix("v1").unwrap();
    part.set("k", &1).await.unwrap();
    part.mount("m", memory()).unwrap();
    part.set("m:k", &2).await.unwrap();
    assert_eq!(keys(&storage, "").await, ["app:v1:k", "app:v1:m:k"]);
    assert_eq!(keys(&part, "").await, ["k", "m:k"]);
    assert_eq!(part.mount_of("m:k").unwrap().base().as_str(), "m");
    assert_eq!(
        storage.mount_of("app:v1:m:k").unwrap().base().as_str(),
        "app:v1:m"
    );
    part.remove("k").await.unwrap();
    part.unmount("m").unwrap();
    assert!(keys(&storage, "").await.is_empty());
    assert_eq!(
        keys(&storage.prefix("").unwrap(), "").await,
        keys(&storage, "").await
    );
}

/// unstorage 1 drops everything after a `?` in the prefix, the key included. Version 2 refuses it.
#[test_support::test]
async fn bug_a_base_that_would_stand_for_another_one_is_an_error() {
    let storage = storage();
    fill(&storage, &["a:k", "tenant:k", "k"]).await;
    let part = storage.prefix("a").unwrap();
    for base in ["?x", "a?x=1", "tenant?1", "..", "a/../b", "./a", "a:."] {
        for error in [
            storage.prefix(base).err(),
            storage.clear(base).await.err(),
            part.clear(base).await.err(),
            storage.mount(base, memory()).err(),
            storage.unmount(base).err(),
            storage.snapshot(base).await.err(),
            storage.restore(base, &Default::default()).await.err(),
            storage.watch(base).await.err(),
            storage.keys(base).try_collect::<Vec<_>>().await.err(),
            storage.items(base).try_collect::<Vec<_>>().await.err(),
            copied(&storage, base, "b").await.err(),
            copied(&storage, "a", base).await.err(),
        ] {
            assert_eq!(error.unwrap().kind(), ErrorKind::InvalidKey, "{base}");
        }
    }
    assert_eq!(keys(&storage, "").await, ["a:k", "k", "tenant:k"]);
    for base in ["a", "/a/", "a:", "a\\", "::a"] {
        assert_eq!(keys(&storage, base).await, ["a:k"], "{base}");
    }
}

async fn copied(storage: &Storage, base: &str, target: &str) -> session_core::Result<()> {
    let other = crate::support::storage();
    storage
        .copy_to(base, &other, target)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
}

#[test_support::test]
async fn a_storage_is_a_driver_of_another() {
    let inner = storage();
    inner.mount("deep", memory()).unwrap();
    let outer = storage();
    outer.mount("inner", inner.as_driver()).unwrap();
    fill(&outer, &["inner:a", "inner:deep:b", "c"]).await;
    assert_eq!(keys(&inner, "").await, ["a", "deep:b"]);
    assert_eq!(
        keys(&outer.prefix("inner").unwrap(), "deep").await,
        ["deep:b"]
    );
    outer.clear("inner:deep").await.unwrap();
    assert_eq!(keys(&outer, "").await, ["c", "inner:a"]);
}

#[test_support::test]
async fn an_empty_key_is_an_error() {
    let part = storage().prefix("app").unwrap();
    for key in ["", ":", "?x", "//"] {
        assert_eq!(
            part.set(key, &1).await.unwrap_err().kind(),
            ErrorKind::InvalidKey
        );
        assert_eq!(
            part.get::<u8>(key).await.unwrap_err().kind(),
            ErrorKind::InvalidKey
        );
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn mounting_during_other_operations_is_safe() {
    let storage = storage();
    let worker = {
        let storage = storage.clone();
        tokio::spawn(async move {
            for number in 0..2_000_u32 {
                storage.set("stays:k", &number).await.unwrap();
                assert_eq!(storage.get("stays:k").await.unwrap(), Some(number));
            }
        })
    };
    for _ in 0..200 {
        storage.mount("comes", memory()).unwrap();
        storage.set("comes:k", &1).await.unwrap();
        tokio::task::yield_now().await;
        storage.unmount("comes").unwrap();
        assert!(!storage.has("comes:k").await.unwrap());
    }
    worker.await.unwrap();
}
