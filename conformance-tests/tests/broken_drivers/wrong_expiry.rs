//! Drivers that are wrong about when an entry ends, and about touching.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use session_core::*;

use crate::broken::Flaw;
use crate::tells;

/// Changes the end of every write and touch on its way in.
macro_rules! spoils_ends {
    ($flaw:ident, |$end:ident, $now:ident| $spoilt:expr) => {
        #[derive(Clone)]
        struct $flaw;

        impl $flaw {
            fn spoil(expiry: Expiry) -> Expiry {
                let Expiry::At($end) = expiry else {
                    return expiry;
                };
                let $now = Timestamp::now();
                $spoilt
            }
        }

        #[async_trait]
        impl Flaw for $flaw {
            // Then the cases that compare what is reported are not concerned.
            fn capabilities(&self, right: &dyn Driver) -> Capabilities {
                right.capabilities().with_reports_expiry(false)
            }

            async fn write(
                &self,
                right: &dyn Driver,
                key: &Key,
                value: Bytes,
                mut options: WriteOptions,
            ) -> Result<WriteOutcome> {
                options.expiry = Self::spoil(options.expiry);
                right.write(key, value, options).await
            }
        }
    };
}

fn scaled(end: Timestamp, now: Timestamp, by: impl Fn(u64) -> u64) -> Expiry {
    let left = end.as_millis().saturating_sub(now.as_millis());
    Expiry::At(Timestamp::from_millis(end.as_millis() - left + by(left)))
}

spoils_ends!(IgnoresExpiry, |_end, _now| Expiry::Never);
tells!(a_driver_that_ignores_expiry, IgnoresExpiry => an_entry_is_gone_after_its_end,
    an_entry_ends_as_exactly_as_declared, reading_does_not_move_the_end, an_ended_entry_does_not_exist,
    an_ended_entry_is_not_listed, an_ended_entry_is_not_in_batches, an_end_in_the_past_is_at_once,
    an_overwrite_sets_the_end_anew, if_absent_writes_where_one_has_ended, if_version_meets_what_has_ended,
    a_conditional_write_sets_the_end, a_conditional_removal_meets_what_has_ended, a_touch_does_not_revive);

spoils_ends!(TakesMillisecondsForSeconds, |end, now| scaled(
    end,
    now,
    |left| left * 1_000
));
tells!(a_driver_that_is_off_by_a_factor_of_1000, TakesMillisecondsForSeconds => an_entry_is_gone_after_its_end,
    an_entry_ends_as_exactly_as_declared, reading_does_not_move_the_end, an_ended_entry_does_not_exist,
    an_ended_entry_is_not_listed, an_ended_entry_is_not_in_batches, an_overwrite_sets_the_end_anew,
    if_absent_writes_where_one_has_ended, if_version_meets_what_has_ended, a_conditional_write_sets_the_end,
    a_conditional_removal_meets_what_has_ended, a_touch_does_not_revive);

spoils_ends!(TakesSecondsForMilliseconds, |end, now| scaled(
    end,
    now,
    |left| left / 1_000
));
tells!(a_driver_that_is_off_by_a_thousandth, TakesSecondsForMilliseconds => an_entry_is_there_until_its_end,
    an_entry_ends_as_exactly_as_declared, a_touch_moves_the_end_later, a_touch_may_take_the_end_away);

spoils_ends!(RoundsUpToSeconds, |end, _now| Expiry::At(
    Timestamp::from_millis(end.as_millis().div_ceil(1_000) * 1_000)
));
tells!(a_driver_that_rounds_ends_up_and_does_not_say_so, RoundsUpToSeconds => an_entry_ends_as_exactly_as_declared,
    an_ended_entry_does_not_exist, an_ended_entry_is_not_listed, an_ended_entry_is_not_in_batches,
    an_entry_is_gone_after_its_end, if_absent_writes_where_one_has_ended, if_version_meets_what_has_ended,
    a_conditional_removal_meets_what_has_ended, a_touch_does_not_revive);

spoils_ends!(RoundsDownToSeconds, |end, _now| Expiry::At(
    Timestamp::from_millis(end.as_millis() / 1_000 * 1_000)
));
tells!(a_driver_that_rounds_ends_down, RoundsDownToSeconds => an_entry_ends_as_exactly_as_declared,
    a_touch_moves_the_end_later, a_touch_may_take_the_end_away, an_entry_is_there_until_its_end);

