use std::time::Duration;

use session_core::{Entry, Expiry, Timestamp, TouchOptions};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, same};

cases! {
    a_touch_moves_the_end_later [Need::Touch, Need::ShortLives]: "a touch moves the end of an entry";
    a_touch_moves_the_end_earlier [Need::Touch, Need::ShortLives]: "a touch moves the end of an entry, to an earlier time too";
    a_touch_may_take_the_end_away [Need::Touch, Need::ShortLives]: "a touch may make an entry that never ends";
    a_touch_leaves_value_and_version_alone [Need::Touch]: "a touch rewrites no value and changes no version";
    a_touch_on_another_version_moves_nothing [Need::Touch, Need::Conditions]: "a touch on condition of a version moves the end of no other one";
    a_touch_of_a_missing_key_makes_nothing [Need::Touch]: "a touch says that there was nothing to move, and makes nothing";
    a_touch_does_not_revive [Need::Touch, Need::ShortLives]: "a touch does not bring back what has ended";
}

async fn a_touch_moves_the_end_later(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let end = Timestamp::now().saturating_add(context.short_life() + Duration::from_millis(400));
    context.write_until(&key, "value", Expiry::At(end)).await?;
    let later = end.saturating_add(Duration::from_secs(3_600));
    let touched = context
        .driver
        .touch(&key, TouchOptions::to(Expiry::At(later)))
        .await?;
    same("the touch", touched, true)?;
    context.sleep_past(end).await;
    context.read_present(&key).await?;
    Ok(())
}

async fn a_touch_moves_the_end_earlier(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let end = context.soon();
    let touched = context
        .driver
        .touch(&key, TouchOptions::to(Expiry::At(end)))
        .await?;
    same("the touch", touched, true)?;
    context.poll_until_gone(&key, end).await
}

async fn a_touch_may_take_the_end_away(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let end = Timestamp::now().saturating_add(context.short_life() + Duration::from_millis(400));
    context.write_until(&key, "value", Expiry::At(end)).await?;
    let touched = context
        .driver
        .touch(&key, TouchOptions::to(Expiry::Never))
        .await?;
    same("the touch", touched, true)?;
    context.sleep_past(end).await;
    let entry = context.read_present(&key).await?;
    same("the end that is reported", entry.expires_at, None)
}

async fn a_touch_leaves_value_and_version_alone(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let before = context.read_present(&key).await?;
    let end = Expiry::after(Duration::from_secs(3_600));
    same(
        "the touch",
        context.driver.touch(&key, TouchOptions::to(end)).await?,
        true,
    )?;
    let after = context.read_present(&key).await?;
    same("the version", after.version, before.version)?;
    same("the value", after.value, before.value)
}

async fn a_touch_on_another_version_moves_nothing(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "old").await?;
    let old = context.read_present(&key).await?;
    context.write(&key, "new").await?;
    let new = context.read_present(&key).await?;
    let to = TouchOptions::to(Expiry::after(Duration::from_secs(3_600)));
    let on = |entry: &Entry| match &entry.version {
        Some(version) => to.clone().if_version(version.clone()),
        None => to.clone(),
    };
    let touched = context.driver.touch(&key, on(&old)).await?;
    same("the touch on the old version", touched, false)?;
    same("the entry", context.read_present(&key).await?, new.clone())?;
    let touched = context.driver.touch(&key, on(&new)).await?;
    same("the touch on this version", touched, true)
}

async fn a_touch_of_a_missing_key_makes_nothing(context: Context) -> CaseResult {
    let key = context.key("missing")?;
    let end = Expiry::after(Duration::from_secs(3_600));
    same(
        "the touch",
        context.driver.touch(&key, TouchOptions::to(end)).await?,
        false,
    )?;
    same("the read", context.read(&key).await?, None)
}

async fn a_touch_does_not_revive(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.expired(&key).await?;
    let end = Expiry::after(Duration::from_secs(3_600));
    same(
        "the touch",
        context.driver.touch(&key, TouchOptions::to(end)).await?,
        false,
    )?;
    same("the read", context.read(&key).await?, None)
}
