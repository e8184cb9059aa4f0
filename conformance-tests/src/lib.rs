//! The contract of [`session_core::Driver`] as a test suite that anyone can run on a driver of their own.
//!
//! In the tests of a driver's crate, one line makes a test of each case:
//!
//! ```
//! mod conformance {
//!     conformance_tests::suite!(|| async { driver_memory::MemoryDriver::new() });
//! }
//! ```
//!
//! A program runs it and prints the report:
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
//! Each case proves one clause of the contract, under a base of its own, so that it can run on a server that
//! others use. What a driver does not claim to do by its capabilities is skipped, and the report says why. What
//! the driver alone cannot show (writes by another program, a backend out of reach, a restart) is tested when a
//! [`Subject`] brings the means.
//!
//! Two decorators that the suite's own tests use are good for other tests too: [`Faulty`] makes operations fail
//! as planned, [`Counting`] counts them.

mod case;
mod cases;
mod context;
mod converging;
mod counting;
mod failure;
mod faults;
mod operation;
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
pub use report::{CaseReport, Report, Verdict};
#[doc(hidden)]
pub use runner::test_case;
pub use runner::{run, run_only};
pub use subject::{HookError, Subject};

/// The names of all cases, in the order of the report.
pub fn case_names() -> impl Iterator<Item = &'static str> {
    cases::all().map(|case| case.name)
}
