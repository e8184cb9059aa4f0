use session_core::{ConflictState, RemoveOptions, RemoveOutcome};

use super::cases;
use super::conditional_writes::{meets_entry, meets_nothing};
use crate::case::Need;
use crate::context::{Context, no_version};
use crate::failure::{CaseResult, Failure, same};

cases! {
    a_conditional_removal_removes_its_version [Need::Conditions]: "a removal on condition of a version removes that version";
    a_conditional_removal_meets_a_change [Need::Conditions]: "a removal on condition of a version leaves another one alone";
    a_conditional_removal_meets_nothing [Need::Conditions]: "a removal on condition of a version is a conflict where nothing is";
    a_conditional_removal_meets_what_has_ended [Need::Conditions, Need::ShortLives]: "an ended entry counts as absent for a removal too";
}

fn conflict_in(outcome: RemoveOutcome) -> Result<ConflictState, Failure> {
    match outcome {
        RemoveOutcome::Conflict(current) => Ok(current),
        removed => Err(Failure::new("a conflict", format!("{removed:?}"))),
    }
}

async fn a_conditional_removal_removes_its_version(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::if_version(version))
        .await?;
    same("the removal", outcome, RemoveOutcome::Removed)?;
    same("the read", context.read(&key).await?, None)
}

async fn a_conditional_removal_meets_a_change(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.write_versioned(&key, "first").await?;
    context.write(&key, "other").await?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::if_version(version))
        .await?;
    meets_entry(&context, &key, conflict_in(outcome)?).await?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "other".into(),
    )
}

async fn a_conditional_removal_meets_nothing(context: Context) -> CaseResult {
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
    meets_nothing(conflict_in(outcome)?).await
}

async fn a_conditional_removal_meets_what_has_ended(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let version = context.expired(&key).await?.ok_or_else(no_version)?;
    let outcome = context
        .driver
        .remove(&key, RemoveOptions::if_version(version))
        .await?;
    meets_nothing(conflict_in(outcome)?).await
}
