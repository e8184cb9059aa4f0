//! A test suite for implementations of [`session_core::Driver`].
//!
//! A test program of a driver crate, `tests/conformance.rs` with `harness = false`, has a test for each case:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use conformance_tests::TestProgram;
//! use driver_memory::MemoryDriver;
//!
//! fn main() -> ExitCode {
//!     TestProgram::new()
//!         .with_subject("in_memory", || async { MemoryDriver::new() })
//!         .run()
//! }
//! ```
//!
//! [`suite!`] makes the same tests among others of a program with Rust's own harness. Any program can run the suite and
//! print a report:
//!
//! ```
//! # #[tokio::main]
//! # async fn main() {
//! let report = conformance_tests::run(|| async { driver_memory::MemoryDriver::new() }).await;
//! println!("{report}");
//! assert!(report.has_passed());
//! # }
//! ```
//!
//! Most cases test one clause of the contract. The random ones run programs over all methods beside a model of the
//! contract; a program that fails is shrunk and printed as code, and `SEED` repeats it. Each of them runs for
//! 4 seconds, or for what [`Subject::with_budget`] or the variable `CONFORMANCE_SECONDS` says. [`history`] checks what happens between concurrent operations.
//!
//! A case uses a key prefix of its own, so it can run against a shared server. A case is ignored if the capabilities of
//! the driver rule it out; the report gives the reason. Some cases need more than the driver, such as a foreign writer
//! or an unreachable backend. They run if a [`Subject`] provides it.
//!
//! The crate also has two decorators for tests: [`Faulty`] injects faults, and [`Counting`] counts operations.

mod budget;
mod case;
mod cases;
mod context;
mod converging;
mod counting;
mod failure;
mod faults;
pub mod history;
mod model;
mod operation;
mod program;
mod report;
mod runner;
mod subject;
mod suite;
mod under_way;

pub use case::Case;
pub use counting::{Counting, Counts};
pub use failure::Failure;
pub use faults::{Fault, Faults, Faulty};
pub use operation::Operation;
pub use program::TestProgram;
pub use report::{CaseReport, Report, Verdict};
#[doc(hidden)]
pub use runner::test_case;
pub use runner::{run, run_only};
pub use subject::{Disruption, HookError, Subject};

/// Returns the names of all cases, in the order of the report.
pub fn case_names() -> impl Iterator<Item = &'static str> {
    cases::all().map(|case| case.name)
}
