//! Expiry: when entries expire, and how it is set and reported.

use std::time::Duration;

use session_core::{Expiry, Key, RemoveOptions, Timestamp};

use super::cases;
use crate::case::Need;
use crate::context::{Context, sleep_until};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    an_entry_exists_until_it_expires [Need::ShortLives]: "an entry does not expire early";
    an_expired_entry_is_not_read [Need::ShortLives]: "an expired entry is never returned";
    expiry_is_as_precise_as_declared [Need::ShortLives]: "an entry expires on time, within the declared granularity";
    reading_does_not_renew_the_expiry [Need::ShortLives]: "only a write or a touch changes the expiry";
    an_expired_entry_does_not_exist [Need::ShortLives]: "exists and metadata do not report an expired entry";
    an_expired_entry_is_not_listed [Need::ShortLives, Need::Listing]: "an expired entry is never listed";
    an_expired_entry_is_not_read_in_batches [Need::ShortLives]: "a batch never returns an expired entry";
    an_expired_entry_can_be_written_and_removed [Need::Writes, Need::ShortLives]: "an expired entry can be overwritten and removed";
    an_expiry_in_the_past_takes_effect_at_once: "an entry that is written with a past expiry does not exist";
    an_entry_may_never_expire [Need::ShortLives]: "an entry without an expiry never expires and reports none";
    a_ttl_of_ten_years_works: "an entry with a ttl of years does not expire early";
    an_overwrite_replaces_the_expiry [Need::ShortLives]: "an overwrite replaces the expiry: earlier, later or none";
    the_expiry_is_reported_as_set [Need::ReportsExpiry]: "a driver that reports the expiry reports it correctly";
    the_default_expiry_is_the_ttl_of_the_driver [Need::DefaultTtl, Need::ReportsExpiry]: "the default expiry is the `ttl` of the driver, and an explicit expiry overrides it";
    a_foreign_write_clears_the_expiry [Need::ForeignWrite, Need::ShortLives]: "a write by a foreign writer clears the expiry";
    an_immediate_foreign_write_of_equal_length_clears_the_expiry [Need::ForeignWrite, Need::ShortLives]: "an expiry applies only to the value that it was written with, even if a foreign value has the same length and time";
}

/// Passes if the entry exists or has expired in the meantime.
async fn present_if_before(context: &Context, key: &Key, expires_at: Timestamp) -> CaseResult {
    let found = context.driver.exists(key).await? && context.read(key).await?.is_some();
    // If the entry expired during the read, the result proves nothing.
    if !found && Timestamp::now() < expires_at {
        let early = expires_at.saturating_since(Timestamp::now());
        return Err(Failure::new(
            "the entry",
            format!("a miss, {early:?} before its expiry"),
        ));
    }
    Ok(())
}

