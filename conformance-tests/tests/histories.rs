//! The checker of histories: what it accepts, what it refuses, and what it shows of a history that has no order.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance_tests::history::{Call, Event, History, Lasts, Recorder};
use conformance_tests::{Disruption, Fault, Faulty, HookError, Subject};
use driver_memory::MemoryDriver;
use session_core::*;

const START: u64 = 1_000_000;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A call of `process` from `begin` to `end`.
fn call(process: usize, begin: u64, end: u64, event: Event) -> Call {
    Call::new(process, millis(begin), millis(end), event)
}

/// A call that began and whose outcome is unknown.
fn open(process: usize, begin: u64, event: Event) -> Call {
    Call::new(process, millis(begin), None, event)
}

fn history(calls: impl IntoIterator<Item = Call>) -> History {
    let mut history = History::new(Timestamp::from_millis(START));
    let key = Key::new("k").unwrap();
    for call in calls {
        history.push(key.clone(), call);
    }
    history
}

fn version(number: u64) -> Version {
    Version::from_u64(number)
}

fn wrote_at(value: &'static str, number: u64, condition: WriteCondition) -> Event {
    Event::Wrote {
        value: value.into(),
        lasts: Lasts::Forever,
        condition,
        version: Some(version(number)),
    }
}

fn wrote_until(value: &'static str, first: u64, last: u64) -> Event {
    let at = |time| Timestamp::from_millis(START + time);
    Event::Wrote {
        value: value.into(),
        lasts: Lasts::Until(at(first), at(last)),
        condition: WriteCondition::Always,
        version: None,
    }
}

#[test_support::test]
fn a_read_during_a_write_may_see_it_or_not() {
    for event in [Event::missed(), Event::read("a")] {
        let calls = [call(0, 0, 10, Event::wrote("a")), call(1, 5, 6, event)];
        history(calls).check().unwrap();
    }
}

#[test_support::test]
fn a_read_after_a_write_must_see_it() {
    let calls = [
        call(0, 0, 10, Event::wrote("a")),
        call(1, 11, 12, Event::missed()),
    ];
    let disorder = history(calls).check().unwrap_err();
    assert_eq!(disorder.calls.len(), 2, "{disorder}");
}

#[test_support::test]
fn a_value_does_not_come_back() {
    let calls = [
        call(0, 0, 1, Event::wrote("a")),
        call(0, 2, 3, Event::wrote("b")),
        call(1, 4, 5, Event::read("b")),
        call(1, 6, 7, Event::read("a")),
    ];
    history(calls).check().unwrap_err();
}

#[test_support::test]
fn two_reads_see_two_writes_in_one_order() {
    let writes = [
        call(0, 0, 20, Event::wrote("a")),
        call(1, 0, 20, Event::wrote("b")),
    ];
    let reads = [
        call(2, 5, 6, Event::read("a")),
        call(2, 7, 8, Event::read("b")),
    ];
    let mut history = history(writes.into_iter().chain(reads));
    history.check().unwrap();
    let key = Key::new("k").unwrap();
    history.push(key, call(3, 9, 10, Event::read("a")));
    history.check().unwrap_err();
}

#[test_support::test]
fn of_two_conditional_writes_of_one_version_only_one_is_made() {
    let on = |number| WriteCondition::IfVersion(version(number));
    let first = call(0, 0, 1, wrote_at("a", 1, WriteCondition::IfAbsent));
    let calls = [
        first.clone(),
        call(1, 2, 9, wrote_at("b", 2, on(1))),
        call(2, 2, 9, wrote_at("c", 3, on(1))),
    ];
    history(calls).check().unwrap_err();
    let conflict = Event::DidNotWrite {
        condition: on(1),
        current: None,
    };
    let calls = [
        first,
        call(1, 2, 9, wrote_at("b", 2, on(1))),
        call(2, 2, 9, conflict),
    ];
    history(calls).check().unwrap();
}

#[test_support::test]
fn a_write_on_a_version_does_not_survive_a_removal() {
    let on = WriteCondition::IfVersion(version(1));
    let calls = [
        call(0, 0, 1, wrote_at("a", 1, WriteCondition::Always)),
        call(1, 2, 9, Event::Removed(None)),
        call(2, 3, 8, wrote_at("b", 2, on)),
        call(0, 10, 11, Event::read("b")),
    ];
    history(calls).check().unwrap_err();
}

#[test_support::test]
fn a_touch_does_not_bring_an_entry_back() {
    let touched = Event::Touched {
        lasts: Lasts::Forever,
        if_version: None,
    };
    let calls = [
        call(0, 0, 1, Event::wrote("a")),
        call(1, 2, 3, Event::Removed(None)),
        call(2, 4, 5, touched),
    ];
    history(calls).check().unwrap_err();
}

#[test_support::test]
fn an_unknown_write_may_have_happened_at_any_time_or_never() {
    let unknown = open(0, 5, Event::wrote("b"));
    let before = call(0, 0, 1, Event::wrote("a"));
    let reads = |values: [&'static str; 2]| {
        let reads = values.into_iter().zip([10, 20]);
        reads.map(|(value, at)| call(1, at, at + 1, Event::read(value)))
    };
    for values in [["a", "a"], ["a", "b"], ["b", "b"]] {
        let calls = [before.clone(), unknown.clone()]
            .into_iter()
            .chain(reads(values));
        history(calls).check().unwrap();
    }
    let calls = [before, unknown].into_iter().chain(reads(["b", "a"]));
    history(calls).check().unwrap_err();
}

