//! Runs cases, each with a time limit, and collects a report.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;

use crate::case::Case;
use crate::cases;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::{CaseReport, Report, Verdict};
use crate::subject::Subject;
use crate::under_way::UnderWay;

/// The time limit of a case. The longest case writes 10,000 entries, possibly over a network.
const LIMIT: Duration = Duration::from_secs(120);

/// The time limit of the factory, which may start a server on a busy machine.
const OPENING: Duration = Duration::from_secs(180);

/// The time limit of the clean-up after a case, beyond the time that the case itself took: what was slow to write is slow
/// to remove.
const CLEAN_UP: Duration = Duration::from_secs(60);

/// The time limit of a whole test. It is only reached if the driver blocks the threads of the runtime, and with them
/// its timers.
const TEST: Duration = Duration::from_secs(510);

/// When a test counts as slow, as in the harness of Rust.
const SLOW: Duration = Duration::from_secs(60);

/// The time limits on a driver that has not answered once already.
const LIMIT_AFTER_A_HANG: Duration = Duration::from_secs(30);
const CLEAN_UP_AFTER_A_HANG: Duration = Duration::from_secs(3);

/// How many round trips one after the other a case may take beyond its limit.
const ROUND_TRIPS: u32 = 8_000;

/// How many cases run at once. They mostly wait for entries to expire.
const AT_ONCE: usize = 16;

/// Opens a driver for each case.
#[derive(Clone)]
pub(crate) struct Factory {
    open: Arc<dyn Fn() -> BoxFuture<'static, Subject> + Send + Sync>,
    /// How many cases have not come to an end.
    hangs: Arc<AtomicUsize>,
}

impl Factory {
    pub(crate) fn new<F, Opening, S>(open: F) -> Self
    where
        F: Fn() -> Opening + Send + Sync + 'static,
        Opening: Future<Output = S> + Send + 'static,
        S: Into<Subject>,
    {
        Self {
            open: Arc::new(move || {
                let opening = open();
                Box::pin(async move { opening.await.into() })
            }),
            hangs: Arc::default(),
        }
    }

    /// Shares what is known of hangs with the other tests of a suite.
    fn in_suite(mut self, suite: &'static str) -> Self {
        static HANGS: Mutex<BTreeMap<&str, Arc<AtomicUsize>>> = Mutex::new(BTreeMap::new());
        self.hangs = Arc::clone(HANGS.lock().entry(suite).or_default());
        self
    }

    pub(crate) async fn open(&self) -> Subject {
        (self.open)().await
    }
}

/// Runs every case on drivers from `factory` and returns a report.
///
/// ```
/// # #[tokio::main]
/// # async fn main() {
/// let report = conformance_tests::run(|| async { driver_memory::MemoryDriver::new() }).await;
/// println!("{report}");
/// report.assert_passed();
/// # }
/// ```
///
/// The factory is called at least once for each case, also concurrently. The drivers may share a backend, and the
/// backend may hold other data: each case uses its own key prefix and clears it afterwards. Some cases close their
/// driver, so the factory must return a new driver each time. If it panics, the case fails.
///
/// A run takes a few seconds because entries have to expire. It needs a tokio runtime, preferably multi-threaded.
pub async fn run<F, Opening, S>(factory: F) -> Report
where
    F: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = S> + Send + 'static,
    S: Into<Subject>,
{
    run_cases(cases::all(), Factory::new(factory)).await
}

/// Runs only the cases with these names, like [`run`]. Unknown names are ignored.
pub async fn run_only<F, Opening, S>(names: &[&str], factory: F) -> Report
where
    F: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = S> + Send + 'static,
    S: Into<Subject>,
{
    let chosen = cases::all().filter(|case| names.contains(&case.name));
    run_cases(chosen, Factory::new(factory)).await
}

async fn run_cases(cases: impl Iterator<Item = &'static Case>, factory: Factory) -> Report {
    // Unordered, so that a slow case does not hold up the cases after it.
    let running = cases.enumerate().map(|(index, case)| {
        let running = run_case(case, factory.clone(), UnderWay::default());
        async move { (index, running.await) }
    });
    let done = stream::iter(running).buffer_unordered(AT_ONCE);
    let mut done: Vec<(usize, CaseReport)> = done.collect().await;
    done.sort_unstable_by_key(|(index, _)| *index);
    let cases = done.into_iter().map(|(_, report)| report).collect();
    Report { cases }
}