spoils_ends!(OverflowsAfterWeeks, |end, now| scaled(end, now, |left| {
    if left > i32::MAX as u64 { 1 } else { left }
}));
tells!(a_driver_whose_timer_overflows_after_weeks, OverflowsAfterWeeks => an_entry_may_live_for_ten_years);

spoils_ends!(PastIsNever, |end, now| if end < now {
    Expiry::Never
} else {
    Expiry::At(end)
});
tells!(a_driver_that_takes_a_past_end_for_none, PastIsNever => an_end_in_the_past_is_at_once);

/// Reads that prolong a life, as a cache's do.
#[derive(Clone)]
struct RenewsOnRead;

#[async_trait]
impl Flaw for RenewsOnRead {
    async fn read(&self, right: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        let entry = right.read(key).await?;
        if entry
            .as_ref()
            .is_some_and(|entry| entry.expires_at.is_some())
        {
            right
                .touch(
                    key,
                    TouchOptions::to(Expiry::after(Duration::from_secs(60))),
                )
                .await?;
        }
        Ok(entry)
    }
}

tells!(a_driver_that_renews_on_read, RenewsOnRead => reading_does_not_move_the_end,
    an_entry_is_gone_after_its_end, an_entry_ends_as_exactly_as_declared, an_overwrite_sets_the_end_anew,
    a_touch_moves_the_end_earlier, each_write_of_a_batch_has_its_expiry, a_conditional_write_sets_the_end,
    the_end_is_reported_as_it_was_set, an_entry_may_live_for_ten_years);

/// An overwrite that leaves the old end.
#[derive(Clone)]
struct KeepsTheOldEnd;

#[async_trait]
impl Flaw for KeepsTheOldEnd {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        mut options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if let Some(end) = right.read(key).await?.and_then(|entry| entry.expires_at) {
            options.expiry = Expiry::At(end);
        }
        right.write(key, value, options).await
    }
}

tells!(a_driver_whose_overwrite_keeps_the_old_end, KeepsTheOldEnd => an_overwrite_sets_the_end_anew,
    a_conditional_write_sets_the_end, the_end_is_reported_as_it_was_set);

/// Conditional writes that forget the expiry.
#[derive(Clone)]
struct ForgetsExpiryOfConditionalWrites;

#[async_trait]
impl Flaw for ForgetsExpiryOfConditionalWrites {
    async fn write(
        &self,
        right: &dyn Driver,
        key: &Key,
        value: Bytes,
        mut options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if options.condition != WriteCondition::Always {
            options.expiry = Expiry::Never;
        }
        right.write(key, value, options).await
    }
}

tells!(a_driver_whose_conditional_writes_never_end, ForgetsExpiryOfConditionalWrites =>
    a_conditional_write_sets_the_end);

/// Batches that give every write the expiry of the first.
#[derive(Clone)]
struct OneExpiryForABatch;

#[async_trait]
impl Flaw for OneExpiryForABatch {
    async fn write_many(
        &self,
        right: &dyn Driver,
        mut writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        let first = writes.first().map(|write| write.options.expiry);
        for write in &mut writes {
            write.options.expiry = first.unwrap_or_default();
        }
        right.write_many(writes).await
    }
}

tells!(a_driver_with_one_expiry_for_a_batch, OneExpiryForABatch => each_write_of_a_batch_has_its_expiry);

/// What a driver has that checks expiry in some places only: the ends, and what was there.
#[derive(Clone, Default)]
struct Unswept(Arc<Mutex<BTreeMap<Key, (Entry, Timestamp)>>>);

impl Unswept {
    fn note(&self, key: &Key, value: &Bytes, options: &WriteOptions) {
        let mut entries = self.0.lock();
        match options.expiry {
            Expiry::At(end) => {
                let entry = Entry::new(value.clone()).with_version(Version::from_u64(0));
                entries.insert(key.clone(), (entry, end));
            }
            _ => {
                entries.remove(key);
            }
        }
    }

    fn ended(&self, key: &Key) -> Option<Entry> {
        let entries = self.0.lock();
        let (entry, end) = entries.get(key)?;
        (*end <= Timestamp::now()).then(|| entry.clone())
    }
}

/// A flaw that shows what has ended, by one method.
macro_rules! shows_ended {
    ($flaw:ident, $($method:tt)*) => {
        #[derive(Clone, Default)]
        struct $flaw(Unswept);

        #[async_trait]
        impl Flaw for $flaw {
            async fn write(
                &self,
                right: &dyn Driver,
                key: &Key,
                value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                self.0.note(key, &value, &options);
                right.write(key, value, options).await
            }

            $($method)*
        }
    };
}

