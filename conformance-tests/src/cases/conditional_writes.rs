use session_core::{
    ConflictState, Expiry, RemoveOptions, Version, WriteCondition, WriteOptions, WriteOutcome,
};

use super::cases;
use crate::case::Need;
use crate::context::{Context, no_version, written};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    if_absent_writes_where_nothing_is [Need::Conditions]: "`IfAbsent` writes where no entry is";
    if_absent_meets_what_is_there [Need::Conditions]: "`IfAbsent` changes nothing where an entry is, and says so";
    if_absent_writes_where_one_was_removed [Need::Conditions]: "`IfAbsent` writes where an entry was removed";
    if_absent_writes_where_one_has_ended [Need::Conditions, Need::ShortLives]: "an ended entry counts as absent, swept or not";
    if_version_writes_over_its_version [Need::Conditions]: "`IfVersion` writes over the version that it names";
    if_version_meets_a_change [Need::Conditions]: "`IfVersion` changes nothing where the value was changed";
    if_version_meets_nothing [Need::Conditions]: "`IfVersion` writes nothing where no entry is: gone is gone";
    if_version_meets_what_has_ended [Need::Conditions, Need::ShortLives]: "`IfVersion` does not bring back what has ended";
    if_version_works_again_and_again [Need::Conditions]: "the version of a write is the one to name next";
    a_conditional_write_sets_the_end [Need::Conditions, Need::ShortLives]: "a conditional write sets the expiry as any other";
    versions_change_with_values_of_equal_length [Need::Conditions]: "a version changes with every change of the value";
    versions_are_the_same_wherever_they_are_told [Need::Conditions]: "write, read, metadata and batch tell one version";
    a_foreign_write_changes_the_version [Need::Conditions, Need::ForeignWrite]: "a version sees a foreign write, also one of equal length";
}

/// What the driver said instead of writing. If it tells what it met, that must be true.
pub(super) fn conflict_in(outcome: WriteOutcome) -> Result<ConflictState, Failure> {
    match outcome {
        WriteOutcome::Conflict(current) => Ok(current),
        written => Err(Failure::new("a conflict", format!("{written:?}"))),
    }
}

pub(super) async fn meets_nothing(current: ConflictState) -> CaseResult {
    check(
        matches!(current, ConflictState::Absent | ConflictState::Unknown),
        "a conflict with an absent entry",
        format!("{current:?}"),
    )
}

pub(super) async fn meets_entry(
    context: &Context,
    key: &session_core::Key,
    current: ConflictState,
) -> CaseResult {
    let there = context.read_present(key).await?;
    match current {
        ConflictState::Unknown => Ok(()),
        ConflictState::Absent => Err(Failure::new(
            format!("a conflict with {there:?}"),
            "with nothing",
        )),
        ConflictState::Present(met) => {
            same("the value met", &met.value, &there.value)?;
            same("the version met", met.version, there.version)
        }
    }
}

async fn if_absent_writes_where_nothing_is(context: Context) -> CaseResult {
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

async fn if_absent_meets_what_is_there(context: Context) -> CaseResult {
    let key = context.key("k")?;
    for value in ["first", ""] {
        context.write(&key, value).await?;
        let before = context.read_present(&key).await?;
        let outcome = context
            .driver
            .write(&key, "other".into(), WriteOptions::if_absent())
            .await?;
        meets_entry(&context, &key, conflict_in(outcome)?).await?;
        let after = context.read_present(&key).await?;
        same(
            "the entry",
            (after.value, after.version),
            (before.value, before.version),
        )?;
    }
    Ok(())
}

async fn if_absent_writes_where_one_was_removed(context: Context) -> CaseResult {
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

async fn if_absent_writes_where_one_has_ended(context: Context) -> CaseResult {
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

async fn if_version_writes_over_its_version(context: Context) -> CaseResult {
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

async fn if_version_meets_a_change(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    context.write(&key, "changed").await?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "second".into(), options).await?;
    meets_entry(&context, &key, conflict_in(outcome)?).await?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "changed".into(),
    )
}

async fn if_version_meets_nothing(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    let _unconditional = context
        .driver
        .remove(&key, RemoveOptions::default())
        .await?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "second".into(), options).await?;
    meets_nothing(conflict_in(outcome)?).await?;
    same("the read", context.read(&key).await?, None)
}

async fn if_version_meets_what_has_ended(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.expired(&key).await?.ok_or_else(no_version)?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "second".into(), options).await?;
    meets_nothing(conflict_in(outcome)?).await?;
    same("the read", context.read(&key).await?, None)
}

async fn if_version_works_again_and_again(context: Context) -> CaseResult {
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

async fn a_conditional_write_sets_the_end(context: Context) -> CaseResult {
    let (kept, cut) = (context.key("kept")?, context.key("cut")?);
    let end = context.soon();
    let options = WriteOptions::if_absent().with_expiry(Expiry::At(end));
    written(context.driver.write(&cut, "value".into(), options).await?)?;

    let life = std::time::Duration::from_secs(3_600);
    let version = context
        .write_until(&kept, "value", Expiry::after(life))
        .await?;
    let options = WriteOptions::if_version(version.ok_or_else(no_version)?);
    let options = options.with_expiry(Expiry::Never);
    written(context.driver.write(&kept, "again".into(), options).await?)?;
    let entry = context.read_present(&kept).await?;
    same("the end that is reported", entry.expires_at, None)?;
    context.poll_until_gone(&cut, end).await
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

async fn versions_are_the_same_wherever_they_are_told(context: Context) -> CaseResult {
    let key = context.key("k")?;
    for value in ["first", "second", ""] {
        let version = Some(context.write_versioned(&key, value).await?);
        same(
            "the version that a read tells",
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
    context.write_as_foreigner(&key, b"else").await?;
    let options = WriteOptions::if_version(version);
    let outcome = context.driver.write(&key, "lost".into(), options).await?;
    meets_entry(&context, &key, conflict_in(outcome)?).await?;
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
