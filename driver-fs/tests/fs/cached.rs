//! Values that stay in memory while their files are left alone.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::{Driver, DriverExt, Entry, ErrorKind, Expiry, TouchOptions};

use crate::support::{Folder, eventually, key, open};

const MINUTE: Duration = Duration::from_secs(60);

/// Writes an entry for each of `names`, and reads them once they have been left alone long enough to be kept.
async fn kept(names: &[&str]) -> (Folder, Vec<Entry>) {
    let folder = Folder::new().await;
    for name in names {
        folder
            .driver
            .put_with_ttl(name, "ours", MINUTE)
            .await
            .unwrap();
    }
    left_alone(&folder, names).await;
    let mut entries = Vec::new();
    for name in names {
        entries.push(read(&folder, name).await.unwrap());
        let again = read(&folder, name).await.unwrap();
        let first = entries.last().unwrap();
        assert_eq!(again.value.as_ptr(), first.value.as_ptr(), "{name}");
    }
    (folder, entries)
}

/// Waits until the last change of the files is long ago.
async fn left_alone(folder: &Folder, names: &[&str]) {
    eventually(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_secs()).unwrap();
        let changed = |name| fs::metadata(folder.base.join(name)).unwrap().ctime();
        names.iter().all(|name| now - changed(name) > 3)
    })
    .await;
}

async fn read(folder: &Folder, name: &str) -> Option<Entry> {
    folder.driver.read(&key(name)).await.unwrap()
}

#[test_support::test]
async fn a_cached_value_is_dropped_when_its_file_changes_in_any_way() {
    let names = ["in-place", "replaced", "removed", "bare", "linked", "moved"];
    let (folder, entries) = kept(&names).await;
    let path = |name: &str| folder.base.join(name);

    // As long as it was, and said to be as old.
    let modified = fs::metadata(path("in-place")).unwrap().modified().unwrap();
    let mut file = fs::File::options()
        .write(true)
        .open(path("in-place"))
        .unwrap();
    file.write_all(b"them").unwrap();
    file.set_modified(modified).unwrap();
    drop(file);
    let found = read(&folder, "in-place").await.unwrap();
    assert_eq!((&*found.value, found.expires_at), (&b"them"[..], None));

    fs::write(path(".new"), "them").unwrap();
    fs::rename(path(".new"), path("replaced")).unwrap();
    assert_eq!(read(&folder, "replaced").await.unwrap().value, "them");

    fs::remove_file(path("removed")).unwrap();
    assert_eq!(read(&folder, "removed").await, None);

    rustix::fs::removexattr(path("bare"), "user.session-kit").unwrap();
    assert_eq!(read(&folder, "bare").await.unwrap().expires_at, None);

    fs::remove_file(path("linked")).unwrap();
    std::os::unix::fs::symlink(path("moved"), path("linked")).unwrap();
    let error = folder.driver.read(&key("linked")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);

    // With its attributes, so as a whole.
    fs::rename(path("moved"), path("removed")).unwrap();
    assert_eq!(read(&folder, "moved").await, None);
    assert_eq!(read(&folder, "removed").await.as_ref(), entries.last());
}

#[test_support::test]
async fn a_cached_value_has_the_expiry_that_another_process_set() {
    let (folder, entries) = kept(&["k"]).await;
    let other = open(&folder.base, |_| {}).await;
    let soon = TouchOptions::to(Expiry::after(Duration::from_secs(5)));
    assert!(other.touch(&key("k"), soon).await.unwrap());
    left_alone(&folder, &["k"]).await;
    let kept = read(&folder, "k").await.unwrap();
    assert!(kept.expires_at < entries.first().unwrap().expires_at);
    let end = kept.expires_at.unwrap().as_millis();
    eventually(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_millis() > u128::from(end)
    })
    .await;
    assert_eq!(read(&folder, "k").await, None);
}