async fn an_entry_exists_until_it_expires(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let expires_at = Timestamp::now()
        .saturating_add(Duration::from_secs(2).max(context.capabilities.minimum_ttl));
    context
        .write_until(&key, "value", Expiry::At(expires_at))
        .await?;
    for _ in 0..10 {
        present_if_before(&context, &key, expires_at).await?;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}

async fn an_expired_entry_is_not_read(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let expires_at = context.soon();
    context
        .write_until(&key, "value", Expiry::At(expires_at))
        .await?;
    context.poll_until_gone(&key, expires_at).await?;
    context.sleep_past(expires_at).await;
    same("the read", context.read(&key).await?, None)
}

/// The entry expires between two whole seconds, so a driver that rounds is 400 ms late or 600 ms early.
async fn expiry_is_as_precise_as_declared(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let shortest = Duration::from_millis(700).max(context.capabilities.minimum_ttl);
    let earliest = Timestamp::now().saturating_add(shortest).as_millis();
    let expires_at =
        Timestamp::from_millis(earliest.saturating_sub(600).div_ceil(1_000) * 1_000 + 600);
    context
        .write_until(&key, "value", Expiry::At(expires_at))
        .await?;

    sleep_until(Timestamp::from_millis(expires_at.as_millis() - 300)).await;
    present_if_before(&context, &key, expires_at).await?;

    let granularity = context.capabilities.expiry_granularity;
    sleep_until(expires_at.saturating_add(granularity + Duration::from_millis(100))).await;
    let expected = format!(
        "a miss {:?} after the expiry",
        granularity + Duration::from_millis(100)
    );
    let read = context.read(&key).await?;
    check(read.is_none(), expected, "the entry")
}

async fn reading_does_not_renew_the_expiry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let expires_at = context.soon();
    context
        .write_until(&key, "value", Expiry::At(expires_at))
        .await?;
    while Timestamp::now() < expires_at {
        context.read(&key).await?;
        context.driver.exists(&key).await?;
        context.driver.metadata(&key).await?;
        context.driver.read_many(std::slice::from_ref(&key)).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    context.poll_until_gone(&key, expires_at).await
}

async fn an_expired_entry_does_not_exist(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.expired(&key).await?;
    same("exists", context.driver.exists(&key).await?, false)?;
    let key = context.key("l")?;
    context.expired(&key).await?;
    same("the metadata", context.driver.metadata(&key).await?, None)
}

async fn an_expired_entry_is_not_listed(context: Context) -> CaseResult {
    context.write(&context.key("stays")?, "value").await?;
    context.expired(&context.key("expires")?).await?;
    same(
        "the listing",
        context.list_names("").await?,
        vec!["stays".to_owned()],
    )
}

async fn an_expired_entry_is_not_read_in_batches(context: Context) -> CaseResult {
    let (stays, expires) = (context.key("stays")?, context.key("expires")?);
    context.write(&stays, "value").await?;
    context.expired(&expires).await?;
    let read = context.driver.read_many(&[expires, stays]).await?;
    let found: Vec<bool> = read.iter().map(Option::is_some).collect();
    same("which of the two exist", found, vec![false, true])
}

async fn an_expired_entry_can_be_written_and_removed(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.expired(&key).await?;
    context.write(&key, "new").await?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "new".into(),
    )?;
    let key = context.key("l")?;
    context.expired(&key).await?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::default())
        .await?;
    same("the removal", outcome, session_core::RemoveOutcome::Removed)
}

async fn an_expiry_in_the_past_takes_effect_at_once(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let past = Timestamp::from_millis(Timestamp::now().as_millis() - 60_000);
    context.write_until(&key, "value", Expiry::At(past)).await?;
    same("the read", context.read(&key).await?, None)?;
    context.write(&key, "value").await?;
    context.write_until(&key, "again", Expiry::At(past)).await?;
    let read = context.read(&key).await?;
    same("the read after an overwrite", read, None)?;
    context
        .write_until(&key, "value", Expiry::At(Timestamp::from_millis(0)))
        .await?;
    same(
        "the read of an entry that expired in 1970",
        context.read(&key).await?,
        None,
    )
}

async fn an_entry_may_never_expire(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write_until(&key, "value", Expiry::Never).await?;
    context.expired(&context.key("other")?).await?;
    let entry = context.read_present(&key).await?;
    same("the reported expiry", entry.expires_at, None)
}

async fn a_ttl_of_ten_years_works(context: Context) -> CaseResult {
    const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
    let key = context.key("k")?;
    let expires_at = Timestamp::now().saturating_add(TEN_YEARS);
    context
        .write_until(&key, "value", Expiry::At(expires_at))
        .await?;
    for _ in 0..4 {
        // If a timer or a field overflows, the entry expires at once or soon after.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let entry = context.read_present(&key).await?;
        if context.capabilities.reports_expiry {
            is_close(&context, entry.expires_at, expires_at)?;
        }
    }
    Ok(())
}

