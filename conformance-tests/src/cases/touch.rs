//! Touching an entry: changing its expiry without writing its value.

use std::time::Duration;

use session_core::{Entry, Expiry, Timestamp, TouchOptions};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, same};

cases! {
    a_touch_extends_the_expiry [Need::Touch, Need::ShortLives]: "a touch sets a later expiry";
    a_touch_shortens_the_expiry [Need::Touch, Need::ShortLives]: "a touch sets an earlier expiry";
    a_touch_can_remove_the_expiry [Need::Touch, Need::ShortLives]: "a touch can remove the expiry";
    a_touch_keeps_value_and_version [Need::Touch]: "a touch changes neither value nor version";
    a_touch_on_another_version_changes_nothing [Need::Touch, Need::Conditions]: "a conditional touch does not affect another version";
    a_touch_of_a_missing_key_creates_nothing [Need::Touch]: "a touch of a missing key returns false and creates nothing";
    a_touch_does_not_revive_an_expired_entry [Need::Touch, Need::ShortLives]: "a touch does not revive an expired entry";
}

async fn a_touch_extends_the_expiry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let expires_at =
        Timestamp::now().saturating_add(context.short_ttl() + Duration::from_millis(400));
    context
        .write_until(&key, "value", Expiry::At(expires_at))
        .await?;
    let later = expires_at.saturating_add(Duration::from_secs(3_600));
    let touched = context
        .driver
        .touch(&key, TouchOptions::to(Expiry::At(later)))
        .await?;
    same("the touch", touched, true)?;
    context.sleep_past(expires_at).await;
    context.read_present(&key).await?;
    Ok(())
}

async fn a_touch_shortens_the_expiry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let expires_at = context.soon();
    let touched = context
        .driver
        .touch(&key, TouchOptions::to(Expiry::At(expires_at)))
        .await?;
    same("the touch", touched, true)?;
    context.poll_until_gone(&key, expires_at).await
}

async fn a_touch_can_remove_the_expiry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let expires_at =
        Timestamp::now().saturating_add(context.short_ttl() + Duration::from_millis(400));
    context
        .write_until(&key, "value", Expiry::At(expires_at))
        .await?;
    let touched = context
        .driver
        .touch(&key, TouchOptions::to(Expiry::Never))
        .await?;
    same("the touch", touched, true)?;
    context.sleep_past(expires_at).await;
    let entry = context.read_present(&key).await?;
    same("the reported expiry", entry.expires_at, None)
}

async fn a_touch_keeps_value_and_version(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let before = context.read_present(&key).await?;
    let expiry = Expiry::after(Duration::from_secs(3_600));
    same(
        "the touch",
        context.driver.touch(&key, TouchOptions::to(expiry)).await?,
        true,
    )?;
    let after = context.read_present(&key).await?;
    same("the version", after.version, before.version)?;
    same("the value", after.value, before.value)
}

async fn a_touch_on_another_version_changes_nothing(context: Context) -> CaseResult {
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

async fn a_touch_of_a_missing_key_creates_nothing(context: Context) -> CaseResult {
    let key = context.key("missing")?;
    let expiry = Expiry::after(Duration::from_secs(3_600));
    same(
        "the touch",
        context.driver.touch(&key, TouchOptions::to(expiry)).await?,
        false,
    )?;
    same("the read", context.read(&key).await?, None)
}

async fn a_touch_does_not_revive_an_expired_entry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.expired(&key).await?;
    let expiry = Expiry::after(Duration::from_secs(3_600));
    same(
        "the touch",
        context.driver.touch(&key, TouchOptions::to(expiry)).await?,
        false,
    )?;
    same("the read", context.read(&key).await?, None)
}
