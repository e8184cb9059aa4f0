//! Drivers whose versions or conditions are wrong.

use std::sync::Arc;

use conformance_tests::{HookError, Subject};
use driver_memory::MemoryDriver;
use parking_lot::Mutex;
use session_core::*;

use crate::broken::{Broken, Flaw};
use crate::detects;

/// Computes the version from the value alone.
#[derive(Clone)]
struct VersionOf(fn(&Bytes) -> u64);

impl VersionOf {
    fn entry(&self, entry: Entry) -> Entry {
        let version = Version::from_u64((self.0)(&entry.value));
        entry.with_version(version)
    }

    /// Returns the version of the inner driver if `named` is the version of the current value.
    async fn real(&self, inner: &dyn Driver, key: &Key, named: &Version) -> Result<Version> {
        let current = inner.read(key).await?;
        let matching = current.filter(|entry| Version::from_u64((self.0)(&entry.value)) == *named);
        Ok(matching
            .and_then(|entry| entry.version)
            .unwrap_or_else(|| Version::from_u64(0)))
    }

    fn current(&self, current: ConflictState) -> ConflictState {
        match current {
            ConflictState::Present(entry) => ConflictState::Present(self.entry(entry)),
            other => other,
        }
    }
}

#[async_trait]
impl Flaw for VersionOf {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        Ok(inner.read(key).await?.map(|entry| self.entry(entry)))
    }

    async fn metadata(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Metadata>> {
        Ok(self.read(inner, key).await?.as_ref().map(Metadata::from))
    }

    async fn read_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let entries = inner.read_many(keys).await?;
        Ok(entries
            .into_iter()
            .map(|entry| Some(self.entry(entry?)))
            .collect())
    }

    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        mut options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if let WriteCondition::IfVersion(named) = &options.condition {
            let real = self.real(inner, key, named).await?;
            options.condition = WriteCondition::IfVersion(real);
        }
        let version = Some(Version::from_u64((self.0)(&value)));
        Ok(match inner.write(key, value, options).await? {
            WriteOutcome::Written { .. } => WriteOutcome::written(version),
            WriteOutcome::Conflict(current) => WriteOutcome::Conflict(self.current(current)),
            other => other,
        })
    }

    async fn write_many(
        &self,
        inner: &dyn Driver,
        writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(
                self.write(inner, &write.key, write.value, write.options)
                    .await,
            );
        }
        outcomes
    }

    async fn remove(
        &self,
        inner: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        let Some(named) = &options.if_version else {
            return inner.remove(key, options).await;
        };
        let real = self.real(inner, key, named).await?;
        Ok(
            match inner.remove(key, RemoveOptions::if_version(real)).await? {
                RemoveOutcome::Conflict(current) => RemoveOutcome::Conflict(self.current(current)),
                removed => removed,
            },
        )
    }
}

detects!(a_driver_whose_version_never_changes, VersionOf(|_| 1) => versions_change_with_values_of_equal_length,
    if_version_conflicts_with_a_changed_entry, a_conditional_removal_conflicts_with_a_changed_entry, sixty_four_tasks_lose_no_increment,
    a_dropped_conditional_write_leaves_the_old_or_the_new_value,
    a_touch_on_another_version_changes_nothing);

detects!(a_driver_whose_version_is_the_length, VersionOf(|value| value.len() as u64) =>
    versions_change_with_values_of_equal_length, a_conditional_removal_conflicts_with_a_changed_entry, sixty_four_tasks_lose_no_increment,
    a_touch_on_another_version_changes_nothing);

/// Defines a flaw of conditional writes.
macro_rules! flawed_writes {
    ($flaw:ident, |$inner:ident, $key:ident, $value:ident, $options:ident| $write:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn write(
                &self,
                $inner: &dyn Driver,
                $key: &Key,
                $value: Bytes,
                $options: WriteOptions,
            ) -> Result<WriteOutcome> {
                $write
            }
        }
    };
}

/// Checks a condition with a separate read.
async fn look(
    inner: &dyn Driver,
    key: &Key,
    condition: &WriteCondition,
) -> Result<Option<ConflictState>> {
    let current = inner.read(key).await?;
    let holds = match condition {
        WriteCondition::Always => true,
        WriteCondition::IfAbsent => current.is_none(),
        WriteCondition::IfVersion(version) => current
            .as_ref()
            .is_some_and(|entry| entry.version.as_ref() == Some(version)),
    };
    Ok((!holds).then(|| current.map_or(ConflictState::Absent, ConflictState::Present)))
}

flawed_writes!(ChecksThenActs, |inner, key, value, options| {
    let conflict = look(inner, key, &options.condition).await?;
    tokio::task::yield_now().await;
    if let Some(conflict) = conflict {
        return Ok(WriteOutcome::Conflict(conflict));
    }
    let options = WriteOptions::default().with_expiry(options.expiry);
    inner.write(key, value, options).await
});
detects!(a_driver_that_checks_and_then_acts, ChecksThenActs => sixty_four_tasks_lose_no_increment,
    one_of_many_concurrent_if_absent_writes_succeeds);

