//! Wrong drivers, each with one habit of a backend or an author: the named case must find each. The right driver beside
//! them passes every case.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod habits {
    pub(crate) mod driver;
}

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{Report, Subject};
use driver_memory::MemoryDriver;
use futures_util::stream::{self, StreamExt};
use habits::driver::{Habit, Habitual};

const TTL: Duration = Duration::from_secs(3_600);

const KEYS: &str = "every_kind_of_key_works_in_every_method";
const VALUES: &str = "every_kind_of_value_works_in_every_method";
const EXPIRY: &str = "every_form_of_expiry_works_in_every_method";
const EXPIRED: &str = "an_expired_entry_is_gone_for_every_method";

/// Each habit, and the case that finds it.
const FOUND_BY: &[(Habit, &str)] = &[
    (Habit::NulInKeyIsABackendError, KEYS),
    (Habit::QuoteInPrefixIsAnError, KEYS),
    (Habit::DecodesByteaEscapes, VALUES),
    (Habit::BatchKeepsTheOldExpiry, EXPIRY),
    (Habit::BatchExpiryInSeconds, EXPIRY),
    (
        Habit::VersionsStartAnewAfterARemoval,
        "a_version_does_not_come_back",
    ),
    (Habit::UnchangedTouchSaysFalse, EXPIRY),
    (Habit::UnchangedWriteIsAConflict, VALUES),
    (Habit::ExistsPadsSpaces, KEYS),
    (Habit::RemoveIgnoresCase, KEYS),
    (Habit::TouchIgnoresAccents, KEYS),
    (Habit::BatchReplacesEmoji, KEYS),
    (Habit::BatchCutsAt64Kib, VALUES),
    (Habit::ExpiryEndsIn2038, EXPIRY),
    (
        Habit::SweepsByKey,
        "an_entry_that_is_written_anew_at_its_expiry_stays",
    ),
    (
        Habit::BatchChecksThenActs,
        "of_many_batches_on_one_version_one_succeeds",
    ),
    (
        Habit::BatchChecksThenActs,
        "of_many_batches_if_absent_one_succeeds",
    ),
    (
        Habit::BatchChecksThenActs,
        "a_batch_on_a_version_does_not_survive_a_removal",
    ),
    (
        Habit::LocalTime,
        "the_times_in_the_metadata_are_those_of_the_writes",
    ),
    (Habit::ThirtyDaysAreATime, EXPIRY),
    (Habit::LessThanASecondIsNever, EXPIRED),
    (Habit::TouchReplacesSpaces, KEYS),
    (Habit::DropsOverAMebibyte, VALUES),
    (Habit::TrimsNumbers, VALUES),
    (Habit::PastExpiryIsAnError, EXPIRY),
    (Habit::RemoveManyCutsKeys, KEYS),
    (Habit::ListingDecodesPlus, KEYS),
    (Habit::VersionOfTheFirstKibibyte, VALUES),
    (Habit::ListingIsOld, KEYS),
    (Habit::VersionByTheSecond, VALUES),
    (
        Habit::RootListsNothing,
        "a_listing_of_the_root_contains_every_key",
    ),
    (Habit::TouchRoundsUp, EXPIRY),
    (Habit::DuplicatesInABatchAreAnError, EXPIRY),
    (
        Habit::OldLeaseStillEnds,
        "an_entry_that_is_touched_before_its_expiry_stays",
    ),
    (Habit::ClearTakesTheNextSibling, KEYS),
    (Habit::WildcardsInRemoveMany, KEYS),
    (Habit::RemovedStillExists, KEYS),
    (Habit::BatchesIgnoreExpiry, EXPIRED),
    (
        Habit::WatchMissesClears,
        "a_watcher_sees_the_changes_of_every_method",
    ),
    (
        Habit::WatchMissesBatches,
        "a_watcher_sees_the_changes_of_every_method",
    ),
    (Habit::NumbersInKeys, KEYS),
    (Habit::ReadsTenAtOnce, "a_batch_of_long_values_works"),
    (Habit::OneVersionForABatch, "a_version_does_not_come_back"),
    (
        Habit::DropsOverAMebibyteOfABatch,
        "a_batch_of_long_values_works",
    ),
    (Habit::EmptyInABatchIsAMiss, VALUES),
    (Habit::ConditionalExpiryInSeconds, EXPIRY),
    (Habit::NumbersInBatchesAreNormalised, VALUES),
    (Habit::MetadataCountsCharacters, VALUES),
    (
        Habit::CachesReads,
        "another_driver_sees_each_change_at_once",
    ),
    (
        Habit::CachesMisses,
        "another_driver_sees_each_change_at_once",
    ),
    (
        Habit::BatchStopsAtAConflict,
        "one_wrong_write_of_a_batch_does_not_stop_the_others",
    ),
    (Habit::BatchPastIsNever, EXPIRY),
    (Habit::BatchIgnoresTheDefaultTtl, EXPIRY),
    (Habit::RemoveForgetsToEncode, KEYS),
    (Habit::ExistsForgetsToEncode, KEYS),
    (Habit::TouchForgetsToEncode, KEYS),
    (
        Habit::BlocksTheRuntime,
        "operations_do_not_block_the_runtime",
    ),
    (Habit::NeedsItsRuntime, "a_driver_works_in_another_runtime"),
    (Habit::DeadlocksWithManyTasks, "two_hundred_tasks_finish"),
    (
        Habit::TouchesAfterClose,
        "after_close_all_operations_fail_or_none",
    ),
    (
        Habit::TouchRewrites,
        "a_touch_beside_a_write_loses_no_write",
    ),
    (
        Habit::TouchRewrites,
        "a_touch_beside_a_removal_brings_nothing_back",
    ),
    (
        Habit::RemovalOfAVersionChecksThenActs,
        "of_a_write_and_a_removal_of_one_version_one_succeeds",
    ),
    (
        Habit::WriteOfAVersionChecksThenActs,
        "a_write_on_a_version_does_not_survive_a_removal",
    ),
    (
        Habit::WriteOfAVersionChecksThenActs,
        "a_write_on_a_version_does_not_survive_a_batch_of_removals",
    ),
    (
        Habit::WriteOfAVersionChecksThenActs,
        "concurrent_operations_have_an_order",
    ),
    (Habit::ConflictsSaySomethingElse, EXPIRY),
    (Habit::BatchOrderIsLost, "a_batch_of_long_values_works"),
    (Habit::TouchByVersionIgnoresIt, VALUES),
    (Habit::FarExpiryOverflows, EXPIRY),
    (Habit::RemoveManyStopsAtAMissingKey, KEYS),
];

/// How many habits are looked for at once. The cases mostly wait for entries to expire.
const AT_ONCE: usize = 8;

async fn report_on(habit: Habit, cases: &[&str]) -> Report {
    let backend = Arc::new(MemoryDriver::new().with_ttl(TTL));
    let open = move || {
        let backend = Arc::clone(&backend);
        async move {
            Subject::new(Habitual::new(backend, habit))
                .with_default_ttl(TTL)
                .with_shared_backend()
        }
    };
    conformance_tests::run_only(cases, open).await
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 600)]
async fn the_case_that_is_made_for_a_habit_finds_it() {
    let reports = FOUND_BY.iter().map(|(habit, case)| async move {
        let report = report_on(*habit, &[case]).await;
        assert_eq!(report.cases.len(), 1, "there is no case {case}");
        report.has_passed().then(|| format!("{habit:?} by {case}"))
    });
    let reports = stream::iter(reports).buffer_unordered(AT_ONCE);
    let missed: Vec<String> = reports.filter_map(std::future::ready).collect().await;
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_without_habits_passes() {
    let names: Vec<&str> = conformance_tests::case_names().collect();
    report_on(Habit::None, &names).await.assert_passed();
}