async fn an_overwrite_replaces_the_expiry(context: Context) -> CaseResult {
    let (kept, cut) = (context.key("kept")?, context.key("cut")?);
    let expires_at = context.soon();
    context
        .write_until(&kept, "value", Expiry::At(expires_at))
        .await?;
    context.write_until(&kept, "value", Expiry::Never).await?;
    context.write_until(&cut, "value", Expiry::Never).await?;
    let expires_at = context.soon();
    context
        .write_until(&cut, "value", Expiry::At(expires_at))
        .await?;
    context.poll_until_gone(&cut, expires_at).await?;
    context.sleep_past(expires_at).await;
    context.read_present(&kept).await?;
    Ok(())
}

fn is_close(context: &Context, reported: Option<Timestamp>, expires_at: Timestamp) -> CaseResult {
    let tolerance = context
        .capabilities
        .expiry_granularity
        .max(Duration::from_millis(1));
    let close = reported.is_some_and(|reported| {
        reported.saturating_since(expires_at) <= tolerance
            && expires_at.saturating_since(reported) <= tolerance
    });
    check(
        close,
        format!("the expiry {expires_at}, give or take {tolerance:?}"),
        format!("{reported:?}"),
    )
}

async fn the_expiry_is_reported_as_set(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let minimum = context.capabilities.minimum_ttl;
    for ttl in [Duration::from_secs(60), Duration::from_millis(3_600_123)] {
        let expires_at = Timestamp::now().saturating_add(ttl.max(minimum));
        context
            .write_until(&key, "value", Expiry::At(expires_at))
            .await?;
        is_close(
            &context,
            context.read_present(&key).await?.expires_at,
            expires_at,
        )?;
        let metadata = context.driver.metadata(&key).await?;
        is_close(
            &context,
            metadata.and_then(|metadata| metadata.expires_at),
            expires_at,
        )?;
    }
    context.write_until(&key, "value", Expiry::Never).await?;
    same(
        "the expiry",
        context.read_present(&key).await?.expires_at,
        None,
    )
}

async fn the_default_expiry_is_the_ttl_of_the_driver(context: Context) -> CaseResult {
    let ttl = context.subject.default_ttl.unwrap_or_default();
    let key = context.key("k")?;
    let before = Timestamp::now();
    context.write_until(&key, "value", Expiry::Default).await?;
    let after = Timestamp::now();
    let expires_at = context.read_present(&key).await?.expires_at;
    let granularity = context.capabilities.expiry_granularity;
    let (first, last) = (
        before.saturating_add(ttl),
        after.saturating_add(ttl + granularity),
    );
    let close = expires_at.is_some_and(|expires_at| {
        first <= expires_at.saturating_add(granularity) && expires_at <= last
    });
    check(
        close,
        format!("an expiry {ttl:?} after the write"),
        format!("{expires_at:?} for a write at {before}"),
    )?;
    context.write_until(&key, "value", Expiry::Never).await?;
    let expires_at = context.read_present(&key).await?.expires_at;
    same(
        "the expiry of an entry that never expires",
        expires_at,
        None,
    )
}

async fn a_foreign_write_clears_the_expiry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let expires_at =
        Timestamp::now().saturating_add(context.short_ttl() + Duration::from_millis(400));
    context
        .write_until(&key, "ours", Expiry::At(expires_at))
        .await?;
    context.write_foreign(&key, b"theirs").await?;
    context.sleep_past(expires_at).await;
    let value = context.read_present(&key).await?.value;
    same("the value", value, "theirs".into())
}

async fn an_immediate_foreign_write_of_equal_length_clears_the_expiry(
    context: Context,
) -> CaseResult {
    let expires_at =
        Timestamp::now().saturating_add(context.short_ttl() + Duration::from_millis(400));
    let mut keys = Vec::new();
    // Repeated, so that some foreign writes fall into the same clock tick as the write.
    for number in 0..20 {
        let key = context.key(&format!("k{number}"))?;
        context
            .write_until(&key, "ours", Expiry::At(expires_at))
            .await?;
        context.write_foreign(&key, b"them").await?;
        keys.push(key);
    }
    context.sleep_past(expires_at).await;
    for key in keys {
        let value = context.read_present(&key).await?.value;
        same("the value", value, "them".into())?;
    }
    Ok(())
}
