//! What stands where in the folder, and what is kept out of it.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use driver_fs::{FsDriver, FsOptions};
use session_core::{
    Driver, DriverExt, ErrorKind, ListOptions, Outcome, Prefix, RemoveOptions, WriteOptions,
};

use crate::support::{Folder, eventually, key, open};

const MINUTE: Duration = Duration::from_secs(60);

async fn listed(driver: &FsDriver) -> Vec<String> {
    let page = driver.list(ListOptions::default()).await.unwrap();
    let mut names: Vec<String> = page
        .keys
        .iter()
        .map(|key| key.as_str().to_owned())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test_support::test]
async fn a_value_is_a_file_of_its_bytes_without_files_beside_it() {
    let folder = Folder::new().await;
    folder
        .driver
        .put("users:42:cart", "{\"n\":1}")
        .await
        .unwrap();
    folder
        .driver
        .put_with_ttl("k", vec![0, 0xff], MINUTE)
        .await
        .unwrap();
    assert_eq!(folder.names(), ["k", "users/42/cart"]);
    assert_eq!(
        fs::read(folder.base.join("users/42/cart")).unwrap(),
        b"{\"n\":1}"
    );
    assert_eq!(fs::read(folder.base.join("k")).unwrap(), [0, 0xff]);
}

#[test_support::test]
async fn a_removal_removes_the_folders_that_it_empties() {
    let folder = Folder::new().await;
    folder.driver.put("a:b:c", "v").await.unwrap();
    folder.driver.put("a:d", "v").await.unwrap();
    folder.driver.delete("a:b:c").await.unwrap();
    assert!(!folder.base.join("a/b").exists());
    folder.driver.delete("a:d").await.unwrap();
    assert_eq!(folder.base.read_dir().unwrap().count(), 0);
    folder.driver.put("a", "v").await.unwrap();
    assert_eq!(folder.names(), ["a"]);
}

#[test_support::test]
async fn an_empty_folder_does_not_prevent_a_write() {
    let folder = Folder::new().await;
    fs::create_dir(folder.base.join("a")).unwrap();
    assert_eq!(folder.driver.get("a").await.unwrap(), None);
    folder.driver.put("a", "v").await.unwrap();
    assert_eq!(folder.driver.get("a").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn modes_are_private_or_as_configured() {
    let folder = Folder::new().await;
    folder.driver.put("a:b", "v").await.unwrap();
    assert_eq!(mode(&folder.base), 0o700);
    assert_eq!(mode(&folder.base.join("a")), 0o700);
    assert_eq!(mode(&folder.base.join("a/b")), 0o600);
    // What a foreign writer made readable for all is not, once it is ours.
    let foreign = folder.base.join("foreign");
    fs::write(&foreign, "theirs").unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o644)).unwrap();
    folder.driver.put("foreign", "ours").await.unwrap();
    assert_eq!(mode(&foreign), 0o600);

    let shared = Folder::with(|options| options.mode = 0o664).await;
    shared.driver.put("a:b", "v").await.unwrap();
    assert_eq!(mode(&shared.base.join("a")), 0o775);
    assert_eq!(mode(&shared.base.join("a/b")), 0o664);
}

#[test_support::test]
async fn no_link_in_the_folder_is_followed() {
    let folder = Folder::new().await;
    let outside = folder.parent.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "of others").unwrap();
    symlink(&outside, folder.base.join("dir")).unwrap();
    symlink(outside.join("secret"), folder.base.join("file")).unwrap();
    symlink("nowhere", folder.base.join("dangling")).unwrap();
    symlink(".", folder.base.join("loop")).unwrap();

    let driver = &folder.driver;
    for name in [
        "dir:secret",
        "file",
        "dangling",
        "dir:new",
        "loop:file",
        "loop:x:y",
    ] {
        let key = key(name);
        let errors = [
            driver.read(&key).await.unwrap_err(),
            driver.exists(&key).await.unwrap_err(),
            driver
                .write(&key, "ours".into(), WriteOptions::default())
                .await
                .unwrap_err(),
            driver
                .write(&key, "ours".into(), WriteOptions::if_absent())
                .await
                .unwrap_err(),
            driver
                .remove(&key, RemoveOptions::default())
                .await
                .unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name}: {error}");
            assert_eq!(error.outcome(), Outcome::NotApplied);
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
    }
    assert_eq!(listed(driver).await, Vec::<String>::new());
    let page = driver
        .list(ListOptions::below(Prefix::new("dir").unwrap()))
        .await;
    assert!(page.is_err() || page.unwrap().keys.is_empty());
    driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"of others");
    assert_eq!(outside.read_dir().unwrap().count(), 1);
}

#[test_support::test]
async fn the_folder_itself_may_be_a_link() {
    let folder = Folder::new().await;
    let link = folder.parent.path().join("link");
    symlink(&folder.base, &link).unwrap();
    let driver = open(&link, |_| {}).await;
    driver.put("a:b", "v").await.unwrap();
    assert_eq!(folder.names(), ["a/b"]);
}