#[test_support::test]
fn a_touch_revives_an_expired_entry_only_by_the_clock_of_another_client() {
    let at = |time| Timestamp::from_millis(START + time);
    let touched_at = |begin: u64, lasts: fn(Timestamp, Timestamp) -> Lasts| {
        let written = Event::Wrote {
            value: "a".into(),
            lasts: lasts(at(100), at(120)),
            condition: WriteCondition::Always,
            version: None,
        };
        let touched = Event::Touched {
            lasts: Lasts::Forever,
            if_version: None,
        };
        history([
            call(0, 0, 10, written),
            call(1, 105, 106, Event::missed()),
            call(2, begin, begin + 20, touched),
            call(1, begin + 21, begin + 22, Event::read("a")),
        ])
    };
    touched_at(110, Lasts::Until).check().unwrap_err();
    touched_at(110, Lasts::UntilByClients).check().unwrap();
    // It had expired by the clock of any client.
    touched_at(130, Lasts::UntilByClients).check().unwrap_err();
}

#[test_support::test]
fn an_entry_may_be_gone_from_its_expiry_on_and_must_be_after_the_granularity() {
    let written = call(0, 0, 1, wrote_until("a", 100, 200));
    let missed = |at| call(1, at, at + 1, Event::missed());
    let read = |at| call(1, at, at + 1, Event::read("a"));
    history([written.clone(), missed(50)]).check().unwrap_err();
    for later in [missed(150), read(150), missed(300)] {
        history([written.clone(), later]).check().unwrap();
    }
    history([written.clone(), read(300)]).check().unwrap_err();
    // What is gone does not come back.
    history([written, missed(150), read(160)])
        .check()
        .unwrap_err();
}

#[test_support::test]
fn a_failover_may_lose_writes_and_nothing_else() {
    let mut history = history([
        call(0, 0, 1, Event::wrote("a")),
        call(0, 2, 3, Event::wrote("b")),
        call(1, 20, 21, Event::read("a")),
    ]);
    history.check().unwrap_err();
    history.lost_writes_between(millis(10), millis(15));
    history.check().unwrap();
    let key = Key::new("k").unwrap();
    history.push(key.clone(), call(1, 22, 23, Event::read("b")));
    history.check().unwrap_err();
}

#[test_support::test]
fn a_cache_may_be_as_stale_as_it_says() {
    let history = history([
        call(0, 0, 1, Event::wrote("a")),
        call(0, 100, 101, Event::wrote("b")),
        call(1, 150, 151, Event::read("a")),
    ]);
    history.check().unwrap_err();
    history.check_with_staleness(millis(30)).unwrap_err();
    history.check_with_staleness(millis(60)).unwrap();
}

#[test_support::test]
fn the_shortest_window_of_a_long_history_is_shown() {
    let mut calls = Vec::new();
    let values: Vec<String> = (0..40).map(|number| format!("v{number}")).collect();
    for (number, value) in values.iter().enumerate() {
        let at = number as u64 * 10;
        calls.push(call(0, at, at + 1, Event::wrote(value.clone())));
        calls.push(call(1, at + 2, at + 3, Event::read(value.clone())));
    }
    calls.push(call(2, 204, 206, Event::read("v3")));
    let disorder = history(calls).check().unwrap_err();
    assert!(disorder.calls.len() <= 3, "{disorder}");
    let shown = disorder.to_string();
    assert!(shown.contains("read: \"v3\""), "{shown}");
    assert!(shown.contains("driver 2"), "{shown}");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 120)]
async fn a_history_of_eight_tasks_is_checked_in_no_time() {
    let backend = Arc::new(MemoryDriver::new());
    let recorder = Recorder::new();
    let key = Key::new("k").unwrap();
    let tasks = (0..8).map(|task| {
        let driver = recorder.driver(Arc::clone(&backend));
        let key = key.clone();
        tokio::spawn(async move {
            for number in 0..40 {
                let entry = driver.read(&key).await.unwrap();
                let options = match entry.and_then(|entry| entry.version) {
                    Some(version) => WriteOptions::if_version(version),
                    None => WriteOptions::if_absent(),
                };
                let value = format!("{task}.{number}").into();
                let _outcome = driver.write(&key, value, options).await.unwrap();
                if number % 7 == 0 {
                    let _outcome = driver.remove(&key, RemoveOptions::default()).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let history = recorder.history();
    assert!(history.len() > 600);
    let started = Instant::now();
    history.check().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// A backend whose answers are lost for a while, and a driver that says `outcome` of them.
fn losing_answers(outcome: Outcome) -> Subject {
    let faulty = Faulty::new(MemoryDriver::new());
    let faults = faulty.faults();
    let fault = Fault::after(ErrorKind::TimedOut).with_outcome(outcome);
    Subject::new(faulty).with_disruption(Disruption::new("lost answers", move || {
        let (faults, fault) = (faults.clone(), fault.clone());
        async move {
            faults.outage(fault);
            tokio::time::sleep(millis(100)).await;
            faults.clear();
            Ok::<(), HookError>(())
        }
    }))
}

const DURING_FAULTS: &str = "operations_during_a_fault_have_an_order";

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 120)]
async fn lost_answers_are_no_contradiction_if_the_driver_says_that_they_are_unknown() {
    let open = || async { losing_answers(Outcome::Unknown) };
    let report = conformance_tests::run_only(&[DURING_FAULTS], open).await;
    report.assert_passed();
    assert_eq!(report.skipped().count(), 0, "{report}");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 120)]
async fn a_driver_that_says_that_a_lost_answer_was_not_applied_is_found_out() {
    let open = || async { losing_answers(Outcome::NotApplied) };
    let report = conformance_tests::run_only(&[DURING_FAULTS], open).await;
    assert!(!report.has_passed(), "{report}");
}
