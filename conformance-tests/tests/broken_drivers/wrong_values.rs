//! Drivers that spoil values, keys and batches.

use session_core::*;

use crate::broken::Flaw;
use crate::tells;

/// Changes every value on its way in.
macro_rules! spoils_values {
    ($flaw:ident, |$value:ident| $spoilt:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn write(
                &self,
                right: &dyn Driver,
                key: &Key,
                $value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                right.write(key, $spoilt, options).await
            }
        }
    };
}

spoils_values!(ReplacesWhatIsNoText, |value| Bytes::from(
    String::from_utf8_lossy(&value).into_owned()
));
tells!(a_driver_that_holds_only_text, ReplacesWhatIsNoText => binary_values_come_back,
    an_overwrite_replaces_the_whole_value, values_of_a_mebibyte_come_back);

spoils_values!(TrimsValues, |value| Bytes::copy_from_slice(
    value.trim_ascii()
));
tells!(a_driver_that_trims_values, TrimsValues => values_that_look_like_json_come_back, binary_values_come_back,
    values_of_a_mebibyte_come_back, keys_that_differ_little_are_apart);

spoils_values!(CutsAtZero, |value| {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    value.slice(..end)
});
tells!(a_driver_that_cuts_values_at_a_zero_byte, CutsAtZero => binary_values_come_back,
    an_overwrite_replaces_the_whole_value, values_of_a_mebibyte_come_back,
    special_characters_in_keys_are_ordinary);

spoils_values!(CutsLongValues, |value| value
    .slice(..value.len().min(65_535)));
tells!(a_driver_that_cuts_long_values, CutsLongValues => values_of_a_mebibyte_come_back);

spoils_values!(DecodesBase64, |value| {
    let marked = value.strip_prefix(b"base64:").map(Bytes::copy_from_slice);
    marked.unwrap_or(value)
});
tells!(a_driver_that_takes_base64_text_for_its_own, DecodesBase64 => values_that_look_like_base64_come_back);

#[derive(Clone)]
struct EmptyIsMissing;

#[async_trait]
impl Flaw for EmptyIsMissing {
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        Ok(right
            .read(key)
            .await?
            .filter(|entry| !entry.value.is_empty()))
    }
}

tells!(a_driver_that_takes_an_empty_value_for_a_miss, EmptyIsMissing => empty_values_come_back,
    an_overwrite_replaces_the_whole_value, if_absent_meets_what_is_there,
    versions_are_the_same_wherever_they_are_told);

/// Keeps what was longer.
#[derive(Clone)]
struct OverwritesInPlace;

#[async_trait]
impl Flaw for OverwritesInPlace {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let old = right
            .read(key)
            .await?
            .map(|entry| entry.value)
            .unwrap_or_default();
        let rest = old.get(value.len()..).unwrap_or_default();
        // Up to 100 bytes, for the sake of the cases on dropped futures, which use longer ones.
        let rest = if old.len() < 100 { rest } else { &[] };
        right
            .write(key, [&value, rest].concat().into(), options)
            .await
    }
}

tells!(a_driver_that_writes_over_the_start_of_a_longer_value, OverwritesInPlace =>
    an_overwrite_replaces_the_whole_value, each_write_of_a_batch_has_its_condition, keys_are_normalised_as_unstorage_does,
    a_dropped_batch_leaves_whole_values, if_version_meets_a_change, versions_change_with_values_of_equal_length,
    a_foreign_write_changes_the_version, if_absent_meets_what_is_there, of_two_writes_to_a_key_the_later_wins,
    versions_are_the_same_wherever_they_are_told, an_ended_entry_can_be_written_and_removed,
    sixty_four_tasks_lose_no_increment);

/// Stores under another key than the one that was given.
macro_rules! spoils_keys {
    ($flaw:ident, |$text:ident| $spoilt:expr) => {
        #[derive(Clone)]
        struct $flaw;

        #[async_trait]
        impl Flaw for $flaw {
            async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
                right.read(&Self::spoil(key)?).await
            }

            async fn write(
                &self,
                right: &dyn Driver,
                key: &Key,
                value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                right.write(&Self::spoil(key)?, value, options).await
            }
        }

        impl $flaw {
            fn spoil(key: &Key) -> Result<Key> {
                let $text = key.as_str();
                Key::new(&$spoilt)
            }
        }
    };
}

spoils_keys!(LowercasesKeys, |text| text.to_lowercase());
tells!(a_driver_that_ignores_the_case_of_keys, LowercasesKeys => keys_that_differ_little_are_apart,
    a_listing_gives_keys_as_they_were_written, keys_are_normalised_as_unstorage_does,
    special_characters_in_prefixes_are_ordinary, special_characters_in_a_cleared_prefix_are_ordinary);

