//! The contract of session-core, held against this driver.
//!
//! It is a test program of its own, so that a case that does not apply is reported as ignored.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::ExitCode;
use std::sync::Arc;

use conformance_tests::{Subject, TestProgram};
use driver_fs::Durability;
use tempfile::TempDir;

#[allow(dead_code, reason = "the other test program uses the rest")]
mod subject;
#[allow(dead_code, reason = "the other test program uses the rest")]
mod support;

fn main() -> ExitCode {
    let (folder, read_only) = (new_folder(), new_folder());
    TestProgram::new()
        .with_subject("in_a_folder", move || {
            subject::on(Arc::clone(&folder), Durability::None)
        })
        .with_subject("read_only", move || reading(Arc::clone(&read_only)))
        .run()
}

fn new_folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

/// A driver that only reads, beside one that writes.
async fn reading(parent: Arc<TempDir>) -> Subject {
    let base = parent.path().join("sessions");
    let writer = support::open(&base, |_| {}).await;
    let reader = support::open(&base, |options| options.read_only = true).await;
    Subject::new(reader).with_writer(writer)
}
