//! What these tests share.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use driver_fs::{FsDriver, FsOptions};
use session_core::{Driver, Key, WriteOptions, WriteOutcome};
use tempfile::TempDir;

/// A driver on a folder of its own, which does not sweep.
pub(crate) struct Folder {
    pub(crate) driver: Arc<FsDriver>,
    pub(crate) base: PathBuf,
    pub(crate) parent: TempDir,
}

impl Folder {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut FsOptions)) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let base = parent.path().join("sessions");
        let driver = Arc::new(open(&base, change).await);
        Self {
            driver,
            base,
            parent,
        }
    }

    /// The names in the folder, sorted, with `/` before what is in folders.
    pub(crate) fn names(&self) -> Vec<String> {
        names_below(&self.base)
    }
}

pub(crate) async fn open(base: &Path, change: impl FnOnce(&mut FsOptions)) -> FsDriver {
    let mut options = FsOptions::new(base).with_sweep_interval(None);
    change(&mut options);
    FsDriver::open(options).await.unwrap()
}

pub(crate) fn names_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    collect(folder, "", &mut names);
    names.sort();
    names
}

fn collect(folder: &Path, before: &str, names: &mut Vec<String>) {
    for entry in folder.read_dir().unwrap() {
        let entry = entry.unwrap();
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &format!("{name}/"), names);
        } else {
            names.push(name);
        }
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about");
}

/// Adds one to a number on condition that nobody else did.
pub(crate) async fn increment(driver: &dyn Driver, key: &Key) {
    loop {
        let entry = driver.read(key).await.unwrap().unwrap();
        let number: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
        let options = WriteOptions::if_version(entry.version.unwrap());
        let value = (number + 1).to_string().into();
        if let WriteOutcome::Written { .. } = driver.write(key, value, options).await.unwrap() {
            return;
        }
    }
}
