use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::case::Case;
use crate::cases;
use crate::context::Context;
use crate::failure::Failure;
use crate::report::{CaseReport, Report, Verdict};
use crate::subject::Subject;

/// How long a case may take. The longest writes 10,000 entries, be it over a network.
const LIMIT: Duration = Duration::from_secs(120);

/// How many cases run at once. Most of their time they wait for entries to end.
const AT_ONCE: usize = 16;

/// What makes a driver for each case.
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

/// Runs every case on drivers that `factory` gives, and reports.
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
/// The factory is called for each case, some of them at the same time. The drivers may share a backend,
/// which may be in use by others: each case keeps to a base of its own and clears that when it ends.
/// Some cases close their driver, so it must not give the same one twice. It may panic; that fails the case.
///
/// It takes a few seconds, for entries have to end. It needs a tokio runtime, best one of several threads.
pub async fn run<F, Opening, S>(factory: F) -> Report
where
    F: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = S> + Send + 'static,
    S: Into<Subject>,
{
    run_cases(cases::all(), Factory::new(factory)).await
}

/// Runs the cases of these names only, as [`run`] does. A name that no case has is left out.
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
    // Unordered, so that a case which is done makes room for another, also while an earlier one waits.
    let running = cases.enumerate().map(|(place, case)| {
        let running = run_case(case, factory.clone());
        async move { (place, running.await) }
    });
    let done = stream::iter(running).buffer_unordered(AT_ONCE);
    let mut done: Vec<(usize, CaseReport)> = done.collect().await;
    done.sort_unstable_by_key(|(place, _)| *place);
    let cases = done.into_iter().map(|(_, report)| report).collect();
    Report { cases }
}

/// Runs one case in a task of its own, so that a panic is a failure of that case.
async fn run_case(case: &'static Case, factory: Factory) -> CaseReport {
    let started = Instant::now();
    let verdict = match tokio::spawn(judge(case, factory)).await {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Failed(Failure::new("the case to end", error.to_string())),
    };
    CaseReport {
        case,
        verdict,
        took: started.elapsed(),
    }
}

async fn judge(case: &Case, factory: Factory) -> Verdict {
    let context = Context::new(factory).await;
    if let Some(reason) = case.unmet(&context) {
        return Verdict::Skipped(reason);
    }
    let result = match tokio::time::timeout(LIMIT, (case.run)(context.clone())).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(format!("an end within {LIMIT:?}"), "none")),
    };
    // Also after a failure, for the sake of a shared backend; but only the first error counts.
    match result.and(context.clean_up().await) {
        Ok(()) => Verdict::Passed,
        Err(failure) => Verdict::Failed(failure),
    }
}

/// Runs one case as a test: what [`suite!`](crate::suite) makes of each.
#[doc(hidden)]
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn test_case<F, Opening, S>(name: &str, factory: F)
where
    F: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = S> + Send + 'static,
    S: Into<Subject>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let report = match runtime {
        Ok(runtime) => runtime.block_on(run_only(&[name], factory)),
        Err(error) => panic!("no runtime for the case: {error}"),
    };
    let [case] = report.cases.as_slice() else {
        panic!("there is no case {name}");
    };
    match &case.verdict {
        Verdict::Passed => {}
        Verdict::Skipped(reason) => println!("SKIPPED {name}: {reason}"),
        Verdict::Failed(failure) => panic!(
            "the driver breaks a promise: {}\n  expected: {}\n  got:      {}",
            case.case.proves, failure.expected, failure.got
        ),
    }
}