flawed_writes!(IgnoresConditions, |inner, key, value, options| {
    let options = WriteOptions::default().with_expiry(options.expiry);
    inner.write(key, value, options).await
});
detects!(a_driver_that_ignores_conditions, IgnoresConditions => if_version_conflicts_with_a_changed_entry,
    if_absent_conflicts_with_an_existing_entry, if_version_conflicts_with_a_missing_key, if_version_conflicts_with_an_expired_entry,
    versions_change_with_values_of_equal_length, sixty_four_tasks_lose_no_increment,
    one_of_many_concurrent_if_absent_writes_succeeds);

flawed_writes!(WritesMissingKey, |inner, key, value, options| {
    let mut options = options;
    if matches!(options.condition, WriteCondition::IfVersion(_)) && !inner.exists(key).await? {
        options.condition = WriteCondition::Always;
    }
    inner.write(key, value, options).await
});
detects!(a_driver_whose_if_version_writes_a_missing_key, WritesMissingKey => if_version_conflicts_with_a_missing_key,
    if_version_conflicts_with_an_expired_entry);

flawed_writes!(ConflictIsAnError, |inner, key, value, options| {
    match inner.write(key, value, options).await? {
        WriteOutcome::Conflict(_) => Err(Error::new(ErrorKind::Backend, "412")),
        written => Ok(written),
    }
});
detects!(a_driver_for_which_a_conflict_is_an_error, ConflictIsAnError => if_version_conflicts_with_a_changed_entry,
    if_absent_conflicts_with_an_existing_entry, if_version_conflicts_with_a_missing_key, if_version_conflicts_with_an_expired_entry,
    versions_change_with_values_of_equal_length, sixty_four_tasks_lose_no_increment,
    one_of_many_concurrent_if_absent_writes_succeeds);

flawed_writes!(ConflictContainsTheNewValue, |inner, key, value, options| {
    match inner.write(key, value.clone(), options).await? {
        WriteOutcome::Conflict(ConflictState::Present(mut entry)) => {
            entry.value = value;
            Ok(WriteOutcome::Conflict(ConflictState::Present(entry)))
        }
        other => Ok(other),
    }
});
detects!(a_driver_whose_conflict_contains_another_entry, ConflictContainsTheNewValue => if_version_conflicts_with_a_changed_entry,
    if_absent_conflicts_with_an_existing_entry);

flawed_writes!(ReturnsTheOldVersion, |inner, key, value, options| {
    let old = inner.read(key).await?.and_then(|entry| entry.version);
    match inner.write(key, value, options).await? {
        WriteOutcome::Written { version, .. } => Ok(WriteOutcome::written(old.or(version))),
        conflict => Ok(conflict),
    }
});
detects!(a_driver_whose_write_returns_the_old_version, ReturnsTheOldVersion =>
    every_operation_reports_the_same_version, if_version_accepts_the_version_of_the_last_write,
    versions_change_with_values_of_equal_length, a_conditional_removal_conflicts_with_a_changed_entry);

flawed_writes!(LosesTheVersion, |inner, key, value, options| {
    let lost = options.condition == WriteCondition::IfAbsent;
    match inner.write(key, value, options).await? {
        WriteOutcome::Written { .. } if !lost => Ok(WriteOutcome::written(None)),
        other => Ok(other),
    }
});
detects!(a_driver_whose_write_returns_no_version, LosesTheVersion => if_version_accepts_the_version_of_the_last_write,
    if_version_replaces_that_version, if_version_conflicts_with_a_changed_entry, if_version_conflicts_with_a_missing_key,
    if_version_conflicts_with_an_expired_entry, a_conditional_write_sets_the_expiry, versions_change_with_values_of_equal_length,
    every_operation_reports_the_same_version, a_conditional_removal_removes_that_version,
    a_conditional_removal_conflicts_with_a_changed_entry, a_conditional_removal_conflicts_with_a_missing_key,
    a_conditional_removal_conflicts_with_an_expired_entry, one_of_many_concurrent_conditional_removals_succeeds,
    each_write_of_a_batch_has_its_own_condition);

/// An expired entry that was not removed still blocks.
#[derive(Clone, Default)]
struct ExpiredBlocks(Arc<Mutex<Vec<(Key, Timestamp)>>>);

#[async_trait]
impl Flaw for ExpiredBlocks {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let blocked = {
            let mut expiries = self.0.lock();
            let now = Timestamp::now();
            let blocked = expiries
                .iter()
                .any(|(other, expires_at)| other == key && *expires_at <= now);
            if let Expiry::At(expires_at) = options.expiry {
                expiries.push((key.clone(), expires_at));
            }
            blocked
        };
        if blocked && options.condition == WriteCondition::IfAbsent {
            return Ok(WriteOutcome::Conflict(ConflictState::Unknown));
        }
        inner.write(key, value, options).await
    }
}

