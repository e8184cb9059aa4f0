//! Sixty-four callers who count, and what they saw while something was done to the server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use driver_redis::RedisDriver;
use session_core::{
    ConflictState, Driver, Entry, Error, ErrorKind, Key, Outcome, WriteCondition, WriteOptions,
    WriteOutcome,
};

use test_support::step;

use crate::support::key;

const CALLERS: usize = 64;

/// Callers that increment numbers on condition: half of them one of their own each, the others four in common.
pub(crate) struct Load {
    driver: Arc<RedisDriver>,
    stop: Arc<AtomicBool>,
    callers: Vec<tokio::task::JoinHandle<Seen>>,
    began: Instant,
    prefix: String,
}

/// What one caller saw.
#[derive(Default)]
struct Seen {
    name: String,
    is_own: bool,
    /// Increments that were acknowledged, and those of which nobody knows.
    done: u64,
    unknown: u64,
    /// When each error was seen and what it was, and the longest time that a call took.
    errors: Vec<(Instant, ErrorKind, Outcome)>,
    slowest: Duration,
    last_success: Option<Instant>,
    longest_gap: Duration,
}

/// What all of them saw.
pub(crate) struct Report {
    pub(crate) done: u64,
    pub(crate) unknown: u64,
    /// Acknowledged increments that are not there.
    pub(crate) lost: u64,
    pub(crate) errors: BTreeMap<String, usize>,
    /// From the first error to the last one.
    pub(crate) errors_for: Duration,
    pub(crate) slowest_call: Duration,
    /// The longest time in which one caller had no success.
    pub(crate) longest_gap: Duration,
    began: Instant,
    last_error: Option<Instant>,
}

impl Load {
    /// Begins, with numbers that are at zero, and returns when each caller has counted once.
    pub(crate) async fn start(driver: RedisDriver, prefix: &str) -> Self {
        let driver = Arc::new(driver);
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let mut callers = Vec::new();
        for caller in 0..CALLERS {
            let is_own = caller % 2 == 0;
            let number = if is_own { caller } else { CALLERS + caller % 8 };
            let name = format!("{prefix}:{number}");
            let (driver, stop) = (Arc::clone(&driver), Arc::clone(&stop));
            callers.push(tokio::spawn(count(driver, name, is_own, stop)));
        }
        let load = Self {
            driver,
            stop,
            callers,
            began,
            prefix: prefix.to_owned(),
        };
        load.until_all_count().await;
        load
    }

    pub(crate) fn driver(&self) -> &RedisDriver {
        &self.driver
    }

    /// Waits until every number is above where it stands now.
    pub(crate) async fn until_all_count(&self) {
        step("waiting until every number is above where it stands");
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut before = None;
        loop {
            assert!(Instant::now() < deadline, "the callers do not go on");
            tokio::time::sleep(Duration::from_millis(10)).await;
            let Ok(now) = numbers(&self.driver, &self.prefix).await else {
                continue;
            };
            match &before {
                None => before = Some(now),
                Some(before) if now.iter().zip(before).all(|(now, before)| now > before) => return,
                Some(_) => {}
            }
        }
    }

    /// Ends, and says what was seen. No increment may have been made twice, wherever the callers know.
    pub(crate) async fn finish(self) -> Report {
        self.stop.store(true, Ordering::SeqCst);
        let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut report = Report {
            done: 0,
            unknown: 0,
            lost: 0,
            errors: BTreeMap::new(),
            errors_for: Duration::ZERO,
            slowest_call: Duration::ZERO,
            longest_gap: Duration::ZERO,
            began: self.began,
            last_error: None,
        };
        let mut first_error: Option<Instant> = None;
        for caller in self.callers {
            step("waiting for the callers to stop");
            let seen = caller.await.unwrap();
            let number = expected.entry(seen.name).or_default();
            number.0 += seen.done;
            number.1 += seen.unknown;
            report.done += seen.done;
            report.unknown += seen.unknown;
            report.slowest_call = report.slowest_call.max(seen.slowest);
            report.longest_gap = report.longest_gap.max(seen.longest_gap);
            for (at, kind, outcome) in seen.errors {
                *report
                    .errors
                    .entry(format!("{kind:?}, {outcome:?}"))
                    .or_default() += 1;
                first_error = Some(first_error.map_or(at, |first| first.min(at)));
                report.last_error = Some(report.last_error.map_or(at, |last| last.max(at)));
            }
        }
        if let (Some(first), Some(last)) = (first_error, report.last_error) {
            report.errors_for = last - first;
        }
        step("reading the numbers that are there");
        for (name, (done, unknown)) in expected {
            let there = read(&*self.driver, &key(&name)).await.unwrap().unwrap_or(0);
            assert!(
                there <= done + unknown,
                "{name}: {there} of {done} and {unknown} unknown"
            );
            report.lost += done.saturating_sub(there);
        }
        report
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} increments, {} unknown, {} lost; errors for {:.2?} ({:?}), the last {:.2?} after the beginning; slowest call {:.2?}, \
             longest time of a caller without success {:.2?}",
            self.done,
            self.unknown,
            self.lost,
            self.errors_for,
            self.errors,
            self.last_error
                .map_or(Duration::ZERO, |last| last - self.began),
            self.slowest_call,
            self.longest_gap
        )
    }
}

