//! Correct drivers pass the suite.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{Fault, Faulty, HookError, Subject};
use driver_memory::MemoryDriver;
use session_core::decorators::Prefixed;
use session_core::*;

use crate::broken::{Broken, Flaw};

#[derive(Clone)]
struct Flawless;

impl Flaw for Flawless {}

/// A subject with every hook, so that only unsupported cases are skipped.
fn with_everything(memory: &Arc<MemoryDriver>) -> Subject {
    let unreachable = Faulty::new(Arc::clone(memory));
    unreachable
        .faults()
        .outage(Fault::after(ErrorKind::TimedOut));
    let foreign = Arc::clone(memory);
    Subject::new(Broken::new(SharedClient(Arc::clone(memory)), Flawless))
        .with_default_ttl(TTL)
        .with_outage(unreachable)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let foreign = Arc::clone(&foreign);
            async move {
                let options = WriteOptions::default().with_expiry(Expiry::Never);
                let _first = foreign.write(&key, value, options).await?;
                Ok::<(), HookError>(())
            }
        })
}

const TTL: Duration = Duration::from_secs(3_600);

/// A client of a shared server. Closing it does not close the server.
struct SharedClient(Arc<MemoryDriver>);

#[async_trait]
impl Driver for SharedClient {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0
            .capabilities()
            .with_watch(false)
            .with_invalidations(false)
            .with_touch(true)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.0.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.0.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.0.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.0.list(options).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.0.touch(key, options).await
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_correct_driver_passes_and_skips_only_unsupported_cases() {
    let memory = Arc::new(MemoryDriver::new().with_ttl(TTL));
    let subject_of = Arc::clone(&memory);
    let report = crate::report_on_subjects(move || with_everything(&subject_of)).await;
    report.assert_passed();
    let mut skipped: Vec<&str> = report.skipped().map(|(name, _)| name).collect();
    skipped.sort_unstable();
    assert_eq!(
        skipped,
        [
            "a_watcher_sees_only_its_prefix",
            "a_watcher_sees_the_changes_of_another_driver",
            "a_watcher_sees_writes_and_removals",
            "keys_over_the_size_limit_are_rejected",
            "nested_keys_are_rejected_if_unsupported",
            "unsupported_conditions_are_rejected",
            "unsupported_list_is_rejected",
            "unsupported_touch_is_rejected",
            "values_over_the_size_limit_are_rejected",
            "writes_to_a_read_only_driver_are_rejected",
        ],
        "{report}"
    );
    // A clear that lists keys does not see expired entries; the driver removes them itself.
    let swept = async {
        while memory.entry_count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let swept = tokio::time::timeout(Duration::from_secs(20), swept).await;
    assert!(swept.is_ok(), "the suite must leave no entries");
}

/// A minimal driver with size limits.
struct Minimal(MemoryDriver);

const LONGEST_KEY: usize = 200;
const LONGEST_VALUE: usize = 100_000;

#[async_trait]
impl Driver for Minimal {
    fn name(&self) -> &str {
        "minimal"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_listing(Listing::None)
            .with_max_key_size(Some(LONGEST_KEY))
            .with_max_value_size(Some(LONGEST_VALUE))
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let entry = self.0.read(key).await?;
        Ok(entry.map(|entry| Entry::new(entry.value)))
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        if options.condition != WriteCondition::Always {
            return Err(Error::unsupported(self.name(), "write"));
        }
        if key.as_str().len() > LONGEST_KEY || value.len() > LONGEST_VALUE {
            return Err(Error::new(ErrorKind::TooLarge, "too large"));
        }
        let _first = self.0.write(key, value, options).await?;
        Ok(WriteOutcome::written(None))
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        if options.if_version.is_some() {
            return Err(Error::unsupported(self.name(), "remove"));
        }
        self.0.remove(key, options).await
    }

    async fn list(&self, _options: ListOptions) -> Result<ListPage> {
        Err(Error::unsupported(self.name(), "list"))
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_minimal_driver_passes_and_the_report_gives_skip_reasons() {
    let report = conformance_tests::run(|| async { Minimal(MemoryDriver::new()) }).await;
    report.assert_passed();
    let reason = |name| {
        report
            .skipped()
            .find(|(skipped, _)| *skipped == name)
            .unwrap()
            .1
    };
    assert_eq!(
        reason("if_absent_conflicts_with_an_existing_entry"),
        "the driver has no conditions"
    );
    assert_eq!(reason("pages_contain_every_key"), "the driver cannot list");
    assert!(reason("values_of_one_mebibyte_round_trip").contains("limited to 100000 bytes"));
    let skipped: Vec<&str> = report.skipped().map(|(name, _)| name).collect();
    for name in [
        "unsupported_conditions_are_rejected",
        "unsupported_touch_is_rejected",
        "unsupported_list_is_rejected",
        "unsupported_watch_is_rejected",
        "keys_over_the_size_limit_are_rejected",
        "values_over_the_size_limit_are_rejected",
    ] {
        assert!(
            !skipped.contains(&name),
            "{name} must not be skipped:\n{report}"
        );
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn decorators_of_a_correct_driver_pass() {
    let report = conformance_tests::run(|| async {
        let counted = conformance_tests::Counting::new(Faulty::new(MemoryDriver::new()));
        Prefixed::new(counted, Prefix::new("app").unwrap())
    })
    .await;
    report.assert_passed();
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_case_that_panics_fails_and_the_others_run() {
    #[derive(Clone)]
    struct Panics;

    #[async_trait]
    impl Flaw for Panics {
        async fn exists(&self, _right: &dyn Driver, _key: &Key) -> Result<bool> {
            panic!("a planned panic")
        }
    }

    let report = crate::report_on(Panics).await;
    let failed: Vec<&str> = report.failed().map(|(name, _)| name).collect();
    assert!(failed.contains(&"a_missing_key_is_a_miss"), "{report}");
    assert!(!failed.contains(&"binary_values_round_trip"), "{report}");
}