#[test_support::test]
async fn keys_never_leave_the_folder() {
    let folder = Folder::new().await;
    fs::write(folder.parent.path().join("beside"), "of others").unwrap();
    for name in ["..:beside", "a:..:..:beside", "..", "."] {
        let error = folder.driver.get(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name}");
        let error = folder.driver.put(name, "ours").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name}");
        for prefix in ["..", "a:..:.."] {
            let options = ListOptions::below(Prefix::from(&key(prefix)));
            assert!(folder.driver.list(options).await.unwrap().keys.is_empty());
        }
    }
    // An absolute path is one below the base.
    folder.driver.put("/tmp/x", "v").await.unwrap();
    assert_eq!(folder.names(), ["tmp/x"]);
    assert_eq!(
        fs::read(folder.parent.path().join("beside")).unwrap(),
        b"of others"
    );
}

#[test_support::test]
async fn an_invented_cursor_does_not_leave_the_folder() {
    let folder = Folder::new().await;
    fs::write(folder.parent.path().join("beside"), "of others").unwrap();
    folder.driver.put("a:b", "v").await.unwrap();
    for cursor in [
        "",
        "x",
        "-1",
        "9223372036854775807",
        "0/../0",
        "0/../../0",
        "0/a/0",
        "//",
        "0/no/5",
    ] {
        let options = ListOptions::default().after(session_core::Cursor::new(cursor));
        match folder.driver.list(options).await {
            Ok(page) => assert!(
                page.keys.iter().all(|key| key.as_str() == "a:b"),
                "{cursor}"
            ),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{cursor}: {error}"),
        }
    }
}

#[test_support::test]
async fn what_is_not_a_file_is_an_error_and_is_not_listed() {
    let folder = Folder::new().await;
    let path = folder.base.join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    let error = folder.driver.get("pipe").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
    let error = folder.driver.put("pipe", "v").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidKey);
    assert!(listed(&folder.driver).await.is_empty());
}

