//! Listing keys: over mounts, with a depth limit, without metadata.

use futures_util::TryStreamExt;
use session_core::{Key, ListOptions, Prefix};

use crate::support::{fill, keys, keys_to_depth, memory, storage};

#[test_support::test]
async fn keys_of_all_mounts_are_listed_once() {
    let storage = storage();
    fill(&storage, &["a", "m:hidden", "m:n:hidden", "mm:x"]).await;
    for base in ["m", "m:n"] {
        storage.mount(base, memory()).unwrap();
    }
    fill(&storage, &["m", "m:1", "m:n:1", "m:n"]).await;
    assert_eq!(
        keys(&storage, "").await,
        ["a", "m", "m:1", "m:n", "m:n:1", "mm:x"]
    );
    assert_eq!(keys(&storage, "m").await, ["m:1", "m:n", "m:n:1"]);
    assert_eq!(keys(&storage, "m:n").await, ["m:n:1"]);
    assert_eq!(keys(&storage, "m:n:1").await, [""; 0]);
}

#[test_support::test]
async fn a_base_is_normalised() {
    let storage = storage();
    fill(&storage, &["a:b:c", "a:bc:d"]).await;
    for base in ["a:b", "/a/b/", "a::b:", "a\\b", ":a:b"] {
        assert_eq!(keys(&storage, base).await, ["a:b:c"], "{base}");
    }
    for base in ["", "/", ":"] {
        assert_eq!(keys(&storage, base).await.len(), 2, "{base}");
    }
}

/// unstorage lists nothing here, because its depth includes the prefix.
#[test_support::test]
async fn bug_depth_below_a_prefix_counts_from_the_prefix() {
    let storage = storage();
    fill(&storage, &["app:a", "app:b:c"]).await;
    let app = storage.prefix("app").unwrap();
    assert_eq!(keys_to_depth(&app, "", 0).await, ["a"]);
    assert_eq!(keys_to_depth(&app, "", 1).await, ["a", "b:c"]);
}

/// unstorage lists `mnt:x` here if the mounted driver limits the depth itself, as its `fs` does.
#[test_support::test]
async fn bug_depth_counts_the_base_of_a_mount() {
    let storage = storage();
    storage.mount("mnt", memory()).unwrap();
    fill(&storage, &["a", "mnt:x", "mnt:y:z"]).await;
    assert_eq!(keys_to_depth(&storage, "", 0).await, ["a"]);
    assert_eq!(keys_to_depth(&storage, "", 1).await, ["a", "mnt:x"]);
    assert_eq!(keys_to_depth(&storage, "mnt", 1).await, ["mnt:x"]);
}

#[test_support::test]
async fn only_the_driver_lists_the_keys_of_metadata() {
    let storage = storage();
    fill(&storage, &["a", "a$", "b$:c"]).await;
    assert_eq!(keys(&storage, "").await, ["a", "b$:c"]);
    let page = storage
        .as_driver()
        .list(ListOptions::default())
        .await
        .unwrap();
    assert_eq!(page.keys.len(), 3);
}

#[test_support::test]
async fn a_listing_continues_although_mounts_are_added_and_removed() {
    let storage = storage();
    storage.mount("m", memory()).unwrap();
    storage.mount("nn", memory()).unwrap();
    let names: Vec<String> = (0..50)
        .flat_map(|number| ["a", "m", "nn"].map(|base| format!("{base}:{number}")))
        .collect();
    for name in &names {
        storage.set(name, &1).await.unwrap();
    }
    let driver = storage.as_driver();
    let mut options = ListOptions::below(Prefix::root()).with_limit(7);
    let (mut listed, mut pages) = (Vec::<Key>::new(), 0);
    loop {
        let page = driver.list(options.clone()).await.unwrap();
        listed.extend(page.keys);
        let Some(cursor) = page.next else { break };
        options.cursor = Some(cursor);
        // Empty mounts with bases of all lengths, which hide no keys.
        storage.mount(&"x".repeat(pages % 4 + 1), memory()).ok();
        if pages % 3 == 0 {
            storage.unmount("x").ok();
        }
        pages += 1;
    }
    let mut listed: Vec<&str> = listed.iter().map(Key::as_str).collect();
    listed.sort_unstable();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(listed, names);
}

#[test_support::test]
async fn a_cursor_of_another_driver_is_an_error() {
    let driver = storage().as_driver();
    for cursor in ["", "x", "/x", "m/x"] {
        let options = ListOptions::default().after(session_core::Cursor::new(cursor));
        assert!(driver.list(options).await.is_err(), "{cursor:?}");
    }
}

#[test_support::test]
async fn streams_do_not_borrow_the_storage() {
    let storage = storage();
    fill(&storage, &["a", "b"]).await;
    let (listing, items) = (storage.keys(""), storage.items(""));
    drop(storage);
    assert_eq!(listing.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    assert_eq!(items.try_collect::<Vec<_>>().await.unwrap().len(), 2);
}
