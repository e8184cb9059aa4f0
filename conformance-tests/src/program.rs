//! A test program whose tests are the cases of the suite.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;
use std::thread::available_parallelism;

use libtest_mimic::{Arguments, Completion, Conclusion, Trial};

use crate::case::Case;
use crate::cases;
use crate::runner::{Factory, Tested};
use crate::subject::Subject;

/// The variable by which Rust's harness, too, is told how many tests run at once.
const THREADS: &str = "RUST_TEST_THREADS";

/// How many cases run at once on a machine with few processors. They mostly wait for entries to expire.
const AT_ONCE: usize = 8;

/// A test program with one test for each case of the suite and each subject.
///
/// It is for a test target without Rust's own harness. In `Cargo.toml`:
///
/// ```toml
/// [[test]]
/// name = "conformance"
/// harness = false
/// ```
///
/// In `tests/conformance.rs`:
///
/// ```no_run
/// use std::process::ExitCode;
/// use std::time::Duration;
///
/// use conformance_tests::{Subject, TestProgram};
/// use driver_memory::MemoryDriver;
///
/// fn main() -> ExitCode {
///     TestProgram::new()
///         .with_subject("without_a_ttl", || async { MemoryDriver::new() })
///         .with_subject("with_a_ttl", || async {
///             let ttl = Duration::from_secs(60);
///             Subject::new(MemoryDriver::new().with_ttl(ttl)).with_default_ttl(ttl)
///         })
///         .run()
/// }
/// ```
///
/// A test is named `subject::case`. A case that does not apply to the subject is `ignored`, with the reason. A case
/// that hangs fails after its limit and names the operation.
///
/// Eight cases run at once, or as many as there are processors: most of them wait for entries to expire.
///
/// The usual arguments work: a filter, `--exact`, `--skip`, `--list`, `--test-threads`, `--format`. Output is never
/// captured, and only one filter is accepted.
#[derive(Default)]
#[must_use = "a test program does nothing until it is run"]
pub struct TestProgram {
    subjects: Vec<(String, Factory)>,
}

impl TestProgram {
    /// Creates a program without subjects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a subject: a driver in one configuration, by the factory that opens it.
    ///
    /// The factory is an async closure that returns a driver or a [`Subject`]. Its requirements are documented at
    /// [`run`](crate::run). All cases of the subject share it, and each has its own tokio runtime.
    pub fn with_subject<F, Opening, S>(mut self, name: impl Into<String>, factory: F) -> Self
    where
        F: Fn() -> Opening + Send + Sync + 'static,
        Opening: Future<Output = S> + Send + 'static,
        S: Into<Subject>,
    {
        self.subjects.push((name.into(), Factory::new(factory)));
        self
    }

    /// Runs the tests that the arguments of the process select, and returns the exit status for `main`.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        if arguments.test_threads.is_none() {
            let threads = std::env::var(THREADS).ok();
            let threads = threads.and_then(|threads| threads.parse().ok());
            let processors = available_parallelism().map_or(1, usize::from);
            arguments.test_threads = Some(threads.unwrap_or(processors.max(AT_ONCE)));
        }
        self.conclude(&arguments).exit_code()
    }

    fn conclude(self, arguments: &Arguments) -> Conclusion {
        let trials = self.subjects.iter().flat_map(|(subject, factory)| {
            cases::all().map(move |case| trial(subject, case, factory.clone()))
        });
        let trials = trials.collect();
        // The last case of a subject ends what its factory holds, such as a folder.
        drop(self);
        libtest_mimic::run(arguments, trials)
    }
}

impl fmt::Debug for TestProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.subjects.iter().map(|(name, _)| name))
            .finish()
    }
}

fn trial(subject: &str, case: &'static Case, factory: Factory) -> Trial {
    let name = format!("{subject}::{}", case.name);
    let running = name.clone();
    Trial::ignorable_test(name, move || {
        let slow = || {
            // The words of Rust's harness, which tools look for.
            let line = format!("test {running} has been running for over 60 seconds\n");
            let _unseen = std::io::stdout().write_all(line.as_bytes());
        };
        match factory.test(case, slow)? {
            Tested::Passed => Ok(Completion::Completed),
            Tested::Ignored(reason) => Ok(Completion::ignored_with(reason)),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use driver_memory::MemoryDriver;
    use session_core::ErrorKind;
    use session_core::decorators::ReadOnly;

    use super::*;
    use crate::{Fault, Faulty, Operation};

    const NAME: &str = "a_missing_key_is_a_miss";

    /// Runs the test `name` and returns what the program prints. It must not mix with the output of this test.
    fn run(program: TestProgram, name: &str) -> (Conclusion, String) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let path = log.path().to_str().unwrap();
        let arguments = ["conformance", "--logfile", path, "--exact", name];
        let conclusion = program.conclude(&Arguments::from_iter(arguments));
        (conclusion, std::fs::read_to_string(path).unwrap())
    }

    #[test_support::test]
    fn one_case_of_one_subject_is_selected_by_its_name() {
        let program = TestProgram::new()
            .with_subject("a", || async { MemoryDriver::new() })
            .with_subject("b", || async { MemoryDriver::new() });
        let (conclusion, _) = run(program, &format!("b::{NAME}"));
        assert_eq!((conclusion.num_passed, conclusion.num_failed), (1, 0));
        let others = 2 * cases::all().count() - 1;
        assert_eq!(conclusion.num_filtered_out, others as u64);
    }

    #[test_support::test]
    fn a_case_that_does_not_apply_is_ignored_with_its_reason() {
        let open = || async { ReadOnly::new(Arc::new(MemoryDriver::new())) };
        let program = TestProgram::new().with_subject("read_only", open);
        let (conclusion, output) = run(program, "read_only::removing_twice_succeeds");
        assert_eq!((conclusion.num_passed, conclusion.num_ignored), (0, 1));
        assert!(
            output.contains("ignored (no writer given (Subject::with_writer))"),
            "{output}"
        );
    }

    #[test_support::test]
    fn a_violation_fails_the_program() {
        let open = || async {
            let driver = Faulty::new(MemoryDriver::new());
            let away = Fault::before(ErrorKind::Unavailable);
            driver.faults().always(Operation::Read, away);
            driver
        };
        let program = TestProgram::new().with_subject("broken", open);
        let (conclusion, output) = run(program, &format!("broken::{NAME}"));
        assert_eq!(conclusion.num_failed, 1);
        assert_eq!(conclusion.exit_code(), ExitCode::from(101));
        assert!(
            output.contains("the driver violates the contract"),
            "{output}"
        );
    }
}