/// Runs one case in its own task, so that a panic fails only this case.
async fn run_case(case: &'static Case, factory: Factory, under_way: UnderWay) -> CaseReport {
    let started = Instant::now();
    let verdict = match tokio::spawn(judge(case, factory, under_way)).await {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Failed(Failure::new("the case to finish", error.to_string())),
    };
    CaseReport {
        case,
        verdict,
        took: started.elapsed(),
    }
}

async fn judge(case: &Case, factory: Factory, under_way: UnderWay) -> Verdict {
    let hangs = Arc::clone(&factory.hangs);
    let opening = Context::new(factory, under_way.clone());
    let context = match within(
        OPENING,
        "the factory to return a driver",
        &under_way,
        opening,
    )
    .await
    .flatten()
    {
        Ok(context) => context,
        Err(failure) => return Verdict::Failed(failure),
    };
    if let Some(reason) = case.unmet(&context) {
        return Verdict::Skipped(reason);
    }
    // A backend that is far away needs longer. One that has hung before does not get so long again.
    let distance = context.round_trip * ROUND_TRIPS + context.budget().longest();
    // Once for the case, and twice for the clean-up.
    under_way.allow(distance * 3);
    let has_hung = hangs.load(Ordering::Relaxed) > 0;
    let (limit, clean_up_limit) = match has_hung {
        false => (LIMIT + distance, CLEAN_UP + distance),
        true => (LIMIT_AFTER_A_HANG, CLEAN_UP_AFTER_A_HANG),
    };
    let started = tokio::time::Instant::now();
    // In a task of its own, so that the clean-up runs after a panic too.
    let mut running = AbortOnDrop(tokio::spawn((case.run)(context.clone())));
    let result = within(limit, "the case to finish", &under_way, &mut running.0).await;
    drop(running);
    let clean_up_limit = match has_hung {
        false => clean_up_limit + started.elapsed(),
        true => clean_up_limit,
    };
    let mut result = match result {
        Ok(Ok(result)) => result.map_err(|failure| under_way.with_last_error(failure)),
        Ok(Err(panic)) => Err(Failure::new("the case to finish", panic.to_string())),
        Err(late) => {
            hangs.fetch_add(1, Ordering::Relaxed);
            Err(late)
        }
    };
    if let Err(failure) = &mut result
        && case.is_about_time()
        && let Some(skew) = context.skew().await
    {
        failure.got.push_str(&skew);
    }
    // Clean up after a failure too: the backend may be shared. Only the first error is reported.
    let clean_up = within(
        clean_up_limit,
        "the clean-up to finish",
        &under_way,
        context.clean_up(),
    )
    .await;
    if clean_up.is_err() {
        hangs.fetch_add(1, Ordering::Relaxed);
    }
    match result.and(clean_up.flatten()) {
        Ok(()) => Verdict::Passed,
        Err(failure) => Verdict::Failed(failure),
    }
}

/// Ends a task when it is no longer awaited.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `work` with a time limit. The failure names the operations in progress.
async fn within<T>(
    limit: Duration,
    expected: &str,
    under_way: &UnderWay,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut work = std::pin::pin!(work);
    // Borrowed, so that its operations are still recorded when the failure is formatted.
    let done = tokio::time::timeout(limit, &mut work).await;
    done.map_err(|_| late(limit, expected, under_way))
}

fn late(limit: Duration, expected: &str, under_way: &UnderWay) -> Failure {
    let expected = format!("{expected} within {limit:?}");
    Failure::new(expected, under_way.to_string())
}

impl Factory {
    /// Runs one case as a test of its own, on its own runtime. After a minute it calls `slow`.
    ///
    /// A failure is described for the author of the driver.
    pub(crate) fn test(&self, case: &'static Case, slow: impl FnOnce()) -> Result<Tested, String> {
        match run_apart(case, self.clone(), TEST, slow) {
            Verdict::Passed => Ok(Tested::Passed),
            Verdict::Skipped(reason) => Ok(Tested::Ignored(reason)),
            Verdict::Failed(failure) => Err(format!(
                "the driver violates the contract: {}\n  expected: {}\n  got:      {}",
                case.proves, failure.expected, failure.got
            )),
        }
    }
}

