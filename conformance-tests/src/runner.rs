//! Runs cases, each with a time limit, and collects a report.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::case::Case;
use crate::cases;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::{CaseReport, Report, Verdict};
use crate::subject::Subject;
use crate::under_way::UnderWay;

/// The time limit of a case. The longest case writes 10,000 entries, possibly over a network.
const LIMIT: Duration = Duration::from_secs(120);

/// The time limit of the factory.
const OPENING: Duration = Duration::from_secs(60);

/// The time limit of the clean-up after a case.
const CLEAN_UP: Duration = Duration::from_secs(60);

/// The time limit of a whole test. It is only reached if the driver blocks the threads of the runtime, and with them
/// its timers.
const TEST: Duration = Duration::from_secs(270);

/// How many cases run at once. They mostly wait for entries to expire.
const AT_ONCE: usize = 16;

/// Opens a driver for each case.
#[derive(Clone)]
pub(crate) struct Factory(Arc<dyn Fn() -> BoxFuture<'static, Subject> + Send + Sync>);

impl Factory {
    pub(crate) fn new<F, Opening, S>(open: F) -> Self
    where
        F: Fn() -> Opening + Send + Sync + 'static,
        Opening: Future<Output = S> + Send + 'static,
        S: Into<Subject>,
    {
        Self(Arc::new(move || {
            let opening = open();
            Box::pin(async move { opening.await.into() })
        }))
    }

    pub(crate) async fn open(&self) -> Subject {
        (self.0)().await
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
    let opening = Context::new(factory, under_way.clone());
    let context = match within(
        OPENING,
        "the factory to return a driver",
        &under_way,
        opening,
    )
    .await
    {
        Ok(context) => context,
        Err(failure) => return Verdict::Failed(failure),
    };
    if let Some(reason) = case.unmet(&context) {
        return Verdict::Skipped(reason);
    }
    let running = (case.run)(context.clone());
    let result = within(LIMIT, "the case to finish", &under_way, running).await;
    // Clean up after a failure too: the backend may be shared. Only the first error is reported.
    let clean_up = within(
        CLEAN_UP,
        "the clean-up to finish",
        &under_way,
        context.clean_up(),
    )
    .await;
    match result.flatten().and(clean_up.flatten()) {
        Ok(()) => Verdict::Passed,
        Err(failure) => Verdict::Failed(failure),
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

/// Runs one case as a test. [`suite!`](crate::suite) calls it.
#[doc(hidden)]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn test_case<F, Opening, S>(name: &str, factory: F)
where
    F: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = S> + Send + 'static,
    S: Into<Subject>,
{
    let Some(case) = cases::all().find(|case| case.name == name) else {
        panic!("there is no case {name}");
    };
    match run_apart(case, Factory::new(factory), TEST) {
        Verdict::Passed => {}
        Verdict::Skipped(reason) => println!("SKIPPED {name}: {reason}"),
        Verdict::Failed(failure) => panic!(
            "the driver violates the contract: {}\n  expected: {}\n  got:      {}",
            case.proves, failure.expected, failure.got
        ),
    }
}

/// Runs one case on its own runtime and thread. The thread is abandoned if it blocks for ever.
fn run_apart(case: &'static Case, factory: Factory, limit: Duration) -> Verdict {
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
    receiver.recv_timeout(limit).unwrap_or_else(|_| {
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
            failure.contains("the case to finish within 120s"),
            "{failure}"
        );
        assert!(failure.contains("read of Key("), "{failure}");
    }

    #[test_support::test(start_paused = true)]
    async fn a_clean_up_that_hangs_fails_the_case() {
        let failure = failure_without(Operation::Clear).await;
        assert!(
            failure.contains("the clean-up to finish within 60s"),
            "{failure}"
        );
        assert!(failure.contains("clear for "), "{failure}");
    }

    #[test_support::test(start_paused = true)]
    async fn a_factory_that_hangs_fails_the_case() {
        let report = run_only(&[NAME], std::future::pending::<MemoryDriver>).await;
        let (_, failure) = report.failed().next().unwrap();
        assert!(failure.expected.contains("within 60s"), "{failure}");
    }

    #[test_support::test]
    fn a_case_that_blocks_its_threads_fails() {
        let case = cases::all().find(|case| case.name == NAME).unwrap();
        let factory = Factory::new(|| async {
            std::thread::sleep(Duration::from_secs(3_600));
            MemoryDriver::new()
        });
        let verdict = run_apart(case, factory, Duration::from_secs(1));
        let Verdict::Failed(failure) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(failure.expected.ends_with("within 1s"), "{failure}");
    }
}
