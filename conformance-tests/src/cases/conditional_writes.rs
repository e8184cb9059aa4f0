//! Writes on condition of absence or of a version.

use session_core::{
    ConflictState, Expiry, RemoveOptions, Version, WriteCondition, WriteOptions, WriteOutcome,
};

use super::cases;
use crate::case::Need;
use crate::context::{Context, no_version, written};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    if_absent_writes_a_missing_key [Need::Conditions]: "`IfAbsent` writes if the key is absent";
    if_absent_conflicts_with_an_existing_entry [Need::Conditions]: "`IfAbsent` is a conflict if the key has an entry";
    if_absent_writes_a_removed_key [Need::Conditions]: "`IfAbsent` writes if the entry was removed";
    if_absent_writes_an_expired_key [Need::Conditions, Need::ShortLives]: "an expired entry counts as absent, removed or not";
    if_version_replaces_that_version [Need::Conditions]: "`IfVersion` replaces the entry with that version";
    if_version_conflicts_with_a_changed_entry [Need::Conditions]: "`IfVersion` is a conflict if the value was changed";
    if_version_conflicts_with_a_missing_key [Need::Conditions]: "`IfVersion` is a conflict if the key is absent";
    if_version_conflicts_with_an_expired_entry [Need::Conditions, Need::ShortLives]: "`IfVersion` does not revive an expired entry";
    if_version_accepts_the_version_of_the_last_write [Need::Conditions]: "the version that a write returns can be used in the next condition";
    a_conditional_write_sets_the_expiry [Need::Conditions, Need::ShortLives]: "a conditional write sets the expiry";
    versions_change_with_values_of_equal_length [Need::Conditions]: "a version changes with every change of the value";
    every_operation_reports_the_same_version [Need::Conditions]: "write, read, metadata and batch report the same version";
    a_foreign_write_changes_the_version [Need::Conditions, Need::ForeignWrite]: "a foreign write changes the version, also if the length is equal";
}

/// Returns the state in the conflict. It fails if the write was applied.
pub(super) fn conflict_in(outcome: WriteOutcome) -> Result<ConflictState, Failure> {
    match outcome {
        WriteOutcome::Conflict(current) => Ok(current),
        written => Err(Failure::new("a conflict", format!("{written:?}"))),
    }
}

pub(super) async fn is_conflict_with_absent(current: ConflictState) -> CaseResult {
    check(
        matches!(current, ConflictState::Absent | ConflictState::Unknown),
        "a conflict with an absent entry",
        format!("{current:?}"),
    )
}

pub(super) async fn is_conflict_with_entry(
    context: &Context,
    key: &session_core::Key,
    current: ConflictState,
) -> CaseResult {
    let stored = context.read_present(key).await?;
    match current {
        ConflictState::Unknown => Ok(()),
        ConflictState::Absent => Err(Failure::new(
            format!("a conflict with {stored:?}"),
            "a conflict with an absent entry",
        )),
        ConflictState::Present(entry) => {
            same("the value in the conflict", &entry.value, &stored.value)?;
            same("the version in the conflict", entry.version, stored.version)
        }
    }
}

async fn if_absent_writes_a_missing_key(context: Context) -> CaseResult {
    let key = context.key("k")?;
    written(
        context
            .driver
            .write(&key, "first".into(), WriteOptions::if_absent())
            .await?,
    )?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "first".into(),
    )
}

async fn if_absent_conflicts_with_an_existing_entry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    for value in ["first", ""] {
        context.write(&key, value).await?;
        let before = context.read_present(&key).await?;
        let outcome = context
            .driver
            .write(&key, "other".into(), WriteOptions::if_absent())
            .await?;
        is_conflict_with_entry(&context, &key, conflict_in(outcome)?).await?;
        let after = context.read_present(&key).await?;
        same(
            "the entry",
            (after.value, after.version),
            (before.value, before.version),
        )?;
    }
    Ok(())
}

async fn if_absent_writes_a_removed_key(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "first").await?;
    let _unconditional = context
        .driver
        .remove(&key, RemoveOptions::default())
        .await?;
    written(
        context
            .driver
            .write(&key, "second".into(), WriteOptions::if_absent())
            .await?,
    )?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "second".into(),
    )
}