async fn numbers(driver: &RedisDriver, prefix: &str) -> session_core::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for number in (0..CALLERS)
        .step_by(2)
        .chain([1, 3, 5, 7].map(|odd| CALLERS + odd))
    {
        numbers.push(
            read(driver, &key(&format!("{prefix}:{number}")))
                .await?
                .unwrap_or(0),
        );
    }
    Ok(numbers)
}

async fn read(driver: &dyn Driver, key: &Key) -> session_core::Result<Option<u64>> {
    let entry = driver.read(key).await?;
    Ok(entry.map(|entry| std::str::from_utf8(&entry.value).unwrap().parse().unwrap()))
}

async fn count(
    driver: Arc<RedisDriver>,
    name: String,
    is_own: bool,
    stop: Arc<AtomicBool>,
) -> Seen {
    let key = key(&name);
    let mut seen = Seen {
        name,
        is_own,
        ..Seen::default()
    };
    let mut stranger = Stranger::default();
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let result = increment(&*driver, &key, &mut seen, &mut stranger).await;
        let now = Instant::now();
        match result {
            Ok(()) => {
                if let Some(last) = seen.last_success {
                    seen.longest_gap = seen.longest_gap.max(now - last);
                }
                seen.last_success = Some(now);
            }
            Err(error) => {
                seen.errors.push((now, error.kind(), error.outcome()));
                // Callers of a server that is away do not all try again at once.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        seen.slowest = seen.slowest.max(now - began);
    }
    seen
}

/// Whether a write of this caller may still be on its way, so that a number of its own may change under it.
#[derive(Default)]
struct Stranger {
    may_come: bool,
}

fn number(entry: &Entry) -> u64 {
    std::str::from_utf8(&entry.value).unwrap().parse().unwrap()
}

fn number_in(current: &ConflictState) -> u64 {
    match current {
        ConflictState::Present(entry) => number(entry),
        ConflictState::Absent => 0,
        ConflictState::Unknown => panic!("the conflict does not say what is there"),
    }
}

async fn increment(
    driver: &dyn Driver,
    key: &Key,
    seen: &mut Seen,
    stranger: &mut Stranger,
) -> Result<(), Error> {
    let mut entry = driver.read(key).await?;
    loop {
        let (before, condition) = match entry {
            None => (0, WriteCondition::IfAbsent),
            Some(entry) => (
                number(&entry),
                WriteCondition::IfVersion(entry.version.unwrap()),
            ),
        };
        let options = WriteOptions::default().with_condition(condition);
        // As long as a session, so that a pipeline is many pieces on its way.
        let value = format!("{:0>600}", before + 1);
        match driver.write(key, value.into(), options).await {
            Ok(WriteOutcome::Written { .. }) => {
                seen.done += 1;
                return Ok(());
            }
            // Nobody else writes here: meeting the number that it brought, it was sent twice. A lower one is what a
            // failover left.
            Ok(WriteOutcome::Conflict(current)) => {
                assert!(
                    !seen.is_own || stranger.may_come || number_in(&current) <= before,
                    "a write was made twice: {current:?}"
                );
                stranger.may_come = false;
                entry = match current {
                    ConflictState::Present(entry) => Some(entry),
                    ConflictState::Absent | ConflictState::Unknown => driver.read(key).await?,
                };
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                if error.outcome() == Outcome::Unknown {
                    seen.unknown += 1;
                    stranger.may_come = true;
                }
                return Err(error);
            }
        }
    }
}
