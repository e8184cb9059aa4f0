//! Tests of the suite: for each flaw there is a driver with only this flaw, and the suite must detect it.
//! `detects!` names the case that must fail, followed by the cases that may fail too. All other cases must pass.

mod broken;
mod correct_driver;
mod wrong_conditions;
mod wrong_errors;
mod wrong_expiry;
mod wrong_files;
mod wrong_listings;
mod wrong_values;

use std::sync::Arc;

use broken::{Broken, Flaw};
use conformance_tests::{Report, Subject};
use driver_memory::MemoryDriver;

/// Runs the suite on in-memory drivers with a flaw.
async fn report_on<F: Flaw + Clone>(flaw: F) -> Report {
    conformance_tests::run(move || {
        let flaw = flaw.clone();
        async move { Broken::new(MemoryDriver::new(), flaw) }
    })
    .await
}

async fn report_on_subjects(subject: impl Fn() -> Subject + Send + Sync + 'static) -> Report {
    let subject = Arc::new(subject);
    conformance_tests::run(move || {
        let subject = Arc::clone(&subject);
        async move { subject() }
    })
    .await
}

/// Asserts that `named` failed, and no other case outside `along`.
fn assert_detected(report: &Report, named: &str, along: &[&str]) {
    let names: Vec<&str> = conformance_tests::case_names().collect();
    for name in along.iter().chain([&named]) {
        assert!(names.contains(name), "there is no case {name}");
    }
    let failed: Vec<&str> = report.failed().map(|(name, _)| name).collect();
    assert!(failed.contains(&named), "{named} must fail:\n{report}");
    let unrelated = failed
        .iter()
        .filter(|name| **name != named && !along.contains(name));
    let unrelated: Vec<&&str> = unrelated.collect();
    assert!(
        unrelated.is_empty(),
        "unrelated cases fail: {unrelated:?}\n{report}"
    );
}

/// Defines a test that the suite detects a flaw: the test name, the flaw, the case that must fail, and the cases
/// that may fail.
macro_rules! detects {
    ($test:ident, $flaw:expr => $named:ident $(, $along:ident)*) => {
        #[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
        async fn $test() {
            let report = $crate::report_on($flaw).await;
            $crate::assert_detected(&report, stringify!($named), &[$(stringify!($along)),*]);
        }
    };
}
use detects;
