//! The driver as a subject of the conformance suite.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use conformance_tests::{HookError, Subject};
use driver_fs::{Durability, FsDriver, FsOptions};
use session_core::Key;
use tempfile::TempDir;

const TTL: Duration = Duration::from_secs(3_600);

/// `setItem` of unstorage's fs driver, which truncates a file and writes it in its place.
async fn foreign_write(base: PathBuf, key: Key, value: Bytes) -> Result<(), HookError> {
    let path = base.join(key.as_str().replace(':', "/"));
    let folder = path.parent().ok_or("no folder")?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(path, value)?;
    Ok(())
}

/// A driver in the place of whose folder a file was put, so that nothing works.
async fn without_its_folder(parent: &TempDir) -> FsDriver {
    let base = tempfile::tempdir_in(parent.path()).unwrap().keep();
    let driver = crate::support::open(&base, |_| {}).await;
    std::fs::remove_dir(&base).unwrap();
    std::fs::write(&base, "no folder").unwrap();
    driver
}

pub(crate) async fn on(parent: Arc<TempDir>, durability: Durability) -> Subject {
    let base = parent.path().join("sessions");
    // Some cases need expired entries that were not swept yet, and some need entries that were.
    let options = FsOptions::new(&base)
        .with_ttl(TTL)
        // The large batches are one call each, and take long beside other builds.
        .with_timeout(Duration::from_secs(60))
        .with_durability(durability)
        .with_sweep_interval(Duration::from_millis(250));
    let driver = FsDriver::open(options).await.unwrap();
    let outage = without_its_folder(&parent).await;
    Subject::new(driver)
        .with_default_ttl(TTL)
        .with_outage(outage)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            // The folder lives as long as the subject.
            foreign_write(parent.path().join("sessions"), key, value)
        })
}

/// Whether a case writes much, and is left out where a write takes long.
pub(crate) fn makes_thousands_of_writes(name: &str) -> bool {
    [
        "random_",
        "concurrent_",
        "every_",
        "operations_do_not_block",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}
