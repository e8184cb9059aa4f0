//! The contract of session-core, held against the driver that waits for the disk.

use std::sync::Arc;

use driver_fs::Durability;

use crate::subject::{makes_thousands_of_writes, on};

/// The cases that write thousands of entries, and prove nothing that depends on when they are on the disk.
const LARGE: [&str; 3] = [
    "a_listing_during_writes_misses_no_key",
    "large_batches_work",
    "pages_contain_every_key",
];

#[test_support::test(flavor = "multi_thread", limit = 300)]
async fn the_contract_holds_when_every_write_is_on_the_disk() {
    for durability in [Durability::Data, Durability::Full] {
        let parent = Arc::new(tempfile::tempdir().unwrap());
        let cases: Vec<_> = conformance_tests::case_names()
            // Each write waits for the disk here, so the generated cases run over the other durability alone.
            .filter(|name| !LARGE.contains(name) && !makes_thousands_of_writes(name))
            .collect();
        let open = move || on(Arc::clone(&parent), durability);
        let report = conformance_tests::run_only(&cases, open).await;
        report.assert_passed();
    }
}
