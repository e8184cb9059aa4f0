//! The contract of session-core, held against this driver.

use std::process::ExitCode;
use std::time::Duration;

use conformance_tests::{Fault, Faulty, Subject, TestProgram};
use driver_memory::MemoryDriver;
use session_core::ErrorKind;

fn main() -> ExitCode {
    TestProgram::new()
        .with_subject("in_memory", in_memory)
        .run()
}

async fn in_memory() -> Subject {
    let ttl = Duration::from_secs(3_600);
    let unreachable = Faulty::new(MemoryDriver::new());
    unreachable
        .faults()
        .outage(Fault::before(ErrorKind::Unavailable));
    Subject::new(MemoryDriver::new().with_ttl(ttl))
        .with_default_ttl(ttl)
        .with_outage(unreachable)
}
