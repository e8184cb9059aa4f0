//! Writers that know nothing of this driver, and write in place.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use session_core::{
    ChangeKind, Driver, DriverExt, ErrorKind, Expiry, Prefix, Timestamp, TouchOptions,
    WriteOptions, WriteOutcome,
};

use crate::support::{Folder, key};

const MINUTE: Duration = Duration::from_secs(60);

#[test_support::test]
async fn an_expiry_is_ignored_for_another_value_of_the_same_length_and_time() {
    let folder = Folder::new().await;
    let path = folder.base.join("k");
    folder
        .driver
        .put_with_ttl("k", "ours", MINUTE)
        .await
        .unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mut file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all(b"them").unwrap();
    file.set_modified(modified).unwrap();
    drop(file);
    let entry = folder.driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!((&*entry.value, entry.expires_at), (&b"them"[..], None));
}

#[test_support::test]
async fn a_copy_with_attributes_keeps_the_expiry_and_one_without_has_none() {
    let folder = Folder::new().await;
    folder.driver.put_with_ttl("k", "v", MINUTE).await.unwrap();
    let end = folder
        .driver
        .read(&key("k"))
        .await
        .unwrap()
        .unwrap()
        .expires_at;
    let copy = |option: &str, name: &str| {
        let copied = std::process::Command::new("cp")
            .args([option, "k", name])
            .current_dir(&folder.base)
            .status();
        assert!(copied.unwrap().success());
    };
    copy("-a", "whole");
    copy("-f", "bare");
    let read = async |name: &str| {
        folder
            .driver
            .read(&key(name))
            .await
            .unwrap()
            .unwrap()
            .expires_at
    };
    assert_eq!(read("whole").await, end);
    assert_eq!(read("bare").await, None);
}

#[test_support::test]
async fn a_touch_gives_an_expiry_to_a_foreign_value() {
    let folder = Folder::new().await;
    folder
        .driver
        .put_with_ttl("k", "ours", MINUTE)
        .await
        .unwrap();
    fs::write(folder.base.join("k"), "theirs").unwrap();
    let touch = async |end: Timestamp| {
        let options = TouchOptions::to(Expiry::At(end));
        assert!(folder.driver.touch(&key("k"), options).await.unwrap());
    };
    let later = Timestamp::now().saturating_add(MINUTE);
    touch(later).await;
    let entry = folder.driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(
        (&entry.value[..], entry.expires_at),
        (&b"theirs"[..], Some(later))
    );
    let soon = Timestamp::now().saturating_add(Duration::from_millis(50));
    touch(soon).await;
    tokio::time::sleep(soon.saturating_since(Timestamp::now())).await;
    assert_eq!(folder.driver.get("k").await.unwrap(), None);
}

/// Truncates and writes in two steps with time between, as a writer does that is not atomic.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_incomplete_for_a_moment_is_read_again() {
    let folder = Folder::new().await;
    let path = folder.base.join("k");
    let value = "x".repeat(50_000);
    fs::write(&path, &value).unwrap();
    let (written, at) = (value.clone(), path.clone());
    let writer = std::thread::spawn(move || {
        for _ in 0..30 {
            let mut file = fs::File::create(&at).unwrap();
            // So that the file is met as it is now: those who read do so all the time.
            std::thread::sleep(Duration::from_millis(1));
            for part in written.as_bytes().chunks(20_000) {
                file.write_all(part).unwrap();
            }
            drop(file);
            std::thread::sleep(Duration::from_millis(15));
        }
    });
    while !writer.is_finished() {
        let read = folder.driver.get("k").await.unwrap().unwrap();
        assert!(read == value, "a value of {} bytes", read.len());
    }
    writer.join().unwrap();
}