spoils_keys!(TrimsKeys, |text| text
    .split(':')
    .map(str::trim)
    .collect::<Vec<_>>()
    .join(":"));
tells!(a_driver_that_trims_keys, TrimsKeys => keys_that_differ_little_are_apart,
    a_listing_gives_keys_as_they_were_written, keys_are_normalised_as_unstorage_does);

spoils_keys!(FlattensKeys, |text| text
    .replacen(':', "/", 1)
    .replace(':', "")
    .replace('/', ":"));
tells!(a_driver_that_drops_the_separators_of_keys, FlattensKeys => a_key_and_a_key_below_it_are_apart,
    a_listing_keeps_to_its_prefix, clearing_keeps_to_its_prefix, clearing_takes_everything_below,
    special_characters_in_a_cleared_prefix_are_ordinary, special_characters_in_prefixes_are_ordinary,
    a_listing_gives_keys_as_they_were_written, keys_are_normalised_as_unstorage_does,
    a_watcher_is_told_of_its_prefix_alone, a_listing_while_others_write_misses_none,
    special_characters_in_keys_are_ordinary, pages_give_every_key, the_start_of_a_key_is_no_entry,
    a_listing_while_others_write_shows_nothing_else, dots_in_keys_lead_nowhere);

#[derive(Clone)]
struct LosesBrackets;

#[async_trait]
impl Flaw for LosesBrackets {
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        if key.as_str().contains('[') {
            return Ok(None);
        }
        right.read(key).await
    }
}

tells!(a_driver_that_stumbles_over_a_special_character, LosesBrackets => special_characters_in_keys_are_ordinary);

#[derive(Clone)]
struct SortsBatches;

#[async_trait]
impl Flaw for SortsBatches {
    async fn read_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut sorted = keys.to_vec();
        sorted.sort();
        right.read_many(&sorted).await
    }
}

tells!(a_driver_that_loses_the_order_of_a_batch, SortsBatches => a_batch_of_reads_keeps_order_and_duplicates,
    large_batches_work, an_ended_entry_is_not_in_batches);

#[derive(Clone)]
struct DropsDuplicates;

#[async_trait]
impl Flaw for DropsDuplicates {
    async fn read_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut once: Vec<Key> = Vec::new();
        for key in keys {
            if !once.contains(key) {
                once.push(key.clone());
            }
        }
        right.read_many(&once).await
    }
}

tells!(a_driver_that_drops_duplicates_of_a_batch, DropsDuplicates => a_batch_of_reads_keeps_order_and_duplicates);

#[derive(Clone)]
struct WritesBackwards;

#[async_trait]
impl Flaw for WritesBackwards {
    async fn write_many(
        &self,
        right: &dyn Driver,
        mut writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        writes.reverse();
        let mut outcomes = right.write_many(writes).await;
        outcomes.reverse();
        outcomes
    }
}

tells!(a_driver_whose_batches_run_backwards, WritesBackwards => of_two_writes_to_a_key_the_later_wins);

#[derive(Clone)]
struct StopsAtAThousand;

#[async_trait]
impl Flaw for StopsAtAThousand {
    async fn remove_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<()> {
        right.remove_many(keys.get(..1_000).unwrap_or(keys)).await
    }
}

tells!(a_driver_that_does_a_part_of_a_large_batch, StopsAtAThousand => large_batches_work);

#[derive(Clone)]
struct MissingIsAnError;

#[async_trait]
impl Flaw for MissingIsAnError {
    async fn remove(
        &self,
        right: &dyn Driver,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        if options.if_version.is_none() && !right.exists(key).await? {
            return Err(Error::new(ErrorKind::Backend, "404"));
        }
        right.remove(key, options).await
    }
}

tells!(a_driver_for_which_removing_nothing_is_an_error, MissingIsAnError => removing_twice_succeeds,
    an_ended_entry_can_be_written_and_removed, a_listing_while_others_write_misses_none,
    after_closing_all_operations_are_refused_or_none, the_start_of_a_key_is_no_entry,
    a_listing_while_others_write_shows_nothing_else, keys_are_normalised_as_unstorage_does);

/// Writes in two steps with a moment between.
#[derive(Clone)]
struct WritesInTwoSteps;

#[async_trait]
impl Flaw for WritesInTwoSteps {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if options.condition == WriteCondition::Always && value.len() > 10_000 {
            let half = value.slice(..value.len() / 2);
            let _first = right.write(key, half, options.clone()).await?;
            tokio::task::yield_now().await;
        }
        right.write(key, value, options).await
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
}

tells!(a_driver_that_leaves_half_a_value_when_it_is_dropped, WritesInTwoSteps =>
    a_dropped_write_leaves_the_old_value_or_the_new, a_dropped_batch_leaves_whole_values,
    a_dropped_removal_leaves_the_entry_or_none, a_read_beside_writes_sees_one_of_them);
