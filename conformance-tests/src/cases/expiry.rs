use std::time::Duration;

use session_core::{Expiry, Key, RemoveOptions, Timestamp};

use super::cases;
use crate::case::Need;
use crate::context::{Context, sleep_until};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    an_entry_is_there_until_its_end [Need::ShortLives]: "an entry does not end before its time";
    an_entry_is_gone_after_its_end [Need::ShortLives]: "an entry past its end is never returned";
    an_entry_ends_as_exactly_as_declared [Need::ShortLives]: "an entry ends at its time, as exactly as the driver declares";
    reading_does_not_move_the_end [Need::ShortLives]: "nothing moves an end but a write or a touch";
    an_ended_entry_does_not_exist [Need::ShortLives]: "an entry past its end is not there, by exists and metadata neither";
    an_ended_entry_is_not_listed [Need::ShortLives, Need::Listing]: "an entry past its end is never listed";
    an_ended_entry_is_not_in_batches [Need::ShortLives]: "an entry past its end is never returned by a batch";
    an_ended_entry_can_be_written_and_removed [Need::Writes, Need::ShortLives]: "an ended entry is as good as none: writes and removals go on";
    an_end_in_the_past_is_at_once: "an entry whose end has passed when it is written is not there";
    an_entry_may_never_end [Need::ShortLives]: "never is never, and is told from an end";
    an_entry_may_live_for_ten_years: "lives of years work";
    an_overwrite_sets_the_end_anew [Need::ShortLives]: "an overwrite sets the expiry anew, earlier, later or never";
    the_end_is_reported_as_it_was_set [Need::ReportsExpiry]: "a driver that reports the end of an entry reports it truly";
    the_default_expiry_is_the_drivers [Need::DefaultTtl, Need::ReportsExpiry]: "the default expiry of a write is the driver's `ttl`, and the other two override it";
    a_foreign_write_clears_the_end [Need::ForeignWrite, Need::ShortLives]: "a write by a foreign writer clears the expiry";
    a_foreign_write_at_once_and_of_equal_length_clears_the_end [Need::ForeignWrite, Need::ShortLives]: "an end holds for the value that it was written for, and neither for one of its length nor for one of its time";
}

/// Passes if the entry is there, or its end has come meanwhile.
async fn present_if_before(context: &Context, key: &Key, end: Timestamp) -> CaseResult {
    let found = context.driver.exists(key).await? && context.read(key).await?.is_some();
    // What ended while it was looked for proves nothing.
    if !found && Timestamp::now() < end {
        let early = end.saturating_since(Timestamp::now());
        return Err(Failure::new(
            "the entry",
            format!("a miss, {early:?} before its end"),
        ));
    }
    Ok(())
}

