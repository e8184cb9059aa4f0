//! The contract of session-core, held against this driver.

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

mod in_a_folder {
    use driver_fs::Durability;

    conformance_tests::suite!({
        let parent = std::sync::Arc::new(tempfile::tempdir().unwrap());
        move || super::on(std::sync::Arc::clone(&parent), Durability::None)
    });
}

/// A driver that only reads, beside one that writes.
async fn reading(parent: Arc<TempDir>) -> Subject {
    let base = parent.path().join("sessions");
    let writer = crate::support::open(&base, |_| {}).await;
    let reader = crate::support::open(&base, |options| options.read_only = true).await;
    Subject::new(reader).with_writer(writer)
}

mod read_only {
    conformance_tests::suite!({
        let parent = std::sync::Arc::new(tempfile::tempdir().unwrap());
        move || super::reading(std::sync::Arc::clone(&parent))
    });
}

/// The cases that write thousands of entries, and prove nothing that depends on when they are on the disk.
const LARGE: [&str; 3] = [
    "a_listing_during_writes_misses_no_key",
    "large_batches_work",
    "pages_contain_every_key",
];

/// Each write waits for the disk here, so the generated cases run over the other durability alone.
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

#[test_support::test(flavor = "multi_thread", limit = 300)]
async fn the_contract_holds_when_every_write_is_on_the_disk() {
    for durability in [Durability::Data, Durability::Full] {
        let parent = Arc::new(tempfile::tempdir().unwrap());
        let cases: Vec<_> = conformance_tests::case_names()
            .filter(|name| !LARGE.contains(name) && !makes_thousands_of_writes(name))
            .collect();
        let open = move || on(Arc::clone(&parent), durability);
        let report = conformance_tests::run_only(&cases, open).await;
        report.assert_passed();
    }
}
