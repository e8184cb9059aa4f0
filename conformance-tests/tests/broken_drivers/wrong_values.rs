//! Drivers with wrong values, keys or batches.

use session_core::*;

use crate::broken::Flaw;
use crate::detects;

/// Defines a flaw that changes every written value.
macro_rules! flawed_values {
    ($flaw:ident, |$value:ident| $changed:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn write(
                &self,
                inner: &dyn Driver,
                key: &Key,
                $value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                inner.write(key, $changed, options).await
            }
        }
    };
}

flawed_values!(ReplacesInvalidText, |value| Bytes::from(
    String::from_utf8_lossy(&value).into_owned()
));
detects!(a_driver_that_stores_only_text, ReplacesInvalidText => binary_values_round_trip,
    an_overwrite_replaces_the_whole_value, values_of_one_mebibyte_round_trip);

flawed_values!(TrimsValues, |value| Bytes::copy_from_slice(
    value.trim_ascii()
));
detects!(a_driver_that_trims_values, TrimsValues => values_that_look_like_json_round_trip, binary_values_round_trip,
    values_of_one_mebibyte_round_trip, similar_keys_are_distinct);

flawed_values!(TruncatesAtZero, |value| {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    value.slice(..end)
});
detects!(a_driver_that_truncates_values_at_a_zero_byte, TruncatesAtZero => binary_values_round_trip,
    an_overwrite_replaces_the_whole_value, values_of_one_mebibyte_round_trip,
    special_characters_in_keys_are_literal);

flawed_values!(TruncatesLongValues, |value| value
    .slice(..value.len().min(65_535)));
detects!(a_driver_that_truncates_long_values, TruncatesLongValues => values_of_one_mebibyte_round_trip);

flawed_values!(DecodesBase64, |value| {
    let marked = value.strip_prefix(b"base64:").map(Bytes::copy_from_slice);
    marked.unwrap_or(value)
});
detects!(a_driver_that_decodes_base64_values, DecodesBase64 => values_that_look_like_base64_round_trip);

#[derive(Clone)]
struct EmptyIsMissing;

#[async_trait]
impl Flaw for EmptyIsMissing {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        Ok(inner
            .read(key)
            .await?
            .filter(|entry| !entry.value.is_empty()))
    }
}

detects!(a_driver_that_treats_an_empty_value_as_a_miss, EmptyIsMissing => empty_values_round_trip,
    an_overwrite_replaces_the_whole_value, if_absent_conflicts_with_an_existing_entry,
    every_operation_reports_the_same_version);

/// Keeps the rest of a longer value.
#[derive(Clone)]
struct OverwritesInPlace;

#[async_trait]
impl Flaw for OverwritesInPlace {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let old = inner
            .read(key)
            .await?
            .map(|entry| entry.value)
            .unwrap_or_default();
        let rest = old.get(value.len()..).unwrap_or_default();
        // Only up to 100 bytes: the cases on dropped futures use longer values.
        let rest = if old.len() < 100 { rest } else { &[] };
        inner
            .write(key, [&value, rest].concat().into(), options)
            .await
    }
}

detects!(a_driver_that_overwrites_only_the_start_of_a_longer_value, OverwritesInPlace =>
    an_overwrite_replaces_the_whole_value, each_write_of_a_batch_has_its_own_condition, keys_are_normalised_like_unstorage,
    a_dropped_batch_leaves_whole_values, if_version_conflicts_with_a_changed_entry, versions_change_with_values_of_equal_length,
    a_foreign_write_changes_the_version, if_absent_conflicts_with_an_existing_entry, the_last_write_to_a_key_in_a_batch_wins,
    every_operation_reports_the_same_version, an_expired_entry_can_be_written_and_removed,
    sixty_four_tasks_lose_no_increment);

/// Defines a flaw that stores under another key.
macro_rules! flawed_keys {
    ($flaw:ident, |$text:ident| $changed:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
                inner.read(&Self::change(key)?).await
            }

            async fn write(
                &self,
                inner: &dyn Driver,
                key: &Key,
                value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                inner.write(&Self::change(key)?, value, options).await
            }
        }

        impl $flaw {
            fn change(key: &Key) -> Result<Key> {
                let $text = key.as_str();
                Key::new(&$changed)
            }
        }
    };
}

flawed_keys!(LowercasesKeys, |text| text.to_lowercase());
detects!(a_driver_that_ignores_the_case_of_keys, LowercasesKeys => similar_keys_are_distinct,
    a_listing_returns_keys_as_written, keys_are_normalised_like_unstorage,
    special_characters_in_prefixes_are_literal, special_characters_in_a_cleared_prefix_are_literal);

flawed_keys!(TrimsKeys, |text| text
    .split(':')
    .map(str::trim)
    .collect::<Vec<_>>()
    .join(":"));