#[test_support::test]
async fn temporary_files_are_hidden_and_swept_when_they_are_old() {
    let folder = Folder::new().await;
    let (old, new) = (
        ".unstorage-tmp-1x-0a1b2c3d-1",
        ".unstorage-tmp-1x-0a1b2c3d-2",
    );
    folder.driver.put("a:k", "v").await.unwrap();
    for name in [old, new] {
        fs::write(folder.base.join("a").join(name), "half").unwrap();
        let error = folder.driver.get(&format!("a:{name}")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
    }
    assert_eq!(listed(&folder.driver).await, ["a:k"]);
    let file = fs::File::options()
        .append(true)
        .open(folder.base.join("a").join(old))
        .unwrap();
    file.set_modified(SystemTime::now() - 20 * MINUTE).unwrap();
    // A start sweeps.
    let sweeping = open(&folder.base, |options| {
        options.sweep_interval = Some(MINUTE)
    })
    .await;
    eventually(|| !folder.base.join("a").join(old).exists()).await;
    assert!(folder.base.join("a").join(new).exists());
    assert_eq!(sweeping.get("a:k").await.unwrap().unwrap(), "v");
    sweeping.close().await.unwrap();
}

#[test_support::test]
async fn only_expired_entries_are_swept() {
    let folder =
        Folder::with(|options| options.sweep_interval = Some(Duration::from_millis(20))).await;
    let driver = &folder.driver;
    driver.put("stays", "v").await.unwrap();
    driver.put_with_ttl("lives:on", "v", MINUTE).await.unwrap();
    for number in 0..300 {
        let name = format!("ends:{number}");
        driver
            .put_with_ttl(&name, "v", Duration::from_millis(1))
            .await
            .unwrap();
    }
    // A foreign writer took one over, whose end is void.
    driver
        .put_with_ttl("ends:taken", "ours", Duration::from_millis(200))
        .await
        .unwrap();
    fs::write(folder.base.join("ends/taken"), "them").unwrap();
    eventually(|| folder.names() == ["ends/taken", "lives/on", "stays"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(folder.names(), ["ends/taken", "lives/on", "stays"]);
}

#[test_support::test]
async fn ignored_files_are_not_listed_cleared_or_swept() {
    let folder = Folder::with(|options| options.ignore.push("cache/*.tmp".to_owned())).await;
    let driver = &folder.driver;
    for name in [
        "a",
        "cache:x.tmp",
        "cache:y",
        "lib:node_modules:z",
        ".git:config",
    ] {
        driver.put(name, "v").await.unwrap();
    }
    assert_eq!(listed(driver).await, ["a", "cache:y"]);
    driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(
        folder.names(),
        [".git/config", "cache/x.tmp", "lib/node_modules/z"]
    );
    assert_eq!(driver.get("cache:x.tmp").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn a_read_only_driver_changes_nothing() {
    let folder = Folder::new().await;
    folder.driver.put("k", "v").await.unwrap();
    folder
        .driver
        .put_with_ttl("ended", "v", Duration::from_millis(1))
        .await
        .unwrap();
    let driver = open(&folder.base, |options| {
        options.read_only = true;
        options.sweep_interval = Some(Duration::from_millis(1));
    })
    .await;
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    let key = key("k");
    for error in [
        driver
            .write(&key, "new".into(), WriteOptions::default())
            .await
            .unwrap_err(),
        driver
            .remove(&key, RemoveOptions::default())
            .await
            .unwrap_err(),
        driver
            .touch(&key, session_core::TouchOptions::default())
            .await
            .unwrap_err(),
        driver.clear(&Prefix::root()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    }
    driver.close().await.unwrap();
    assert_eq!(folder.names(), ["ended", "k"]);

    let missing = folder.parent.path().join("missing");
    let options = FsOptions::new(&missing).with_read_only(true);
    let error = FsDriver::open(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(!missing.exists());
}

#[test_support::test]
async fn a_removed_folder_is_an_empty_one() {
    let folder = Folder::new().await;
    folder.driver.put("a:b", "v").await.unwrap();
    fs::rename(&folder.base, folder.parent.path().join("moved")).unwrap();
    assert_eq!(folder.driver.get("a:b").await.unwrap(), None);
    assert!(listed(&folder.driver).await.is_empty());
    folder.driver.put("a:c", "v").await.unwrap();
    folder.driver.put("d", "v").await.unwrap();
    assert_eq!(folder.names(), ["a/c", "d"]);
    fs::remove_dir_all(&folder.base).unwrap();
    fs::rename(folder.parent.path().join("moved"), &folder.base).unwrap();
    assert_eq!(folder.driver.get("a:b").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn a_listing_pages_through_deep_and_wide_folders() {
    let folder = Folder::new().await;
    let deep = "d:".repeat(40) + "leaf";
    folder.driver.put(&deep, "v").await.unwrap();
    for number in 0..300 {
        folder
            .driver
            .put(&format!("wide:{}:{number}", number % 7), "v")
            .await
            .unwrap();
    }
    for limit in [1, 10, 64] {
        let mut options = ListOptions::default().with_limit(limit);
        let mut names = std::collections::BTreeSet::new();
        loop {
            let page = folder.driver.list(options.clone()).await.unwrap();
            assert!(page.keys.len() <= limit);
            names.extend(page.keys.iter().map(|key| key.as_str().to_owned()));
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(names.len(), 301);
        assert!(names.contains(&deep));
    }
}

#[test_support::test]
async fn a_key_has_at_most_64_segments() {
    let folder = Folder::new().await;
    let deepest = "d:".repeat(63) + "k";
    folder.driver.put(&deepest, "v").await.unwrap();
    assert_eq!(listed(&folder.driver).await, std::slice::from_ref(&deepest));
    folder.driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(folder.driver.get(&deepest).await.unwrap(), None);

    for segments in [65, 1_990] {
        let deeper = "d:".repeat(segments - 1) + "k";
        for error in [
            folder.driver.put(&deeper, "v").await.unwrap_err(),
            folder.driver.get(&deeper).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidKey);
            assert_eq!(error.outcome(), Outcome::NotApplied);
        }
        let below = ListOptions::below(Prefix::new(&deeper).unwrap());
        assert!(folder.driver.list(below).await.unwrap().keys.is_empty());
    }
    assert_eq!(folder.base.read_dir().unwrap().count(), 0);
}

/// Makes folders one in the other, each called `d`, and a file in the last one.
fn make_deep(folder: &Path, depth: usize) {
    use rustix::fs::{Mode, OFlags, mkdirat, openat};

    let flags = OFlags::DIRECTORY | OFlags::RDONLY;
    let mut at = rustix::fs::open(folder, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", flags, Mode::empty()).unwrap();
    }
    openat(&at, "k", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
}

#[test_support::test]
async fn a_folder_deeper_than_any_key_holds_up_no_listing_sweep_or_watch() {
    let folder = Folder::new().await;
    make_deep(&folder.base, 1_990);
    folder.driver.put("d:d:k", "v").await.unwrap();
    let started = std::time::Instant::now();
    for limit in [1, 1_000] {
        let options = ListOptions::default().with_limit(limit);
        let page = folder.driver.list(options).await.unwrap();
        assert_eq!(page.keys, [key("d:d:k")]);
    }
    let _changes = folder.driver.watch(&Prefix::root()).await.unwrap();
    let sweeping = open(&folder.base, |options| {
        options.sweep_interval = Some(MINUTE)
    })
    .await;
    sweeping.close().await.unwrap();
    folder.driver.clear(&Prefix::root()).await.unwrap();
    assert!(listed(&folder.driver).await.is_empty());
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
}

#[test_support::test]
async fn a_path_that_cannot_be_a_folder_is_refused_with_the_path() {
    let folder = Folder::new().await;
    let file = folder.parent.path().join("file");
    fs::write(&file, "no folder").unwrap();
    for base in [file.clone(), file.join("below")] {
        let error = FsDriver::open(FsOptions::new(&base)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(
            error.to_string().contains(&*base.to_string_lossy()),
            "{error}"
        );
    }
}
