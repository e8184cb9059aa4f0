//! Reads beside every kind of change to a file.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::{Driver, DriverExt, Entry, ErrorKind, Expiry, TouchOptions};

use crate::support::{Folder, eventually, key, open};

const MINUTE: Duration = Duration::from_secs(60);

/// Writes an entry for each of `names`, and reads them, so that the system has them in memory.
async fn stored(names: &[&str]) -> (Folder, Vec<Entry>) {
    let folder = Folder::new().await;
    let mut entries = Vec::new();
    for name in names {
        folder
            .driver
            .put_with_ttl(name, "ours", MINUTE)
            .await
            .unwrap();
        entries.push(read(&folder, name).await.unwrap());
    }
    (folder, entries)
}

async fn read(folder: &Folder, name: &str) -> Option<Entry> {
    folder.driver.read(&key(name)).await.unwrap()
}

#[test_support::test]
async fn a_read_sees_every_change_of_a_file() {
    let names = ["in-place", "replaced", "removed", "bare", "linked", "moved"];
    let (folder, entries) = stored(&names).await;
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
async fn a_read_sees_the_expiry_that_another_process_set() {
    let (folder, entries) = stored(&["k"]).await;
    let other = open(&folder.base, |_| {}).await;
    let soon = TouchOptions::to(Expiry::after(Duration::from_secs(1)));
    assert!(other.touch(&key("k"), soon).await.unwrap());
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
