//! Drivers with wrong expiry or touch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use session_core::*;

use crate::broken::Flaw;
use crate::detects;

/// Defines a flaw that changes the expiry of every write and touch.
macro_rules! flawed_expiry {
    ($flaw:ident, |$expires_at:ident, $now:ident| $changed:expr) => {
        #[derive(Clone)]
        struct $flaw;

        impl $flaw {
            fn change(expiry: Expiry) -> Expiry {
                let Expiry::At($expires_at) = expiry else {
                    return expiry;
                };
                let $now = Timestamp::now();
                $changed
            }
        }

        #[async_trait]
        impl Flaw for $flaw {
            // This skips the cases that compare the reported expiry.
            fn capabilities(&self, inner: &dyn Driver) -> Capabilities {
                inner.capabilities().with_reports_expiry(false)
            }

            async fn write(
                &self,
                inner: &dyn Driver,
                key: &Key,
                value: Bytes,
                mut options: WriteOptions,
            ) -> Result<WriteOutcome> {
                options.expiry = Self::change(options.expiry);
                inner.write(key, value, options).await
            }
        }
    };
}

fn scaled(expires_at: Timestamp, now: Timestamp, by: impl Fn(u64) -> u64) -> Expiry {
    let left = expires_at.as_millis().saturating_sub(now.as_millis());
    Expiry::At(Timestamp::from_millis(
        expires_at.as_millis() - left + by(left),
    ))
}

flawed_expiry!(IgnoresExpiry, |_expires_at, _now| Expiry::Never);
detects!(a_driver_that_ignores_expiry, IgnoresExpiry => an_expired_entry_is_not_read,
    expiry_is_as_precise_as_declared, reading_does_not_renew_the_expiry, an_expired_entry_does_not_exist,
    an_expired_entry_is_not_listed, an_expired_entry_is_not_read_in_batches, an_expiry_in_the_past_takes_effect_at_once,
    an_overwrite_replaces_the_expiry, if_absent_writes_an_expired_key, if_version_conflicts_with_an_expired_entry,
    a_conditional_write_sets_the_expiry, a_conditional_removal_conflicts_with_an_expired_entry, a_touch_does_not_revive_an_expired_entry);

flawed_expiry!(ReadsMillisecondsAsSeconds, |expires_at, now| scaled(
    expires_at,
    now,
    |left| left * 1_000
));
detects!(a_driver_that_is_off_by_a_factor_of_1000, ReadsMillisecondsAsSeconds => an_expired_entry_is_not_read,
    expiry_is_as_precise_as_declared, reading_does_not_renew_the_expiry, an_expired_entry_does_not_exist,
    an_expired_entry_is_not_listed, an_expired_entry_is_not_read_in_batches, an_overwrite_replaces_the_expiry,
    if_absent_writes_an_expired_key, if_version_conflicts_with_an_expired_entry, a_conditional_write_sets_the_expiry,
    a_conditional_removal_conflicts_with_an_expired_entry, a_touch_does_not_revive_an_expired_entry);

flawed_expiry!(ReadsSecondsAsMilliseconds, |expires_at, now| scaled(
    expires_at,
    now,
    |left| left / 1_000
));
detects!(a_driver_that_is_off_by_a_factor_of_a_thousandth, ReadsSecondsAsMilliseconds => an_entry_exists_until_it_expires,
    expiry_is_as_precise_as_declared, a_touch_extends_the_expiry, a_touch_can_remove_the_expiry);

flawed_expiry!(RoundsUpToSeconds, |expires_at, _now| Expiry::At(
    Timestamp::from_millis(expires_at.as_millis().div_ceil(1_000) * 1_000)
));
detects!(a_driver_that_rounds_expiry_up_undeclared, RoundsUpToSeconds => expiry_is_as_precise_as_declared,
    an_expired_entry_does_not_exist, an_expired_entry_is_not_listed, an_expired_entry_is_not_read_in_batches,
    an_expired_entry_is_not_read, if_absent_writes_an_expired_key, if_version_conflicts_with_an_expired_entry,
    a_conditional_removal_conflicts_with_an_expired_entry, a_touch_does_not_revive_an_expired_entry);

flawed_expiry!(RoundsDownToSeconds, |expires_at, _now| Expiry::At(
    Timestamp::from_millis(expires_at.as_millis() / 1_000 * 1_000)
));
detects!(a_driver_that_rounds_expiry_down, RoundsDownToSeconds => expiry_is_as_precise_as_declared,
    a_touch_extends_the_expiry, a_touch_can_remove_the_expiry, an_entry_exists_until_it_expires);

flawed_expiry!(OverflowsAfterWeeks, |expires_at, now| scaled(
    expires_at,
    now,
    |left| { if left > i32::MAX as u64 { 1 } else { left } }
));
detects!(a_driver_whose_timer_overflows_after_weeks, OverflowsAfterWeeks => a_ttl_of_ten_years_works);

