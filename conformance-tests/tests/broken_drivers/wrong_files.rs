//! Drivers with flaws that are typical of files and folders.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{HookError, Subject};
use driver_memory::MemoryDriver;
use session_core::*;

use crate::broken::{Broken, Flaw};
use crate::detects;

/// Truncates a file before it writes, and does both even if the future is dropped.
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
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if options.condition != WriteCondition::Always || value.len() < 10_000 {
            return inner.write(key, value, options).await;
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
    crate::assert_detected(
        &report,
        "a_read_during_writes_returns_a_whole_value",
        &[
            "a_dropped_write_leaves_the_old_or_the_new_value",
            "a_dropped_removal_leaves_a_whole_entry_or_none",
            "a_dropped_batch_leaves_whole_values",
        ],
    );
}

/// An expiry beside the value that is ignored only if the length of the value differs.
fn expiry_bound_to_length() -> Subject {
    let memory = Arc::new(MemoryDriver::new());
    let files = Arc::clone(&memory);
    Subject::new(memory).with_foreign_write(move |key, value| {
        let files = Arc::clone(&files);
        async move {
            let old = files.read(&key).await?;
            let kept = old.filter(|old| old.value.len() == value.len());
            let expires_at = kept.and_then(|old| old.expires_at);
            let expiry = expires_at.map_or(Expiry::Never, Expiry::At);
            let options = WriteOptions::default().with_expiry(expiry);
            let _first = files.write(&key, value, options).await?;
            Ok::<(), HookError>(())
        }
    })
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn a_driver_whose_expiry_survives_a_foreign_write_of_equal_length() {
    let report = crate::report_on_subjects(expiry_bound_to_length).await;
    crate::assert_detected(
        &report,
        "an_immediate_foreign_write_of_equal_length_clears_the_expiry",
        &[],
    );
}

/// Defines a flaw that maps keys to other keys.
macro_rules! flawed_keys {
    ($flaw:ident, |$text:ident| $path:expr) => {
        #[derive(Clone)]
        struct $flaw;

        impl $flaw {
            fn map_key(key: &Key) -> Result<Key> {
                let $text = key.as_str();
                Key::new(&$path)
            }
        }

        #[async_trait]
        impl Flaw for $flaw {
            async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
                inner.read(&Self::map_key(key)?).await
            }

            async fn write(
                &self,
                inner: &dyn Driver,
                key: &Key,
                value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                inner.write(&Self::map_key(key)?, value, options).await
            }
        }
    };
}

flawed_keys!(FollowsDots, |text| {
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
detects!(a_driver_that_follows_dots, FollowsDots => dots_in_keys_do_not_traverse,
    special_characters_in_keys_are_literal);

flawed_keys!(TruncatesNames, |text| {
    let cut = |segment: &str| segment.chars().take(255).collect::<String>();
    text.split(':').map(cut).collect::<Vec<_>>().join(":")
});
detects!(a_driver_that_truncates_long_names, TruncatesNames => long_keys_are_not_truncated);

/// Writes a temporary file beside the entry, which listings contain.
#[derive(Clone)]
struct ListsTemporaries;

#[async_trait]
impl Flaw for ListsTemporaries {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if value.len() != 20_000 {
            return inner.write(key, value, options).await;
        }
        let temporary = Key::new(&format!("{}.tmp", key.as_str()))?;
        let _first = inner
            .write(&temporary, Bytes::new(), WriteOptions::default())
            .await?;
        tokio::task::yield_now().await;
        let outcome = inner.write(key, value, options).await;
        let _unconditional = inner.remove(&temporary, RemoveOptions::default()).await?;
        outcome
    }
}

detects!(a_driver_that_lists_its_temporary_files, ListsTemporaries =>
    a_listing_during_writes_contains_no_unknown_key);

async fn is_folder(inner: &dyn Driver, key: &Key) -> Result<bool> {
    let below = ListOptions::below(Prefix::from(key));
    Ok(!inner.list(below).await?.keys.is_empty())
}

#[derive(Clone)]
struct FoldersExist;

#[async_trait]
impl Flaw for FoldersExist {
    async fn exists(&self, inner: &dyn Driver, key: &Key) -> Result<bool> {
        Ok(inner.exists(key).await? || is_folder(inner, key).await?)
    }
}

detects!(a_driver_that_treats_a_folder_as_an_entry, FoldersExist => the_parent_of_a_key_is_not_an_entry);

#[derive(Clone)]
struct RemovesFolders;

#[async_trait]
impl Flaw for RemovesFolders {
    async fn remove(
        &self,
        inner: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        if is_folder(inner, key).await? {
            inner.clear(&Prefix::from(key)).await?;
        }
        inner.remove(key, options).await
    }
}

detects!(a_driver_that_removes_a_folder_with_its_entry, RemovesFolders => the_parent_of_a_key_is_not_an_entry,
    keys_are_normalised_like_unstorage);

/// Declares that it has no nested keys, but supports them.
#[derive(Clone)]
struct DeniesNestedKeys;

#[async_trait]
impl Flaw for DeniesNestedKeys {
    fn capabilities(&self, inner: &dyn Driver) -> Capabilities {
        inner.capabilities().with_nested_keys(false)
    }
}

detects!(a_driver_that_supports_nested_keys_undeclared, DeniesNestedKeys =>
    nested_keys_are_rejected_if_unsupported);
