//! The retry decorator: it passes the suite on a backend where every other operation fails. It retries only
//! idempotent operations and operations that were not applied.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use std::time::Duration;

use conformance_tests::{Counting, Counts, Fault, Faults, Faulty, Operation, Subject};
use driver_memory::MemoryDriver;
use session_core::decorators::Retry;
use session_core::*;

mod on_a_poor_connection {
    use super::*;

    conformance_tests::suite!(|| async {
        let flaky = Faulty::new(MemoryDriver::new());
        flaky
            .faults()
            .every_other(Fault::before(ErrorKind::Unavailable));
        let broken = Faulty::new(MemoryDriver::new());
        broken
            .faults()
            .outage(Fault::before(ErrorKind::Unavailable));
        let policy = RetryPolicy {
            // With many concurrent tasks, one operation can fail several times in a row.
            attempts: 100,
            min_delay: Duration::from_micros(100),
            max_delay: Duration::from_millis(2),
        };
        Subject::new(Retry::new(flaky, policy))
            .with_outage(Retry::new(broken, RetryPolicy::default()))
    });
}

fn subject() -> (impl Driver, Faults, Counts) {
    let faulty = Faulty::new(MemoryDriver::new());
    let faults = faulty.faults();
    let counting = Counting::new(faulty);
    let counts = counting.counts();
    (Retry::new(counting, RetryPolicy::default()), faults, counts)
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[test_support::test(start_paused = true)]
async fn a_lost_response_is_retried_if_that_is_safe() {
    let (driver, faults, counts) = subject();
    for operation in Operation::ALL {
        faults.next(operation, Fault::after(ErrorKind::TimedOut));
    }
    driver.put("k", "value").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "value");
    assert!(driver.exists(&key("k")).await.unwrap());
    driver.metadata(&key("k")).await.unwrap().unwrap();
    driver.list(ListOptions::default()).await.unwrap();
    let touch = TouchOptions::to(Expiry::Never);
    assert!(driver.touch(&key("k"), touch).await.unwrap());
    assert_eq!(driver.read_many(&[key("k")]).await.unwrap().len(), 1);
    driver.delete("k").await.unwrap();
    driver.remove_many(&[key("k")]).await.unwrap();
    driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(counts.total(), 2 * 10);
}

#[test_support::test(start_paused = true)]
async fn a_conditional_operation_with_a_lost_response_is_not_retried() {
    let (driver, faults, counts) = subject();
    driver.put("k", "1").await.unwrap();
    let version = driver.read(&key("k")).await.unwrap().unwrap().version;
    let if_version = || WriteOptions::if_version(version.clone().unwrap());
    counts.reset();

    let lost = || Fault::after(ErrorKind::TimedOut);
    faults.next(Operation::Write, lost());
    let write = driver.write(&key("k"), "2".into(), if_version()).await;
    assert_eq!(write.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(counts.of(Operation::Write), 1);
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "2");

    faults.next(Operation::Remove, lost());
    let removal = RemoveOptions::if_version(version.clone().unwrap());
    driver.remove(&key("k"), removal).await.unwrap_err();
    assert_eq!(counts.of(Operation::Remove), 1);

    faults.next(Operation::Touch, lost());
    let touch = TouchOptions::to(Expiry::Never).if_version(version.clone().unwrap());
    driver.touch(&key("k"), touch).await.unwrap_err();
    assert_eq!(counts.of(Operation::Touch), 1);
}

#[test_support::test(start_paused = true)]
async fn a_conditional_operation_that_was_not_applied_is_retried() {
    let (driver, faults, counts) = subject();
    faults.next(Operation::Write, Fault::before(ErrorKind::RateLimited));
    let written = driver
        .write(&key("k"), "1".into(), WriteOptions::if_absent())
        .await;
    assert!(matches!(written, Ok(WriteOutcome::Written { .. })));
    assert_eq!(counts.of(Operation::Write), 2);
}

#[test_support::test(start_paused = true)]
async fn only_idempotent_operations_of_a_batch_are_retried() {
    let (driver, faults, counts) = subject();
    let write = |name: &str, value: &'static str, options| {
        Write::new(key(name), value).with_options(options)
    };
    // The response to the whole batch is lost.
    faults.next(Operation::WriteMany, Fault::after(ErrorKind::Unavailable));
    let outcomes = driver
        .write_many(vec![
            write("a", "1", WriteOptions::default()),
            write("b", "1", WriteOptions::if_absent()),
            write("c", "1", WriteOptions::default()),
            // Followed by a write to the same key that must not be retried.
            write("d", "1", WriteOptions::default()),
            write("d", "2", WriteOptions::if_absent()),
            write("a", "2", WriteOptions::default()),
        ])
        .await;
    let succeeded: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [true, false, true, false, false, true]);
    assert_eq!(counts.of(Operation::WriteMany), 2);
    for (name, value) in [("a", "2"), ("b", "1"), ("c", "1"), ("d", "1")] {
        assert_eq!(driver.get(name).await.unwrap().unwrap(), value, "{name}");
    }
}
