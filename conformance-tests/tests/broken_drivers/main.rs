//! Tests of the suite: for each flaw there is a driver with only this flaw, and the suite must detect it.
//! `detects!` names the case that must fail, followed by the cases that may fail too. All other cases must pass.

mod broken;
mod correct_driver;
mod wrong_conditions;
mod wrong_errors;
mod wrong_expiry;
mod wrong_files;
mod wrong_invalidations;
mod wrong_listings;
mod wrong_values;

use std::sync::Arc;

use broken::{Broken, Flaw};
use conformance_tests::{Report, Subject};
use driver_memory::MemoryDriver;
use futures_util::future::join_all;

/// Cases that find many flaws, whatever they are made for.
const BROAD: [&str; 20] = [
    "random_",
    "_have_an_order",
    "every_method",
    "of_many_batches",
    "of_a_write_and_a_removal",
    "does_not_survive",
    "does_not_come_back",
    "another_driver_sees",
    "a_foreign_write_is_seen",
    "written_anew",
    "touched_before",
    "keys_that_stay",
    "one_wrong_write",
    "a_large_batch_of_conditional",
    "a_batch_of_long_values",
    "a_watcher_sees_an_entry_expire",
    "each_watcher",
    // These are tested by `wrong_invalidations`.
    "a_listener_hears",
    "each_listener",
    "a_tracked_read",
];

/// The cases that test one clause each.
fn named_cases() -> Vec<&'static str> {
    let is_broad = |name: &str| BROAD.iter().any(|part| name.contains(part));
    conformance_tests::case_names()
        .filter(|name| !is_broad(name))
        .collect()
}

/// Runs the named cases of the suite on in-memory drivers with a flaw.
async fn report_on<F: Flaw + Clone>(flaw: F) -> Report {
    let open = move || {
        let flaw = flaw.clone();
        async move { Broken::new(MemoryDriver::new(), flaw) }
    };
    run_named_cases(open).await
}

/// Runs more cases at once than a run does. They mostly wait for entries to expire.
async fn run_named_cases<Opening, S>(
    open: impl Fn() -> Opening + Clone + Send + Sync + 'static,
) -> Report
where
    Opening: Future<Output = S> + Send + 'static,
    S: Into<Subject>,
{
    let names = named_cases();
    let parts = names.chunks(names.len().div_ceil(PARTS));
    let reports = parts.map(|part| conformance_tests::run_only(part, open.clone()));
    let reports = join_all(reports).await;
    Report {
        cases: reports
            .into_iter()
            .flat_map(|report| report.cases)
            .collect(),
    }
}

/// How many runs share the cases.
const PARTS: usize = 4;

async fn report_on_subjects(subject: impl Fn() -> Subject + Send + Sync + 'static) -> Report {
    let subject = Arc::new(subject);
    let open = move || {
        let subject = Arc::clone(&subject);
        async move { subject() }
    };
    run_named_cases(open).await
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
