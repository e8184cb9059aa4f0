//! Drivers that hide errors, lie about outcomes, or go on after they were closed.

use std::sync::Arc;

use conformance_tests::{Fault, Faulty, Report, Subject};
use driver_memory::MemoryDriver;
use session_core::decorators::ReadOnly;
use session_core::*;

use crate::broken::{Broken, Flaw};
use crate::{assert_told, tells};

/// A driver with a flaw, and the same one with its backend out of reach.
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

/// A test that the suite tells a flaw that shows when the backend is out of reach.
macro_rules! tells_in_outage {
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
            assert_told(&report, stringify!($named), &[$(stringify!($along)),*]);
        }
    };
}

tells_in_outage!(a_driver_whose_errors_read_as_misses, ErrorIsAMiss {
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        Ok(right.read(key).await.unwrap_or_default())
    }
} => an_outage_is_never_a_miss, an_outage_has_a_kind_and_a_context,
    after_closing_all_operations_are_refused_or_none);

tells_in_outage!(a_driver_whose_errors_do_not_exist, ErrorDoesNotExist {
    async fn exists(&self, right: &dyn Driver, key: &Key) -> Result<bool> {
        Ok(right.exists(key).await.unwrap_or_default())
    }
} => an_outage_is_never_a_miss, after_closing_all_operations_are_refused_or_none);

tells_in_outage!(a_driver_that_reads_an_error_in_a_batch_as_a_miss, BatchHidesErrors {
    async fn read_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        Ok(right.read_many(keys).await.unwrap_or_else(|_| vec![None; keys.len()]))
    }
} => an_outage_is_never_a_miss, after_closing_all_operations_are_refused_or_none);

tells_in_outage!(a_driver_that_takes_a_failed_write_for_done, WriteHidesErrors {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let outcome = right.write(key, value, options).await;
        Ok(outcome.unwrap_or(WriteOutcome::written(Some(Version::from_u64(1)))))
    }
} => an_outage_is_told_by_every_change, an_error_says_truly_what_was_not_applied,
    after_closing_all_operations_are_refused_or_none);

tells_in_outage!(a_driver_that_takes_a_failed_clear_for_done, ClearHidesErrors {
    async fn clear(&self, right: &dyn Driver, prefix: &Prefix) -> Result<()> {
        drop(right.clear(prefix).await);
        Ok(())
    }
} => an_outage_is_told_by_every_change);

tells_in_outage!(a_driver_whose_errors_say_nothing, ErrorsSayNothing {
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        let read = right.read(key).await;
        read.map_err(|_| Error::new(ErrorKind::CorruptData, "something went wrong"))
    }
} => an_outage_has_a_kind_and_a_context, after_closing_all_operations_are_refused_or_none);

tells_in_outage!(a_driver_whose_errors_show_the_key, ErrorsShowTheKey {
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        right.read(key).await.map_err(|error| {
            Error::new(error.kind(), format!("GET {} failed", key.as_str())).with_context(right.name(), "read")
        })
    }
} => errors_tell_no_secret);

#[derive(Clone)]
struct Flawless;

impl Flaw for Flawless {}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_says_not_applied_of_what_was() {
    let lie = Fault::after(ErrorKind::TimedOut).with_outcome(Outcome::NotApplied);
    let report = report_on_outage(Flawless, lie).await;
    assert_told(&report, "an_error_says_truly_what_was_not_applied", &[]);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_says_unknown_of_lost_answers_is_right() {
    let report = report_on_outage(Flawless, Fault::after(ErrorKind::TimedOut)).await;
    report.assert_passed();
}

#[derive(Clone)]
struct WritesAfterClosing;

#[async_trait]
impl Flaw for WritesAfterClosing {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        match right.write(key, value, options).await {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(WriteOutcome::written(None)),
            other => other,
        }
    }
}

tells!(a_driver_that_takes_writes_after_closing, WritesAfterClosing =>
    after_closing_all_operations_are_refused_or_none);

#[derive(Clone)]
struct ClosedIsEmpty;

#[async_trait]
impl Flaw for ClosedIsEmpty {
    async fn close(&self, right: &dyn Driver) -> Result<()> {
        right.clear(&Prefix::root()).await
    }
}

tells!(a_driver_that_is_empty_after_closing, ClosedIsEmpty => after_closing_all_operations_are_refused_or_none);

#[derive(Clone)]
struct ClosesOnce;

#[async_trait]
impl Flaw for ClosesOnce {
    async fn close(&self, right: &dyn Driver) -> Result<()> {
        // Any operation says that it is closed already.
        right.exists(&Key::new("k")?).await?;
        right.close().await
    }
}

tells!(a_driver_that_cannot_be_closed_twice, ClosesOnce => closing_twice_succeeds);

#[derive(Clone)]
struct ClaimsToTouch;

#[async_trait]
impl Flaw for ClaimsToTouch {
    fn capabilities(&self, right: &dyn Driver) -> Capabilities {
        right.capabilities().with_touch(false)
    }
}

tells!(a_driver_that_touches_although_it_says_it_cannot, ClaimsToTouch => touching_is_refused_where_it_does_not_work);

/// Takes a write as done, as unstorage does with drivers that cannot write.
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
    let along = ["conditions_are_refused_where_there_are_none"];
    assert_told(&report, "writing_is_refused_where_it_does_not_work", &along);
}

#[derive(Clone)]
struct ClaimsALimit;

#[async_trait]
impl Flaw for ClaimsALimit {
    fn capabilities(&self, right: &dyn Driver) -> Capabilities {
        right
            .capabilities()
            .with_max_value_size(Some(2 << 20))
            .with_max_key_size(Some(4_000))
    }
}

tells!(a_driver_that_does_not_keep_its_limits, ClaimsALimit => values_longer_than_the_limit_are_refused,
    keys_longer_than_the_limit_are_refused);
