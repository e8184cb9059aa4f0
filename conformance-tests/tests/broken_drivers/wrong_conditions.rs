//! Drivers whose versions or conditions are wrong.

use std::sync::Arc;

use conformance_tests::{HookError, Subject};
use driver_memory::MemoryDriver;
use parking_lot::Mutex;
use session_core::*;

use crate::broken::{Broken, Flaw};
use crate::tells;

/// Makes a version of the value alone.
#[derive(Clone)]
struct VersionOf(fn(&Bytes) -> u64);

impl VersionOf {
    fn entry(&self, entry: Entry) -> Entry {
        let version = Version::from_u64((self.0)(&entry.value));
        entry.with_version(version)
    }

    /// The version of the driver below, if the one named is that of the current value.
    async fn real(&self, right: &dyn Driver, key: &Key, named: &Version) -> Result<Version> {
        let current = right.read(key).await?;
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
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        Ok(right.read(key).await?.map(|entry| self.entry(entry)))
    }

    async fn metadata(&self, right: &dyn Driver, key: &Key) -> Result<Option<Metadata>> {
        Ok(self.read(right, key).await?.as_ref().map(Metadata::from))
    }

    async fn read_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let entries = right.read_many(keys).await?;
        Ok(entries
            .into_iter()
            .map(|entry| Some(self.entry(entry?)))
            .collect())
    }

    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        mut options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if let WriteCondition::IfVersion(named) = &options.condition {
            let real = self.real(right, key, named).await?;
            options.condition = WriteCondition::IfVersion(real);
        }
        let version = Some(Version::from_u64((self.0)(&value)));
        Ok(match right.write(key, value, options).await? {
            WriteOutcome::Written { .. } => WriteOutcome::written(version),
            WriteOutcome::Conflict(current) => WriteOutcome::Conflict(self.current(current)),
            other => other,
        })
    }

    async fn write_many(
        &self,
        right: &dyn Driver,
        writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(
                self.write(right, &write.key, write.value, write.options)
                    .await,
            );
        }
        outcomes
    }

    async fn remove(
        &self,
        right: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        let Some(named) = &options.if_version else {
            return right.remove(key, options).await;
        };
        let real = self.real(right, key, named).await?;
        Ok(
            match right.remove(key, RemoveOptions::if_version(real)).await? {
                RemoveOutcome::Conflict(current) => RemoveOutcome::Conflict(self.current(current)),
                removed => removed,
            },
        )
    }
}

tells!(a_driver_whose_version_never_changes, VersionOf(|_| 1) => versions_change_with_values_of_equal_length,
    if_version_meets_a_change, a_conditional_removal_meets_a_change, sixty_four_tasks_lose_no_increment,
    a_dropped_conditional_write_leaves_the_old_value_or_the_new,
    a_touch_on_another_version_moves_nothing);

tells!(a_driver_whose_version_is_the_length, VersionOf(|value| value.len() as u64) =>
    versions_change_with_values_of_equal_length, a_conditional_removal_meets_a_change, sixty_four_tasks_lose_no_increment,
    a_touch_on_another_version_moves_nothing);

/// Changes what a conditional write does.
macro_rules! spoils_writes {
    ($flaw:ident, |$right:ident, $key:ident, $value:ident, $options:ident| $write:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn write(
                &self,
                $right: &dyn Driver,
                $key: &Key,
                $value: Bytes,
                $options: WriteOptions,
            ) -> Result<WriteOutcome> {
                $write
            }
        }
    };
}

/// Whether a condition holds, by looking.
async fn look(
    right: &dyn Driver,
    key: &Key,
    condition: &WriteCondition,
) -> Result<Option<ConflictState>> {
    let current = right.read(key).await?;
    let holds = match condition {
        WriteCondition::Always => true,
        WriteCondition::IfAbsent => current.is_none(),
        WriteCondition::IfVersion(version) => current
            .as_ref()
            .is_some_and(|entry| entry.version.as_ref() == Some(version)),
    };
    Ok((!holds).then(|| current.map_or(ConflictState::Absent, ConflictState::Present)))
}

spoils_writes!(ChecksThenActs, |right, key, value, options| {
    let conflict = look(right, key, &options.condition).await?;
    tokio::task::yield_now().await;
    if let Some(conflict) = conflict {
        return Ok(WriteOutcome::Conflict(conflict));
    }
    let options = WriteOptions::default().with_expiry(options.expiry);
    right.write(key, value, options).await
});
tells!(a_driver_that_checks_and_then_acts, ChecksThenActs => sixty_four_tasks_lose_no_increment,
    of_many_that_write_if_absent_one_does);