async fn if_absent_writes_an_expired_key(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.expired(&key).await?;
    written(
        context
            .driver
            .write(&key, "second".into(), WriteOptions::if_absent())
            .await?,
    )?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "second".into(),
    )
}

async fn if_version_replaces_that_version(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    let options = WriteOptions::if_version(version);
    written(context.driver.write(&key, "second".into(), options).await?)?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "second".into(),
    )
}

async fn if_version_conflicts_with_a_changed_entry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    context.write(&key, "changed").await?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "second".into(), options).await?;
    is_conflict_with_entry(&context, &key, conflict_in(outcome)?).await?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "changed".into(),
    )
}

async fn if_version_conflicts_with_a_missing_key(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    let _unconditional = context
        .driver
        .remove(&key, RemoveOptions::default())
        .await?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "second".into(), options).await?;
    is_conflict_with_absent(conflict_in(outcome)?).await?;
    same("the read", context.read(&key).await?, None)
}

async fn if_version_conflicts_with_an_expired_entry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.expired(&key).await?.ok_or_else(no_version)?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "second".into(), options).await?;
    is_conflict_with_absent(conflict_in(outcome)?).await?;
    same("the read", context.read(&key).await?, None)
}

async fn if_version_accepts_the_version_of_the_last_write(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let mut version = context.write_versioned(&key, "0").await?;
    for number in 1..20 {
        let options = WriteOptions::if_version(version);
        let outcome = context
            .driver
            .write(&key, number.to_string().into(), options)
            .await?;
        version = written(outcome)?.ok_or_else(no_version)?;
    }
    same(
        "the value",
        context.read_present(&key).await?.value,
        "19".into(),
    )
}

async fn a_conditional_write_sets_the_expiry(context: Context) -> CaseResult {
    let (kept, cut) = (context.key("kept")?, context.key("cut")?);
    let expires_at = context.soon();
    let options = WriteOptions::if_absent().with_expiry(Expiry::At(expires_at));
    written(context.driver.write(&cut, "value".into(), options).await?)?;

    let ttl = std::time::Duration::from_secs(3_600);
    let version = context
        .write_until(&kept, "value", Expiry::after(ttl))
        .await?;
    let options = WriteOptions::if_version(version.ok_or_else(no_version)?);
    let options = options.with_expiry(Expiry::Never);
    written(context.driver.write(&kept, "again".into(), options).await?)?;
    let entry = context.read_present(&kept).await?;
    same("the reported expiry", entry.expires_at, None)?;
    context.poll_until_gone(&cut, expires_at).await
}

async fn versions_change_with_values_of_equal_length(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let mut seen: Vec<Version> = Vec::new();
    for value in ["aaaa", "bbbb", "aaab", "baaa", "abab"] {
        let version = context.write_versioned(&key, value).await?;
        check(
            !seen.contains(&version),
            format!("a new version for {value:?}"),
            "an old one",
        )?;
        seen.push(version);
    }
    let stale = seen.swap_remove(0);
    let options = WriteOptions::default().with_condition(WriteCondition::IfVersion(stale));
    conflict_in(context.driver.write(&key, "cccc".into(), options).await?)?;
    Ok(())
}

async fn every_operation_reports_the_same_version(context: Context) -> CaseResult {
    let key = context.key("k")?;
    for value in ["first", "second", ""] {
        let version = Some(context.write_versioned(&key, value).await?);
        same(
            "the version of a read",
            context.read_present(&key).await?.version,
            version.clone(),
        )?;
        let metadata = context.driver.metadata(&key).await?.unwrap_or_default();
        same(
            "the version in the metadata",
            metadata.version,
            version.clone(),
        )?;
        let batch = context.driver.read_many(std::slice::from_ref(&key)).await?;
        let in_batch = batch
            .into_iter()
            .flatten()
            .next()
            .and_then(|entry| entry.version);
        same("the version in a batch", in_batch, version)?;
    }
    Ok(())
}

async fn a_foreign_write_changes_the_version(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "ours").await?;
    context.write_foreign(&key, b"else").await?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "lost".into(), options).await?;
    is_conflict_with_entry(&context, &key, conflict_in(outcome)?).await?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "else".into(),
    )?;

    let read = context
        .read_present(&key)
        .await?
        .version
        .ok_or_else(no_version)?;
    let options = WriteOptions::if_version(read);
    written(context.driver.write(&key, "after".into(), options).await?)?;
    Ok(())
}