flawed_expiry!(PastIsNever, |expires_at, now| if expires_at < now {
    Expiry::Never
} else {
    Expiry::At(expires_at)
});
detects!(a_driver_that_treats_a_past_expiry_as_none, PastIsNever => an_expiry_in_the_past_takes_effect_at_once);

/// Reads that renew the expiry, like those of some caches.
#[derive(Clone)]
struct RenewsOnRead;

#[async_trait]
impl Flaw for RenewsOnRead {
    async fn read(&self, inner: &dyn Driver, key: &Key) -> Result<Option<Entry>> {
        let entry = inner.read(key).await?;
        if entry
            .as_ref()
            .is_some_and(|entry| entry.expires_at.is_some())
        {
            inner
                .touch(
                    key,
                    TouchOptions::to(Expiry::after(Duration::from_secs(60))),
                )
                .await?;
        }
        Ok(entry)
    }
}

detects!(a_driver_that_renews_on_read, RenewsOnRead => reading_does_not_renew_the_expiry,
    an_expired_entry_is_not_read, expiry_is_as_precise_as_declared, an_overwrite_replaces_the_expiry,
    a_touch_shortens_the_expiry, each_write_of_a_batch_has_its_own_expiry, a_conditional_write_sets_the_expiry,
    the_expiry_is_reported_as_set, a_ttl_of_ten_years_works);

/// Overwrites that keep the old expiry.
#[derive(Clone)]
struct KeepsTheOldExpiry;

#[async_trait]
impl Flaw for KeepsTheOldExpiry {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        mut options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if let Some(expires_at) = inner.read(key).await?.and_then(|entry| entry.expires_at) {
            options.expiry = Expiry::At(expires_at);
        }
        inner.write(key, value, options).await
    }
}

detects!(a_driver_whose_overwrite_keeps_the_old_expiry, KeepsTheOldExpiry => an_overwrite_replaces_the_expiry,
    a_conditional_write_sets_the_expiry, the_expiry_is_reported_as_set);

/// Conditional writes that ignore the expiry.
#[derive(Clone)]
struct ForgetsExpiryOfConditionalWrites;

#[async_trait]
impl Flaw for ForgetsExpiryOfConditionalWrites {
    async fn write(
        &self,
        inner: &dyn Driver,
        key: &Key,
        value: Bytes,
        mut options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if options.condition != WriteCondition::Always {
            options.expiry = Expiry::Never;
        }
        inner.write(key, value, options).await
    }
}

detects!(a_driver_whose_conditional_writes_never_expire, ForgetsExpiryOfConditionalWrites =>
    a_conditional_write_sets_the_expiry);

/// Batches that use the expiry of the first write for all.
#[derive(Clone)]
struct OneExpiryForABatch;

#[async_trait]
impl Flaw for OneExpiryForABatch {
    async fn write_many(
        &self,
        inner: &dyn Driver,
        mut writes: Vec<Write>,
    ) -> Vec<Result<WriteOutcome>> {
        let first = writes.first().map(|write| write.options.expiry);
        for write in &mut writes {
            write.options.expiry = first.unwrap_or_default();
        }
        inner.write_many(writes).await
    }
}

detects!(a_driver_with_one_expiry_for_a_batch, OneExpiryForABatch => each_write_of_a_batch_has_its_own_expiry);

/// Entries with their expiry, for drivers that check expiry in some methods only.
#[derive(Clone, Default)]
struct UnremovedEntries(Arc<Mutex<BTreeMap<Key, (Entry, Timestamp)>>>);

impl UnremovedEntries {
    fn record(&self, key: &Key, value: &Bytes, options: &WriteOptions) {
        let mut entries = self.0.lock();
        match options.expiry {
            Expiry::At(expires_at) => {
                let entry = Entry::new(value.clone()).with_version(Version::from_u64(0));
                entries.insert(key.clone(), (entry, expires_at));
            }
            _ => {
                entries.remove(key);
            }
        }
    }

    fn expired(&self, key: &Key) -> Option<Entry> {
        let entries = self.0.lock();
        let (entry, expires_at) = entries.get(key)?;
        (*expires_at <= Timestamp::now()).then(|| entry.clone())
    }
}

/// Defines a flaw that exposes expired entries through one method.
macro_rules! exposes_expired {
    ($flaw:ident, $($method:tt)*) => {
        #[derive(Clone, Default)]
        struct $flaw(UnremovedEntries);

        #[async_trait]
        impl Flaw for $flaw {
            async fn write(
                &self,
                inner: &dyn Driver,
                key: &Key,
                value: Bytes,
                options: WriteOptions,
            ) -> Result<WriteOutcome> {
                self.0.record(key, &value, &options);
                inner.write(key, value, options).await
            }

            $($method)*
        }
    };
}