detects!(a_driver_that_trims_keys, TrimsKeys => similar_keys_are_distinct,
    a_listing_returns_keys_as_written, keys_are_normalised_like_unstorage);

flawed_keys!(FlattensKeys, |text| text
    .replacen(':', "/", 1)
    .replace(':', "")
    .replace('/', ":"));
detects!(a_driver_that_drops_the_separators_of_keys, FlattensKeys => a_key_and_its_child_are_distinct,
    a_listing_contains_only_its_prefix, clear_removes_only_its_prefix, clear_removes_everything_below_its_prefix,
    special_characters_in_a_cleared_prefix_are_literal, special_characters_in_prefixes_are_literal,
    a_listing_returns_keys_as_written, keys_are_normalised_like_unstorage,
    a_watcher_sees_only_its_prefix, a_listing_during_writes_misses_no_key,
    special_characters_in_keys_are_literal, pages_contain_every_key, the_parent_of_a_key_is_not_an_entry,
    a_listing_during_writes_contains_no_unknown_key, dots_in_keys_do_not_traverse);

#[derive(Clone)]
struct LosesBrackets;

#[async_trait]
impl Flaw for LosesBrackets {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        if key.as_str().contains('[') {
            return Ok(None);
        }
        inner.read(key).await
    }
}

detects!(a_driver_that_drops_special_characters, LosesBrackets => special_characters_in_keys_are_literal);

#[derive(Clone)]
struct SortsBatches;

#[async_trait]
impl Flaw for SortsBatches {
    async fn read_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut sorted = keys.to_vec();
        sorted.sort();
        inner.read_many(&sorted).await
    }
}

detects!(a_driver_that_loses_the_order_of_a_batch, SortsBatches => a_batch_of_reads_keeps_order_and_duplicates,
    large_batches_work, an_expired_entry_is_not_read_in_batches);

#[derive(Clone)]
struct DropsDuplicates;

#[async_trait]
impl Flaw for DropsDuplicates {
    async fn read_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut once: Vec<Key> = Vec::new();
        for key in keys {
            if !once.contains(key) {
                once.push(key.clone());
            }
        }
        inner.read_many(&once).await
    }
}

detects!(a_driver_that_drops_duplicates_of_a_batch, DropsDuplicates => a_batch_of_reads_keeps_order_and_duplicates);

#[derive(Clone)]
struct WritesBackwards;

#[async_trait]
impl Flaw for WritesBackwards {
    async fn write_many(
        &self,
        inner: &dyn Driver,
        mut writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        writes.reverse();
        let mut outcomes = inner.write_many(writes).await;
        outcomes.reverse();
        outcomes
    }
}

detects!(a_driver_whose_batches_run_backwards, WritesBackwards => the_last_write_to_a_key_in_a_batch_wins);

#[derive(Clone)]
struct StopsAtAThousand;

#[async_trait]
impl Flaw for StopsAtAThousand {
    async fn remove_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<()> {
        inner.remove_many(keys.get(..1_000).unwrap_or(keys)).await
    }
}

detects!(a_driver_that_does_only_part_of_a_large_batch, StopsAtAThousand => large_batches_work);

#[derive(Clone)]
struct MissingIsAnError;

#[async_trait]
impl Flaw for MissingIsAnError {
    async fn remove(
        &self,
        inner: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        if options.if_version.is_none() && !inner.exists(key).await? {
            return Err(Error::new(ErrorKind::Backend, "404"));
        }
        inner.remove(key, options).await
    }
}

detects!(a_driver_that_fails_to_remove_a_missing_key, MissingIsAnError => removing_twice_succeeds,
    an_expired_entry_can_be_written_and_removed, a_listing_during_writes_misses_no_key,
    after_close_all_operations_fail_or_none, the_parent_of_a_key_is_not_an_entry,
    a_listing_during_writes_contains_no_unknown_key, keys_are_normalised_like_unstorage, operations_do_not_block_the_runtime);

/// Writes in two steps with a pause between them.
#[derive(Clone)]
struct WritesInTwoSteps;

#[async_trait]
impl Flaw for WritesInTwoSteps {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if options.condition == WriteCondition::Always && value.len() > 10_000 {
            let half = value.slice(..value.len() / 2);
            let _first = inner.write(key, half, options.clone()).await?;
            tokio::task::yield_now().await;
        }
        inner.write(key, value, options).await
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
}

detects!(a_driver_that_leaves_half_a_value_when_dropped, WritesInTwoSteps =>
    a_dropped_write_leaves_the_old_or_the_new_value, a_dropped_batch_leaves_whole_values,
    a_dropped_removal_leaves_a_whole_entry_or_none, a_read_during_writes_returns_a_whole_value);