spoils_writes!(IgnoresConditions, |right, key, value, options| {
    let options = WriteOptions::default().with_expiry(options.expiry);
    right.write(key, value, options).await
});
tells!(a_driver_that_ignores_conditions, IgnoresConditions => if_version_meets_a_change,
    if_absent_meets_what_is_there, if_version_meets_nothing, if_version_meets_what_has_ended,
    versions_change_with_values_of_equal_length, sixty_four_tasks_lose_no_increment,
    of_many_that_write_if_absent_one_does);

spoils_writes!(RevivesWhatIsGone, |right, key, value, options| {
    let mut options = options;
    if matches!(options.condition, WriteCondition::IfVersion(_)) && !right.exists(key).await? {
        options.condition = WriteCondition::Always;
    }
    right.write(key, value, options).await
});
tells!(a_driver_that_writes_over_what_is_gone, RevivesWhatIsGone => if_version_meets_nothing,
    if_version_meets_what_has_ended);

spoils_writes!(ConflictIsAnError, |right, key, value, options| {
    match right.write(key, value, options).await? {
        WriteOutcome::Conflict(_) => Err(Error::new(ErrorKind::Backend, "412")),
        written => Ok(written),
    }
});
tells!(a_driver_for_which_a_conflict_is_an_error, ConflictIsAnError => if_version_meets_a_change,
    if_absent_meets_what_is_there, if_version_meets_nothing, if_version_meets_what_has_ended,
    versions_change_with_values_of_equal_length, sixty_four_tasks_lose_no_increment,
    of_many_that_write_if_absent_one_does);

spoils_writes!(ConflictTellsTheNewValue, |right, key, value, options| {
    match right.write(key, value.clone(), options).await? {
        WriteOutcome::Conflict(ConflictState::Present(mut entry)) => {
            entry.value = value;
            Ok(WriteOutcome::Conflict(ConflictState::Present(entry)))
        }
        other => Ok(other),
    }
});
tells!(a_driver_whose_conflict_tells_another_entry, ConflictTellsTheNewValue => if_version_meets_a_change,
    if_absent_meets_what_is_there);

spoils_writes!(TellsTheOldVersion, |right, key, value, options| {
    let old = right.read(key).await?.and_then(|entry| entry.version);
    match right.write(key, value, options).await? {
        WriteOutcome::Written { version, .. } => Ok(WriteOutcome::written(old.or(version))),
        conflict => Ok(conflict),
    }
});
tells!(a_driver_whose_write_tells_the_old_version, TellsTheOldVersion =>
    versions_are_the_same_wherever_they_are_told, if_version_works_again_and_again,
    versions_change_with_values_of_equal_length, a_conditional_removal_meets_a_change);

spoils_writes!(LosesTheVersion, |right, key, value, options| {
    let lost = options.condition == WriteCondition::IfAbsent;
    match right.write(key, value, options).await? {
        WriteOutcome::Written { .. } if !lost => Ok(WriteOutcome::written(None)),
        other => Ok(other),
    }
});
tells!(a_driver_whose_write_tells_no_version, LosesTheVersion => if_version_works_again_and_again,
    if_version_writes_over_its_version, if_version_meets_a_change, if_version_meets_nothing,
    if_version_meets_what_has_ended, a_conditional_write_sets_the_end, versions_change_with_values_of_equal_length,
    versions_are_the_same_wherever_they_are_told, a_conditional_removal_removes_its_version,
    a_conditional_removal_meets_a_change, a_conditional_removal_meets_nothing,
    a_conditional_removal_meets_what_has_ended, of_many_that_remove_a_version_one_does,
    each_write_of_a_batch_has_its_condition);

/// An ended entry that nobody swept still blocks.
#[derive(Clone, Default)]
struct EndedBlocks(Arc<Mutex<Vec<(Key, Timestamp)>>>);

#[async_trait]
impl Flaw for EndedBlocks {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let blocked = {
            let mut ends = self.0.lock();
            let now = Timestamp::now();
            let blocked = ends.iter().any(|(other, end)| other == key && *end <= now);
            if let Expiry::At(end) = options.expiry {
                ends.push((key.clone(), end));
            }
            blocked
        };
        if blocked && options.condition == WriteCondition::IfAbsent {
            return Ok(WriteOutcome::Conflict(ConflictState::Unknown));
        }
        right.write(key, value, options).await
    }
}