/// What came of a test that did not fail.
pub(crate) enum Tested {
    Passed,
    /// The case does not apply to the driver, for this reason.
    Ignored(String),
}

/// Runs one case as a test. [`suite!`](crate::suite) calls it.
#[doc(hidden)]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn test_case<F, Opening, S>(suite: &'static str, name: &str, factory: F)
where
    F: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = S> + Send + 'static,
    S: Into<Subject>,
{
    let Some(case) = cases::all().find(|case| case.name == name) else {
        panic!("there is no case {name}");
    };
    let factory = Factory::new(factory).in_suite(suite);
    // The harness says by itself which tests are slow.
    match factory.test(case, || {}) {
        Ok(Tested::Passed) => {}
        Ok(Tested::Ignored(reason)) => {
            // Not by `println`, which the harness shows only of tests that fail.
            let line = format!("case {suite}::{name} ... ignored, {reason}\n");
            let _unseen = std::io::stderr().write_all(line.as_bytes());
        }
        Err(violation) => panic!("{violation}"),
    }
}

/// Runs one case on its own runtime and thread. The thread is abandoned if it blocks for ever.
fn run_apart(
    case: &'static Case,
    factory: Factory,
    limit: Duration,
    slow: impl FnOnce(),
) -> Verdict {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return Verdict::Failed(Failure::new("a runtime for the case", error.to_string()));
        }
    };
    let under_way = UnderWay::default();
    let noted = under_way.clone();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let report = runtime.block_on(run_case(case, factory, noted));
        drop(runtime);
        let _ = sender.send(report.verdict);
    });
    let done = receiver.recv_timeout(SLOW.min(limit)).or_else(|_| {
        slow();
        receiver.recv_timeout(limit.saturating_sub(SLOW))
    });
    let done = done.or_else(|_| receiver.recv_timeout(under_way.allowed()));
    done.unwrap_or_else(|_| {
        Verdict::Failed(late(limit, "the case to release its threads", &under_way))
    })
}

#[cfg(test)]
mod tests {
    use driver_memory::MemoryDriver;

    use super::*;
    use crate::{Fault, Faulty, Operation};

    const NAME: &str = "a_missing_key_is_a_miss";

    /// Returns the failure of `NAME` on a driver whose `operation` never completes.
    async fn failure_without(operation: Operation) -> String {
        let report = run_only(&[NAME], move || async move {
            let driver = Faulty::new(MemoryDriver::new());
            let never = Fault::slow(Duration::from_secs(1_000_000));
            driver.faults().always(operation, never);
            driver
        });
        let report = report.await;
        let (_, failure) = report.failed().next().unwrap();
        failure.to_string()
    }

    #[test_support::test(start_paused = true)]
    async fn a_case_that_hangs_fails_with_its_operation_in_progress_and_the_key() {
        let failure = failure_without(Operation::Read).await;
        assert!(
            failure.contains("the case to finish within 140s"),
            "{failure}"
        );
        assert!(failure.contains("read of Key("), "{failure}");
    }

    #[test_support::test(start_paused = true)]
    async fn a_clean_up_that_hangs_fails_the_case() {
        let failure = failure_without(Operation::Clear).await;
        assert!(
            failure.contains("the clean-up to finish within 80s"),
            "{failure}"
        );
        assert!(failure.contains("clear for "), "{failure}");
    }

    #[test_support::test(start_paused = true)]
    async fn a_factory_that_hangs_fails_the_case() {
        let report = run_only(&[NAME], std::future::pending::<MemoryDriver>).await;
        let (_, failure) = report.failed().next().unwrap();
        assert!(failure.expected.contains("within 180s"), "{failure}");
    }

    #[test_support::test]
    fn a_case_that_blocks_its_threads_fails() {
        let case = cases::all().find(|case| case.name == NAME).unwrap();
        let factory = Factory::new(|| async {
            std::thread::sleep(Duration::from_secs(3_600));
            MemoryDriver::new()
        });
        let verdict = run_apart(case, factory, Duration::from_secs(1), || {});
        let Verdict::Failed(failure) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(failure.expected.ends_with("within 1s"), "{failure}");
    }
}
