//! Removals on condition of a version.

use session_core::{ConflictState, RemoveOptions, RemoveOutcome};

use super::cases;
use super::conditional_writes::{is_conflict_with_absent, is_conflict_with_entry};
use crate::case::Need;
use crate::context::{Context, no_version};
use crate::failure::{CaseResult, Failure, same};

cases! {
    a_conditional_removal_removes_that_version [Need::Conditions]: "a conditional removal removes the entry with that version";
    a_conditional_removal_conflicts_with_a_changed_entry [Need::Conditions]: "a conditional removal is a conflict if the entry has another version";
    a_conditional_removal_conflicts_with_a_missing_key [Need::Conditions]: "a conditional removal is a conflict if the key is absent";
    a_conditional_removal_conflicts_with_an_expired_entry [Need::Conditions, Need::ShortLives]: "an expired entry counts as absent for a removal";
}

fn conflict_in(outcome: RemoveOutcome) -> Result<ConflictState, Failure> {
    match outcome {
        RemoveOutcome::Conflict(current) => Ok(current),
        removed => Err(Failure::new("a conflict", format!("{removed:?}"))),
    }
}

async fn a_conditional_removal_removes_that_version(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::if_version(version))
        .await?;
    same("the removal", outcome, RemoveOutcome::Removed)?;
    same("the read", context.read(&key).await?, None)
}

async fn a_conditional_removal_conflicts_with_a_changed_entry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    context.write(&key, "other").await?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::if_version(version))
        .await?;
    is_conflict_with_entry(&context, &key, conflict_in(outcome)?).await?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "other".into(),
    )
}

async fn a_conditional_removal_conflicts_with_a_missing_key(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    let _unconditional = context
        .driver
        .remove(&key, RemoveOptions::default())
        .await?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::if_version(version))
        .await?;
    is_conflict_with_absent(conflict_in(outcome)?).await
}

async fn a_conditional_removal_conflicts_with_an_expired_entry(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.expired(&key).await?.ok_or_else(no_version)?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::if_version(version))
        .await?;
    is_conflict_with_absent(conflict_in(outcome)?).await
}