async fn an_entry_is_there_until_its_end(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let end = Timestamp::now()
        .saturating_add(Duration::from_secs(2).max(context.capabilities.minimum_ttl));
    context.write_until(&key, "value", Expiry::At(end)).await?;
    for _ in 0..10 {
        present_if_before(&context, &key, end).await?;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}

async fn an_entry_is_gone_after_its_end(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let end = context.soon();
    context.write_until(&key, "value", Expiry::At(end)).await?;
    context.poll_until_gone(&key, end).await?;
    context.sleep_past(end).await;
    same("the read", context.read(&key).await?, None)
}

/// Ends the entry at a time between two whole seconds, so that one who rounds is 400 ms late or 600 ms early.
async fn an_entry_ends_as_exactly_as_declared(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let shortest = Duration::from_millis(700).max(context.capabilities.minimum_ttl);
    let earliest = Timestamp::now().saturating_add(shortest).as_millis();
    let end = Timestamp::from_millis(earliest.saturating_sub(600).div_ceil(1_000) * 1_000 + 600);
    context.write_until(&key, "value", Expiry::At(end)).await?;

    sleep_until(Timestamp::from_millis(end.as_millis() - 300)).await;
    present_if_before(&context, &key, end).await?;

    let granularity = context.capabilities.expiry_granularity;
    sleep_until(end.saturating_add(granularity + Duration::from_millis(100))).await;
    let expected = format!(
        "a miss {:?} after the end",
        granularity + Duration::from_millis(100)
    );
    let read = context.read(&key).await?;
    check(read.is_none(), expected, "the entry")
}

async fn reading_does_not_move_the_end(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let end = context.soon();
    context.write_until(&key, "value", Expiry::At(end)).await?;
    while Timestamp::now() < end {
        context.read(&key).await?;
        context.driver.exists(&key).await?;
        context.driver.metadata(&key).await?;
        context.driver.read_many(std::slice::from_ref(&key)).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    context.poll_until_gone(&key, end).await
}

async fn an_ended_entry_does_not_exist(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.expired(&key).await?;
    same("exists", context.driver.exists(&key).await?, false)?;
    let key = context.key("l")?;
    context.expired(&key).await?;
    same("the metadata", context.driver.metadata(&key).await?, None)
}

async fn an_ended_entry_is_not_listed(context: Context) -> CaseResult {
    context.write(&context.key("stays")?, "value").await?;
    context.expired(&context.key("ends")?).await?;
    same(
        "the listing",
        context.list_names("").await?,
        vec!["stays".to_owned()],
    )
}

async fn an_ended_entry_is_not_in_batches(context: Context) -> CaseResult {
    let (stays, ends) = (context.key("stays")?, context.key("ends")?);
    context.write(&stays, "value").await?;
    context.expired(&ends).await?;
    let read = context.driver.read_many(&[ends, stays]).await?;
    let found: Vec<bool> = read.iter().map(Option::is_some).collect();
    same("what is found of the two", found, vec![false, true])
}

async fn an_ended_entry_can_be_written_and_removed(context: Context) -> CaseResult {
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

async fn an_end_in_the_past_is_at_once(context: Context) -> CaseResult {
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
        "the read of what ended in 1970",
        context.read(&key).await?,
        None,
    )
}

async fn an_entry_may_never_end(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write_until(&key, "value", Expiry::Never).await?;
    context.expired(&context.key("other")?).await?;
    let entry = context.read_present(&key).await?;
    same("the end that is reported", entry.expires_at, None)
}

async fn an_entry_may_live_for_ten_years(context: Context) -> CaseResult {
    const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
    let key = context.key("k")?;
    let end = Timestamp::now().saturating_add(TEN_YEARS);
    context.write_until(&key, "value", Expiry::At(end)).await?;
    for _ in 0..4 {
        // A timer or a field that overflows ends it at once, or after a moment.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let entry = context.read_present(&key).await?;
        if context.capabilities.reports_expiry {
            is_close(&context, entry.expires_at, end)?;
        }
    }
    Ok(())
}

async fn an_overwrite_sets_the_end_anew(context: Context) -> CaseResult {
    let (kept, cut) = (context.key("kept")?, context.key("cut")?);
    let end = context.soon();
    context.write_until(&kept, "value", Expiry::At(end)).await?;
    context.write_until(&kept, "value", Expiry::Never).await?;
    context.write_until(&cut, "value", Expiry::Never).await?;
    let end = context.soon();
    context.write_until(&cut, "value", Expiry::At(end)).await?;
    context.poll_until_gone(&cut, end).await?;
    context.sleep_past(end).await;
    context.read_present(&kept).await?;
    Ok(())
}

fn is_close(context: &Context, reported: Option<Timestamp>, end: Timestamp) -> CaseResult {
    let tolerance = context
        .capabilities
        .expiry_granularity
        .max(Duration::from_millis(1));
    let close = reported.is_some_and(|reported| {
        reported.saturating_since(end) <= tolerance && end.saturating_since(reported) <= tolerance
    });
    check(
        close,
        format!("the end {end}, give or take {tolerance:?}"),
        format!("{reported:?}"),
    )
}

async fn the_end_is_reported_as_it_was_set(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let minimum = context.capabilities.minimum_ttl;
    for ttl in [Duration::from_secs(60), Duration::from_millis(3_600_123)] {
        let end = Timestamp::now().saturating_add(ttl.max(minimum));
        context.write_until(&key, "value", Expiry::At(end)).await?;
        is_close(&context, context.read_present(&key).await?.expires_at, end)?;
        let metadata = context.driver.metadata(&key).await?;
        is_close(
            &context,
            metadata.and_then(|metadata| metadata.expires_at),
            end,
        )?;
    }
    context.write_until(&key, "value", Expiry::Never).await?;
    same(
        "the end",
        context.read_present(&key).await?.expires_at,
        None,
    )
}

async fn the_default_expiry_is_the_drivers(context: Context) -> CaseResult {
    let ttl = context.subject.default_ttl.unwrap_or_default();
    let key = context.key("k")?;
    let before = Timestamp::now();
    context.write_until(&key, "value", Expiry::Default).await?;
    let after = Timestamp::now();
    let end = context.read_present(&key).await?.expires_at;
    let granularity = context.capabilities.expiry_granularity;
    let (first, last) = (
        before.saturating_add(ttl),
        after.saturating_add(ttl + granularity),
    );
    let close = end.is_some_and(|end| first <= end.saturating_add(granularity) && end <= last);
    check(
        close,
        format!("an end {ttl:?} after the write"),
        format!("{end:?} for {before}"),
    )?;
    context.write_until(&key, "value", Expiry::Never).await?;
    let end = context.read_present(&key).await?.expires_at;
    same("the end of what never ends", end, None)
}

async fn a_foreign_write_clears_the_end(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let end = Timestamp::now().saturating_add(context.short_life() + Duration::from_millis(400));
    context.write_until(&key, "ours", Expiry::At(end)).await?;
    context.write_as_foreigner(&key, b"theirs").await?;
    context.sleep_past(end).await;
    let value = context.read_present(&key).await?.value;
    same("the value", value, "theirs".into())
}

async fn a_foreign_write_at_once_and_of_equal_length_clears_the_end(
    context: Context,
) -> CaseResult {
    let end = Timestamp::now().saturating_add(context.short_life() + Duration::from_millis(400));
    let mut keys = Vec::new();
    // Often, so that some of them meet their writes within one tick of any clock.
    for number in 0..20 {
        let key = context.key(&format!("k{number}"))?;
        context.write_until(&key, "ours", Expiry::At(end)).await?;
        context.write_as_foreigner(&key, b"them").await?;
        keys.push(key);
    }
    context.sleep_past(end).await;
    for key in keys {
        let value = context.read_present(&key).await?.value;
        same("the value", value, "them".into())?;
    }
    Ok(())
}
