//! Drivers that hide errors, report wrong outcomes, or work after close.

use std::sync::Arc;

use conformance_tests::{Fault, Faulty, Report, Subject};
use driver_memory::MemoryDriver;
use session_core::decorators::ReadOnly;
use session_core::*;

use crate::broken::{Broken, Flaw};
use crate::{assert_detected, detects};

/// Runs the suite on a driver with a flaw, with an unreachable one as the outage.
async fn report_on_outage<F: Flaw + Clone + Sync>(flaw: F, fault: Fault) -> Report {
    crate::report_on_subjects(move || {
        let memory = Arc::new(MemoryDriver::new());
        let unreachable = Faulty::new(Arc::clone(&memory));
        unreachable.faults().outage(fault.clone());
        Subject::new(Broken::new(memory, flaw.clone()))
            .with_outage(Broken::new(unreachable, flaw.clone()))
    })
    .await
}

/// Defines a test that the suite detects a flaw that shows when the backend is unreachable.
macro_rules! detects_in_outage {
    ($test:ident, $flaw:ident { $($method:tt)* } => $named:ident $(, $along:ident)*) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            $($method)*
        }

        #[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
        async fn $test() {
            let report = report_on_outage($flaw, Fault::before(ErrorKind::Unavailable)).await;
            assert_detected(&report, stringify!($named), &[$(stringify!($along)),*]);
        }
    };
}

detects_in_outage!(a_driver_whose_errors_read_as_misses, ErrorIsAMiss {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        Ok(inner.read(key).await.unwrap_or_default())
    }
} => an_outage_is_never_a_miss, an_outage_error_has_a_kind_and_a_driver,
    after_close_all_operations_fail_or_none);

detects_in_outage!(a_driver_whose_errors_do_not_exist, ErrorDoesNotExist {
    async fn exists(&self, inner: &dyn Driver, key: &Key) -> Result<bool> {
        Ok(inner.exists(key).await.unwrap_or_default())
    }
} => an_outage_is_never_a_miss, after_close_all_operations_fail_or_none);

detects_in_outage!(a_driver_that_reads_an_error_in_a_batch_as_a_miss, BatchHidesErrors {
    async fn read_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        Ok(inner.read_many(keys).await.unwrap_or_else(|_| vec![None; keys.len()]))
    }
} => an_outage_is_never_a_miss, after_close_all_operations_fail_or_none);

detects_in_outage!(a_driver_that_takes_a_failed_write_for_done, WriteHidesErrors {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let outcome = inner.write(key, value, options).await;
        Ok(outcome.unwrap_or(WriteOutcome::written(Some(Version::from_u64(1)))))
    }
} => every_change_fails_during_an_outage, not_applied_means_not_applied,
    after_close_all_operations_fail_or_none);

detects_in_outage!(a_driver_that_takes_a_failed_clear_for_done, ClearHidesErrors {
    async fn clear(&self, inner: &dyn Driver, prefix: &Prefix) -> Result<()> {
        drop(inner.clear(prefix).await);
        Ok(())
    }
} => every_change_fails_during_an_outage, after_close_all_operations_fail_or_none);

detects_in_outage!(a_driver_whose_errors_say_nothing, ErrorsSayNothing {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        let read = inner.read(key).await;
        read.map_err(|_| Error::new(ErrorKind::CorruptData, "something went wrong"))
    }
} => an_outage_error_has_a_kind_and_a_driver, after_close_all_operations_fail_or_none);

detects_in_outage!(a_driver_whose_errors_show_the_key, ErrorsShowTheKey {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        inner.read(key).await.map_err(|error| {
            Error::new(error.kind(), format!("GET {} failed", key.as_str())).with_context(inner.name(), "read")
        })
    }
} => errors_contain_no_key_or_value);

#[derive(Clone)]
struct Flawless;

impl Flaw for Flawless {}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_reports_not_applied_for_an_applied_write() {
    let lie = Fault::after(ErrorKind::TimedOut).with_outcome(Outcome::NotApplied);
    let report = report_on_outage(Flawless, lie).await;
    assert_detected(&report, "not_applied_means_not_applied", &[]);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_reports_unknown_for_lost_responses_passes() {
    let report = report_on_outage(Flawless, Fault::after(ErrorKind::TimedOut)).await;
    report.assert_passed();
}

#[derive(Clone)]
struct WritesAfterClosing;

#[async_trait]
impl Flaw for WritesAfterClosing {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        match inner.write(key, value, options).await {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(WriteOutcome::written(None)),
            other => other,
        }
    }
}

detects!(a_driver_that_accepts_writes_after_close, WritesAfterClosing =>
    after_close_all_operations_fail_or_none);

#[derive(Clone)]
struct ClosedIsEmpty;

#[async_trait]
impl Flaw for ClosedIsEmpty {
    async fn close(&self, inner: &dyn Driver) -> Result<()> {
        inner.clear(&Prefix::root()).await
    }
}

detects!(a_driver_that_is_empty_after_close, ClosedIsEmpty => after_close_all_operations_fail_or_none);

#[derive(Clone)]
struct ClosesOnce;

#[async_trait]
impl Flaw for ClosesOnce {
    async fn close(&self, inner: &dyn Driver) -> Result<()> {
        // Any operation reports that the driver is already closed.
        inner.exists(&Key::new("k")?).await?;
        inner.close().await
    }
}

detects!(a_driver_that_cannot_be_closed_twice, ClosesOnce => closing_twice_succeeds);

#[derive(Clone)]
struct ClaimsToTouch;

#[async_trait]
impl Flaw for ClaimsToTouch {
    fn capabilities(&self, inner: &dyn Driver) -> Capabilities {
        inner.capabilities().with_touch(false)
    }
}

detects!(a_driver_that_touches_undeclared, ClaimsToTouch => unsupported_touch_is_rejected);

/// Reports success for writes without writing, like unstorage with read-only drivers.
#[derive(Clone)]
struct IgnoresWrites;

#[async_trait]
impl Flaw for IgnoresWrites {
    async fn write(
        &self,
        _right: &dyn Driver,
        _key: &Key,
        _value: Bytes,
        _options: WriteOptions,
    ) -> Result<WriteOutcome> {
        Ok(WriteOutcome::written(None))
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_pretends_to_write() {
    let report = crate::report_on_subjects(|| {
        let entries: Arc<dyn Driver> = Arc::new(MemoryDriver::new());
        let reader = Broken::new(ReadOnly::new(Arc::clone(&entries)), IgnoresWrites);
        Subject::new(reader).with_writer(entries)
    })
    .await;
    let along = ["unsupported_conditions_are_rejected"];
    assert_detected(&report, "writes_to_a_read_only_driver_are_rejected", &along);
}

#[derive(Clone)]
struct ClaimsALimit;

#[async_trait]
impl Flaw for ClaimsALimit {
    fn capabilities(&self, inner: &dyn Driver) -> Capabilities {
        inner
            .capabilities()
            .with_max_value_size(Some(2 << 20))
            .with_max_key_size(Some(4_000))
    }
}

detects!(a_driver_that_ignores_its_limits, ClaimsALimit => values_over_the_size_limit_are_rejected,
    keys_over_the_size_limit_are_rejected);