tells!(a_driver_whose_ended_entries_block_if_absent, EndedBlocks::default() => if_absent_writes_where_one_has_ended);

/// Changes what a conditional removal does.
macro_rules! spoils_removals {
    ($flaw:ident, |$right:ident, $key:ident, $options:ident| $remove:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn remove(
                &self,
                $right: &dyn Driver,
                $key: &Key,
                $options: RemoveOptions,
            ) -> Result<RemoveOutcome> {
                $remove
            }
        }
    };
}

spoils_removals!(RemovesWhateverIsThere, |right, key, _options| {
    right.remove(key, RemoveOptions::default()).await
});
tells!(a_driver_that_ignores_the_condition_of_removals, RemovesWhateverIsThere =>
    a_conditional_removal_meets_a_change, a_conditional_removal_meets_nothing,
    a_conditional_removal_meets_what_has_ended, of_many_that_remove_a_version_one_does);

spoils_removals!(GoneIsAsGoodAsRemoved, |right, key, options| {
    match right.remove(key, options).await? {
        RemoveOutcome::Conflict(ConflictState::Absent) => Ok(RemoveOutcome::Removed),
        other => Ok(other),
    }
});
tells!(a_driver_that_takes_gone_for_removed, GoneIsAsGoodAsRemoved => a_conditional_removal_meets_nothing,
    a_conditional_removal_meets_what_has_ended, of_many_that_remove_a_version_one_does);

spoils_removals!(ChecksThenRemoves, |right, key, options| {
    let Some(version) = options.if_version else {
        return right.remove(key, options).await;
    };
    let conflict = look(right, key, &WriteCondition::IfVersion(version)).await?;
    tokio::task::yield_now().await;
    match conflict {
        Some(conflict) => Ok(RemoveOutcome::Conflict(conflict)),
        None => right.remove(key, RemoveOptions::default()).await,
    }
});
tells!(a_driver_that_checks_and_then_removes, ChecksThenRemoves => of_many_that_remove_a_version_one_does);

/// A batch without conditions.
#[derive(Clone)]
struct BatchesIgnoreConditions;

#[async_trait]
impl Flaw for BatchesIgnoreConditions {
    async fn write_many(
        &self,
        right: &dyn Driver,
        mut writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        for write in &mut writes {
            write.options.condition = WriteCondition::Always;
        }
        right.write_many(writes).await
    }
}

tells!(a_driver_whose_batches_ignore_conditions, BatchesIgnoreConditions => each_write_of_a_batch_has_its_condition);

/// Conditions that are faked where the capabilities say that there are none.
#[derive(Clone)]
struct FakesConditions;

#[async_trait]
impl Flaw for FakesConditions {
    fn capabilities(&self, right: &dyn Driver) -> Capabilities {
        right.capabilities().with_conditions(Conditions::None)
    }
}

tells!(a_driver_that_fakes_conditions, FakesConditions => conditions_are_refused_where_there_are_none);

/// A version and an end that stand beside the value, where a foreign writer does not change them.
fn blind_to_foreigners() -> Subject {
    let memory = Arc::new(MemoryDriver::new());
    let foreign = Arc::clone(&memory);
    Subject::new(Broken::new(memory, Blind)).with_foreign_write(move |key, value| {
        let foreign = Arc::clone(&foreign);
        async move {
            // It changes the bytes and nothing else: what a version or an end of our own beside them sees.
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
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        let side = Key::new(&format!("{}$foreign", key.as_str()))?;
        let Some(mut entry) = right.read(key).await? else {
            return Ok(None);
        };
        if let Some(foreign) = right.read(&side).await? {
            entry.value = foreign.value.slice(8..);
        }
        Ok(Some(entry))
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_does_not_see_foreign_writes() {
    let report = crate::report_on_subjects(blind_to_foreigners).await;
    crate::assert_told(
        &report,
        "a_foreign_write_changes_the_version",
        &[
            "a_foreign_write_clears_the_end",
            "a_foreign_write_at_once_and_of_equal_length_clears_the_end",
        ],
    );
    crate::assert_told(
        &report,
        "a_foreign_write_clears_the_end",
        &[
            "a_foreign_write_changes_the_version",
            "a_foreign_write_at_once_and_of_equal_length_clears_the_end",
        ],
    );
}