/// Truncates a file and writes `value` to it part by part, with pauses, as a slow writer does that is not atomic.
fn write_slowly(path: &Path, value: &str, pause: Duration) {
    let mut file = fs::File::create(path).unwrap();
    for part in value.as_bytes().chunks(value.len().div_ceil(3)) {
        std::thread::sleep(pause);
        file.write_all(part).unwrap();
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_written_slowly_is_read_whole_or_not_at_all() {
    let text = "not JSON, ".repeat(5_000);
    let json = serde_json::json!([["Map", 1], text]).to_string();
    // A text is known to be whole only when nothing has changed for a while, and a JSON text when it is one.
    for (value, rest) in [
        (text, Duration::from_millis(1_500)),
        (json, Duration::from_millis(100)),
    ] {
        let folder = Folder::new().await;
        let path = folder.base.join("k");
        fs::write(&path, &value).unwrap();
        let written = value.clone();
        let writer = std::thread::spawn(move || {
            for _ in 0..3 {
                write_slowly(&path, &written, Duration::from_millis(80));
                std::thread::sleep(rest);
            }
        });
        let mut whole = 0;
        while !writer.is_finished() {
            let reads = (0..4).map(|_| folder.driver.get("k"));
            for read in futures_util::future::join_all(reads).await {
                match read {
                    Ok(read) => {
                        assert!(read.as_deref() == Some(value.as_bytes()), "{read:?}");
                        whole += 1;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
                }
            }
        }
        writer.join().unwrap();
        assert!(whole > 0);
    }
}

#[test_support::test]
async fn a_value_that_is_never_left_alone_is_an_error_in_time() {
    let timeout = Duration::from_millis(800);
    let folder = Folder::with(|options| options.timeout = timeout).await;
    let path = folder.base.join("k");
    fs::write(&path, "half").unwrap();
    let started = std::time::Instant::now();
    let error = folder.driver.get("k").await.unwrap_err();
    assert!(started.elapsed() < timeout + Duration::from_secs(1));
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("in place"), "{error}");
    // However old or new it says that it is.
    let file = fs::File::options().append(true).open(&path).unwrap();
    for modified in [SystemTime::now() - MINUTE, SystemTime::now() + MINUTE] {
        file.set_modified(modified).unwrap();
        assert_eq!(folder.driver.get("k").await.unwrap().unwrap(), "half");
    }
}

#[test_support::test]
async fn an_empty_file_that_stays_empty_is_an_empty_value() {
    let folder = Folder::new().await;
    let path = folder.base.join("k");
    fs::write(&path, "").unwrap();
    assert_eq!(folder.driver.get("k").await.unwrap().unwrap(), "");
    // One that has been there for long is believed at once, and so is an empty value of ours.
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - MINUTE).unwrap();
    folder.driver.put("ours", "").await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(folder.driver.get("k").await.unwrap().unwrap(), "");
    assert_eq!(folder.driver.get("ours").await.unwrap().unwrap(), "");
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
}

#[test_support::test]
async fn a_condition_does_not_take_an_incomplete_value_for_another_version() {
    let folder = Folder::new().await;
    folder.driver.put("k", "whole").await.unwrap();
    let version = folder
        .driver
        .read(&key("k"))
        .await
        .unwrap()
        .unwrap()
        .version
        .unwrap();
    fs::write(folder.base.join("k"), "").unwrap();
    let options = WriteOptions::if_version(version);
    let outcome = folder
        .driver
        .write(&key("k"), "new".into(), options)
        .await
        .unwrap();
    assert_eq!(
        outcome,
        WriteOutcome::Conflict(session_core::ConflictState::Unknown)
    );
}

#[test_support::test]
async fn a_file_longer_than_a_value_may_be_is_an_error() {
    let folder = Folder::new().await;
    let file = fs::File::create(folder.base.join("huge")).unwrap();
    file.set_len(65 << 20).unwrap();
    let error = folder.driver.get("huge").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test_support::test]
async fn a_watcher_reports_foreign_writes_once_and_new_folders() {
    let folder = Folder::new().await;
    let mut changes = folder.driver.watch(&Prefix::root()).await.unwrap();
    let mut next = async || {
        let change = tokio::time::timeout(Duration::from_secs(10), changes.next()).await;
        let change = change.unwrap().unwrap().unwrap();
        (change.key.as_str().to_owned(), change.kind)
    };
    fs::write(folder.base.join("k"), "theirs").unwrap();
    assert_eq!(next().await, ("k".to_owned(), ChangeKind::Written));
    fs::write(folder.base.join("k"), "again").unwrap();
    assert_eq!(next().await, ("k".to_owned(), ChangeKind::Written));
    fs::remove_file(folder.base.join("k")).unwrap();
    assert_eq!(next().await, ("k".to_owned(), ChangeKind::Removed));

    // A folder that comes with what is in it.
    let outside = folder.parent.path().join("outside");
    fs::create_dir_all(outside.join("b")).unwrap();
    fs::write(outside.join("b/c"), "v").unwrap();
    fs::rename(&outside, folder.base.join("a")).unwrap();
    assert_eq!(next().await, ("a:b:c".to_owned(), ChangeKind::Written));
    folder.driver.put("a:b:c", "ours").await.unwrap();
    assert_eq!(next().await, ("a:b:c".to_owned(), ChangeKind::Written));
    for number in 0..50 {
        let name = format!("new{number}:x:k");
        folder.driver.put(&name, "v").await.unwrap();
        assert_eq!(next().await, (name, ChangeKind::Written));
    }
}

#[test_support::test]
async fn a_watch_ends_with_its_driver_and_reports_that_the_folder_was_removed() {
    let folder = Folder::new().await;
    let mut changes = folder.driver.watch(&Prefix::root()).await.unwrap();
    fs::remove_dir(&folder.base).unwrap();
    let error = changes.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(changes.next().await.is_none());

    let folder = Folder::new().await;
    let mut changes = folder.driver.watch(&Prefix::root()).await.unwrap();
    folder.driver.close().await.unwrap();
    assert!(changes.next().await.is_none());
    let refused = folder.driver.watch(&Prefix::root()).await;
    assert_eq!(refused.err().unwrap().kind(), ErrorKind::Closed);
}