detects!(a_driver_whose_expired_entries_block_if_absent, ExpiredBlocks::default() => if_absent_writes_an_expired_key);

/// Defines a flaw of conditional removals.
macro_rules! flawed_removals {
    ($flaw:ident, |$inner:ident, $key:ident, $options:ident| $remove:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn remove(
                &self,
                $inner: &dyn Driver,
                $key: &Key,
                $options: RemoveOptions,
            ) -> Result<RemoveOutcome> {
                $remove
            }
        }
    };
}

flawed_removals!(RemovesAnyVersion, |inner, key, _options| {
    inner.remove(key, RemoveOptions::default()).await
});
detects!(a_driver_that_ignores_the_condition_of_removals, RemovesAnyVersion =>
    a_conditional_removal_conflicts_with_a_changed_entry, a_conditional_removal_conflicts_with_a_missing_key,
    a_conditional_removal_conflicts_with_an_expired_entry, one_of_many_concurrent_conditional_removals_succeeds);

flawed_removals!(MissingCountsAsRemoved, |inner, key, options| {
    match inner.remove(key, options).await? {
        RemoveOutcome::Conflict(ConflictState::Absent) => Ok(RemoveOutcome::Removed),
        other => Ok(other),
    }
});
detects!(a_driver_whose_conditional_removal_accepts_a_missing_key, MissingCountsAsRemoved => a_conditional_removal_conflicts_with_a_missing_key,
    a_conditional_removal_conflicts_with_an_expired_entry, one_of_many_concurrent_conditional_removals_succeeds);

flawed_removals!(ChecksThenRemoves, |inner, key, options| {
    let Some(version) = options.if_version else {
        return inner.remove(key, options).await;
    };
    let conflict = look(inner, key, &WriteCondition::IfVersion(version)).await?;
    tokio::task::yield_now().await;
    match conflict {
        Some(conflict) => Ok(RemoveOutcome::Conflict(conflict)),
        None => inner.remove(key, RemoveOptions::default()).await,
    }
});
detects!(a_driver_that_checks_and_then_removes, ChecksThenRemoves => one_of_many_concurrent_conditional_removals_succeeds);

/// Batches that ignore conditions.
#[derive(Clone)]
struct BatchesIgnoreConditions;

#[async_trait]
impl Flaw for BatchesIgnoreConditions {
    async fn write_many(
        &self,
        inner: &dyn Driver,
        mut writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        for write in &mut writes {
            write.options.condition = WriteCondition::Always;
        }
        inner.write_many(writes).await
    }
}

detects!(a_driver_whose_batches_ignore_conditions, BatchesIgnoreConditions => each_write_of_a_batch_has_its_own_condition);

/// Conditions that are faked although the capabilities exclude them.
#[derive(Clone)]
struct FakesConditions;

#[async_trait]
impl Flaw for FakesConditions {
    fn capabilities(&self, inner: &dyn Driver) -> Capabilities {
        inner.capabilities().with_conditions(Conditions::None)
    }
}

detects!(a_driver_that_fakes_conditions, FakesConditions => unsupported_conditions_are_rejected);

/// A version and an expiry that are stored beside the value, where a foreign writer does not change them.
fn blind_to_foreign_writes() -> Subject {
    let memory = Arc::new(MemoryDriver::new());
    let foreign = Arc::clone(&memory);
    Subject::new(Broken::new(memory, Blind)).with_foreign_write(move |key, value| {
        let foreign = Arc::clone(&foreign);
        async move {
            // It changes only the bytes, and neither the version nor the expiry beside them.
            let marked = [b"foreign:".as_slice(), &value].concat();
            let old = foreign.read(&key).await?;
            let side = Key::new(&format!("{}$foreign", key.as_str()))?;
            let _first = foreign
                .write(&side, marked.into(), WriteOptions::default())
                .await?;
            drop(old);
            Ok::<(), HookError>(())
        }
    })
}

struct Blind;

#[async_trait]
impl Flaw for Blind {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        let side = Key::new(&format!("{}$foreign", key.as_str()))?;
        let Some(mut entry) = inner.read(key).await? else {
            return Ok(None);
        };
        if let Some(foreign) = inner.read(&side).await? {
            entry.value = foreign.value.slice(8..);
        }
        Ok(Some(entry))
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_does_not_see_foreign_writes() {
    let report = crate::report_on_subjects(blind_to_foreign_writes).await;
    crate::assert_detected(
        &report,
        "a_foreign_write_changes_the_version",
        &[
            "a_foreign_write_clears_the_expiry",
            "an_immediate_foreign_write_of_equal_length_clears_the_expiry",
        ],
    );
    crate::assert_detected(
        &report,
        "a_foreign_write_clears_the_expiry",
        &[
            "a_foreign_write_changes_the_version",
            "an_immediate_foreign_write_of_equal_length_clears_the_expiry",
        ],
    );
}