shows_ended!(
    ListsEnded,
    async fn list(&self, right: &dyn Driver, options: ListOptions) -> Result<ListPage> {
        let mut page = right.list(options.clone()).await?;
        if page.next.is_none() {
            let entries = self.0.0.lock();
            let ended = entries
                .iter()
                .filter(|(_, (_, end))| *end <= Timestamp::now());
            page.keys.extend(
                ended
                    .map(|(key, _)| key.clone())
                    .filter(|key| options.prefix.contains(key)),
            );
        }
        Ok(page)
    }
);
tells!(a_driver_that_lists_what_has_ended, ListsEnded::default() => an_ended_entry_is_not_listed);

shows_ended!(
    EndedExists,
    async fn exists(&self, right: &dyn Driver, key: &Key) -> Result<bool> {
        Ok(right.exists(key).await? || self.0.ended(key).is_some())
    }
);
tells!(a_driver_for_which_what_has_ended_exists, EndedExists::default() => an_ended_entry_does_not_exist);

shows_ended!(
    EndedInBatches,
    async fn read_many(&self, right: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let entries = right.read_many(keys).await?;
        Ok(keys
            .iter()
            .zip(entries)
            .map(|(key, entry)| entry.or_else(|| self.0.ended(key)))
            .collect())
    }
);
tells!(a_driver_whose_batches_return_what_has_ended, EndedInBatches::default() => an_ended_entry_is_not_in_batches);

/// Touches that say that they moved something, or do.
macro_rules! spoils_touches {
    ($flaw:ident, |$self:ident, $right:ident, $key:ident, $options:ident| $touch:expr) => {
        shows_ended!(
            $flaw,
            async fn touch(
                &self,
                $right: &dyn Driver,
                $key: &Key,
                $options: TouchOptions,
            ) -> Result<bool> {
                let $self = self;
                $touch
            }
        );
    };
}

spoils_touches!(RevivesByTouch, |this, right, key, options| {
    if let Some(entry) = this.0.ended(key) {
        let write = WriteOptions::default().with_expiry(options.expiry);
        let _first = right.write(key, entry.value, write).await?;
        return Ok(true);
    }
    right.touch(key, options).await
});
tells!(a_driver_whose_touch_revives, RevivesByTouch::default() => a_touch_does_not_revive);

spoils_touches!(TouchAlwaysSaysTrue, |_this, right, key, options| {
    right.touch(key, options).await?;
    Ok(true)
});
tells!(a_driver_whose_touch_finds_what_is_not_there, TouchAlwaysSaysTrue::default() =>
    a_touch_of_a_missing_key_makes_nothing, a_touch_does_not_revive,
    a_touch_on_another_version_moves_nothing);

spoils_touches!(TouchOnlyProlongs, |_this, right, key, options| {
    let end = right.read(key).await?.and_then(|entry| entry.expires_at);
    match (options.expiry, end) {
        (Expiry::At(new), Some(old)) if new > old => right.touch(key, options).await,
        (Expiry::Never, _) => right.touch(key, options).await,
        _ => right.exists(key).await,
    }
});
spoils_touches!(TouchIgnoresItsCondition, |_this, right, key, options| {
    right.touch(key, TouchOptions::to(options.expiry)).await
});
tells!(a_driver_whose_touch_ignores_its_condition, TouchIgnoresItsCondition::default() => a_touch_on_another_version_moves_nothing);

tells!(a_driver_whose_touch_only_prolongs, TouchOnlyProlongs::default() => a_touch_moves_the_end_earlier,
    a_touch_on_another_version_moves_nothing);

spoils_touches!(TouchDoesNothing, |_this, right, key, _expiry| right
    .exists(key)
    .await);
tells!(a_driver_whose_touch_does_nothing, TouchDoesNothing::default() => a_touch_moves_the_end_later,
    a_touch_moves_the_end_earlier, a_touch_may_take_the_end_away,
    a_touch_on_another_version_moves_nothing);

spoils_touches!(TouchRewrites, |_this, right, key, options| {
    let Some(entry) = right.read(key).await? else {
        return Ok(false);
    };
    let _first = right
        .write(
            key,
            entry.value,
            WriteOptions::default().with_expiry(options.expiry),
        )
        .await?;
    Ok(true)
});
tells!(a_driver_whose_touch_rewrites_the_value, TouchRewrites::default() => a_touch_leaves_value_and_version_alone,
    a_driver_goes_on_after_dropped_operations,
    a_touch_on_another_version_moves_nothing);