exposes_expired!(
    ListsExpired,
    async fn list(&self, inner: &dyn Driver, options: ListOptions) -> Result<ListPage> {
        let mut page = inner.list(options.clone()).await?;
        if page.next.is_none() {
            let entries = self.0.0.lock();
            let expired = entries
                .iter()
                .filter(|(_, (_, expires_at))| *expires_at <= Timestamp::now());
            page.keys.extend(
                expired
                    .map(|(key, _)| key.clone())
                    .filter(|key| options.prefix.contains(key)),
            );
        }
        Ok(page)
    }
);
detects!(a_driver_that_lists_expired_entries, ListsExpired::default() => an_expired_entry_is_not_listed);

exposes_expired!(
    ExpiredExists,
    async fn exists(&self, inner: &dyn Driver, key: &Key) -> Result<bool> {
        Ok(inner.exists(key).await? || self.0.expired(key).is_some())
    }
);
detects!(a_driver_whose_exists_reports_expired_entries, ExpiredExists::default() => an_expired_entry_does_not_exist);

exposes_expired!(
    ExpiredInBatches,
    async fn read_many(&self, inner: &dyn Driver, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let entries = inner.read_many(keys).await?;
        Ok(keys
            .iter()
            .zip(entries)
            .map(|(key, entry)| entry.or_else(|| self.0.expired(key)))
            .collect())
    }
);
detects!(a_driver_whose_batches_return_expired_entries, ExpiredInBatches::default() => an_expired_entry_is_not_read_in_batches);

/// Defines a flaw of touch.
macro_rules! flawed_touches {
    ($flaw:ident, |$self:ident, $inner:ident, $key:ident, $options:ident| $touch:expr) => {
        exposes_expired!(
            $flaw,
            async fn touch(
                &self,
                $inner: &dyn Driver,
                $key: &Key,
                $options: TouchOptions,
            ) -> Result<bool> {
                let $self = self;
                $touch
            }
        );
    };
}

flawed_touches!(RevivesByTouch, |this, inner, key, options| {
    if let Some(entry) = this.0.expired(key) {
        let write = WriteOptions::default().with_expiry(options.expiry);
        let _first = inner.write(key, entry.value, write).await?;
        return Ok(true);
    }
    inner.touch(key, options).await
});
detects!(a_driver_whose_touch_revives_expired_entries, RevivesByTouch::default() => a_touch_does_not_revive_an_expired_entry);

flawed_touches!(TouchAlwaysSaysTrue, |_this, inner, key, options| {
    inner.touch(key, options).await?;
    Ok(true)
});
detects!(a_driver_whose_touch_of_a_missing_key_returns_true, TouchAlwaysSaysTrue::default() =>
    a_touch_of_a_missing_key_creates_nothing, a_touch_does_not_revive_an_expired_entry,
    a_touch_on_another_version_changes_nothing);

flawed_touches!(TouchOnlyExtends, |_this, inner, key, options| {
    let expires_at = inner.read(key).await?.and_then(|entry| entry.expires_at);
    match (options.expiry, expires_at) {
        (Expiry::At(new), Some(old)) if new > old => inner.touch(key, options).await,
        (Expiry::Never, _) => inner.touch(key, options).await,
        _ => inner.exists(key).await,
    }
});
flawed_touches!(TouchIgnoresItsCondition, |_this, inner, key, options| {
    inner.touch(key, TouchOptions::to(options.expiry)).await
});
detects!(a_driver_whose_touch_ignores_its_condition, TouchIgnoresItsCondition::default() => a_touch_on_another_version_changes_nothing);

detects!(a_driver_whose_touch_only_extends, TouchOnlyExtends::default() => a_touch_shortens_the_expiry,
    a_touch_on_another_version_changes_nothing);

flawed_touches!(TouchDoesNothing, |_this, inner, key, _expiry| inner
    .exists(key)
    .await);
detects!(a_driver_whose_touch_does_nothing, TouchDoesNothing::default() => a_touch_extends_the_expiry,
    a_touch_shortens_the_expiry, a_touch_can_remove_the_expiry,
    a_touch_on_another_version_changes_nothing);

flawed_touches!(TouchRewrites, |_this, inner, key, options| {
    let Some(entry) = inner.read(key).await? else {
        return Ok(false);
    };
    let _first = inner
        .write(
            key,
            entry.value,
            WriteOptions::default().with_expiry(options.expiry),
        )
        .await?;
    Ok(true)
});
detects!(a_driver_whose_touch_rewrites_the_value, TouchRewrites::default() => a_touch_keeps_value_and_version,
    a_driver_works_after_dropped_operations,
    a_touch_on_another_version_changes_nothing);
