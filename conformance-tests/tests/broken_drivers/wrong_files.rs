//! Drivers that are wrong in the ways to which files and folders invite.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{HookError, Subject};
use driver_memory::MemoryDriver;
use session_core::*;

use crate::broken::{Broken, Flaw};
use crate::tells;

/// Empties a file before it fills it, whether anybody waits for that or not.
#[derive(Clone)]
struct TruncatesFirst(Arc<MemoryDriver>);

fn truncates_first() -> Subject {
    let memory = Arc::new(MemoryDriver::new());
    let flaw = TruncatesFirst(Arc::clone(&memory));
    Subject::new(Broken::new(memory, flaw))
}

#[async_trait]
impl Flaw for TruncatesFirst {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if options.condition != WriteCondition::Always || value.len() < 10_000 {
            return right.write(key, value, options).await;
        }
        let (files, key) = (Arc::clone(&self.0), key.clone());
        let writing = tokio::spawn(async move {
            let _truncated = files.write(&key, Bytes::new(), options.clone()).await?;
            tokio::time::sleep(Duration::from_micros(100)).await;
            files.write(&key, value, options).await
        });
        let stopped = |_| Error::new(ErrorKind::Backend, "the runtime stopped");
        writing.await.map_err(stopped)?
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_that_truncates_before_it_writes() {
    let report = crate::report_on_subjects(truncates_first).await;
    crate::assert_told(
        &report,
        "a_read_beside_writes_sees_one_of_them",
        &[
            "a_dropped_write_leaves_the_old_value_or_the_new",
            "a_dropped_removal_leaves_the_entry_or_none",
            "a_dropped_batch_leaves_whole_values",
        ],
    );
}

/// An end beside the value that is taken for void when the length of the value is another, and only then.
fn ends_bound_to_lengths() -> Subject {
    let memory = Arc::new(MemoryDriver::new());
    let files = Arc::clone(&memory);
    Subject::new(memory).with_foreign_write(move |key, value| {
        let files = Arc::clone(&files);
        async move {
            let old = files.read(&key).await?;
            let kept = old.filter(|old| old.value.len() == value.len());
            let end = kept.and_then(|old| old.expires_at);
            let expiry = end.map_or(Expiry::Never, Expiry::At);
            let options = WriteOptions::default().with_expiry(expiry);
            let _first = files.write(&key, value, options).await?;
            Ok::<(), HookError>(())
        }
    })
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_whose_end_outlives_a_foreign_write_of_equal_length() {
    let report = crate::report_on_subjects(ends_bound_to_lengths).await;
    crate::assert_told(
        &report,
        "a_foreign_write_at_once_and_of_equal_length_clears_the_end",
        &[],
    );
}

/// Takes keys for other keys.
macro_rules! leads_elsewhere {
    ($flaw:ident, |$text:ident| $path:expr) => {
        #[derive(Clone)]
        struct $flaw;

        impl $flaw {
            fn lead(key: &Key) -> Result<Key> {
                let $text = key.as_str();
                Key::new(&$path)
            }
        }

        #[async_trait]
        impl Flaw for $flaw {
            async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
                right.read(&Self::lead(key)?).await
            }

            async fn write(
                &self,
                right: &dyn Driver,
                key: &Key,
                value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                right.write(&Self::lead(key)?, value, options).await
            }
        }
    };
}

leads_elsewhere!(FollowsDots, |text| {
    let mut path = Vec::new();
    for segment in text.split(':') {
        match segment {
            "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join(":")
});
tells!(a_driver_that_goes_where_dots_lead, FollowsDots => dots_in_keys_lead_nowhere,
    special_characters_in_keys_are_ordinary);

leads_elsewhere!(CutsNames, |text| {
    let cut = |segment: &str| segment.chars().take(255).collect::<String>();
    text.split(':').map(cut).collect::<Vec<_>>().join(":")
});
tells!(a_driver_that_cuts_long_names, CutsNames => long_keys_that_differ_at_their_end_are_apart);

/// Writes a temporary file beside the entry, which everybody sees.
#[derive(Clone)]
struct ListsTemporaries;

#[async_trait]
impl Flaw for ListsTemporaries {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if value.len() != 20_000 {
            return right.write(key, value, options).await;
        }
        let temporary = Key::new(&format!("{}.tmp", key.as_str()))?;
        let _first = right
            .write(&temporary, Bytes::new(), WriteOptions::default())
            .await?;
        tokio::task::yield_now().await;
        let outcome = right.write(key, value, options).await;
        let _unconditional = right.remove(&temporary, RemoveOptions::default()).await?;
        outcome
    }
}

tells!(a_driver_that_lists_its_temporary_files, ListsTemporaries =>
    a_listing_while_others_write_shows_nothing_else);

async fn is_folder(right: &dyn Driver, key: &Key) -> Result<bool> {
    let below = ListOptions::below(Prefix::new(key.as_str()));
    Ok(!right.list(below).await?.keys.is_empty())
}

#[derive(Clone)]
struct FoldersExist;

#[async_trait]
impl Flaw for FoldersExist {
    async fn exists(&self, right: &dyn Driver, key: &Key) -> Result<bool> {
        Ok(right.exists(key).await? || is_folder(right, key).await?)
    }
}

tells!(a_driver_that_takes_a_folder_for_an_entry, FoldersExist => the_start_of_a_key_is_no_entry);

#[derive(Clone)]
struct RemovesFolders;

#[async_trait]
impl Flaw for RemovesFolders {
    async fn remove(
        &self,
        right: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        if is_folder(right, key).await? {
            right.clear(&Prefix::new(key.as_str())).await?;
        }
        right.remove(key, options).await
    }
}

tells!(a_driver_that_removes_a_folder_with_its_entry, RemovesFolders => the_start_of_a_key_is_no_entry,
    keys_are_normalised_as_unstorage_does);

/// Says that it has no place for keys below keys, and has one.
#[derive(Clone)]
struct DeniesNestedKeys;

#[async_trait]
impl Flaw for DeniesNestedKeys {
    fn capabilities(&self, right: &dyn Driver) -> Capabilities {
        right.capabilities().with_nested_keys(false)
    }
}

tells!(a_driver_that_holds_keys_below_keys_although_it_says_it_cannot, DeniesNestedKeys =>
    a_key_below_another_is_refused_where_it_has_no_place);
