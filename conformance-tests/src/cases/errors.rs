//! Errors are never misses or successes, and their outcome is true.

use std::time::Duration;

use session_core::{
    Conditions, Entry, Error, ErrorKind, Expiry, Key, ListOptions, Listing, Outcome, Prefix,
    RemoveOptions, TouchOptions, Write, WriteOptions, WriteOutcome,
};

use super::cases;
use crate::case::Need;
use crate::context::{Context, no_version};
use crate::failure::{CaseResult, Failure, check, describe, same};

cases! {
    an_outage_is_never_a_miss [Need::Outage]: "an error is never a miss";
    every_change_fails_during_an_outage [Need::Writes, Need::Outage]: "a change that was not applied is an error";
    not_applied_means_not_applied [Need::Writes, Need::Outage]: "an error with the outcome `NotApplied` means that nothing changed";
    not_applied_means_not_applied_in_every_method [Need::Writes, Need::Outage]: "an error with the outcome `NotApplied` means that nothing changed, also in batches, conditional changes and touches";
    one_wrong_write_of_a_batch_does_not_stop_the_others [Need::Writes]: "each write of a batch has its own result";
    an_outage_error_has_a_kind_and_a_driver [Need::Outage]: "an error names the driver and has a kind that the caller can handle";
}

fn fails<T>(what: &str, result: Result<T, Error>) -> Result<Error, Failure> {
    match result {
        Ok(_) => Err(Failure::new(
            format!("{what} to fail while the backend is unreachable"),
            "a success",
        )),
        Err(error) => Ok(error),
    }
}

async fn an_outage_is_never_a_miss(context: Context) -> CaseResult {
    let driver = context.outage()?;
    let key = context.key("k")?;
    let keys = [key.clone(), key.clone()];
    fails("a read", driver.read(&key).await)?;
    fails("exists", driver.exists(&key).await)?;
    fails("metadata", driver.metadata(&key).await)?;
    fails("a batch of reads", driver.read_many(&keys).await)?;
    if context.capabilities.touch {
        let expiry = Expiry::after(Duration::from_secs(60));
        fails(
            "a touch",
            driver.touch(&key, TouchOptions::to(expiry)).await,
        )?;
    }
    fails("a listing", driver.list(ListOptions::default()).await)?;
    Ok(())
}

async fn every_change_fails_during_an_outage(context: Context) -> CaseResult {
    let driver = context.outage()?;
    let key = context.key("k")?;
    let options = WriteOptions::default();
    fails(
        "a write",
        driver.write(&key, "v".into(), options.clone()).await,
    )?;
    fails(
        "a removal",
        driver.remove(&key, RemoveOptions::default()).await,
    )?;
    fails(
        "a batch of removals",
        driver.remove_many(std::slice::from_ref(&key)).await,
    )?;
    fails("a clear", driver.clear(&Prefix::root()).await)?;
    let write = Write::new(key, "v").with_options(options);
    let results = driver.write_many(vec![write.clone(), write]).await;
    same("the number of results of a batch", results.len(), 2)?;
    for result in results {
        fails("each write of a batch", result)?;
    }
    Ok(())
}

/// If both drivers share a backend, a wrong outcome shows in the stored entry.
async fn not_applied_means_not_applied(context: Context) -> CaseResult {
    let driver = context.outage()?;
    let key = context.key("k")?;
    context.write(&key, "old").await?;
    let error = fails(
        "a write",
        driver
            .write(&key, "new".into(), WriteOptions::default())
            .await,
    )?;
    if error.outcome() == Outcome::NotApplied {
        let value = context.read_present(&key).await?.value;
        same(
            "the value after a write that was not applied",
            value,
            "old".into(),
        )?;
    }
    context.write(&key, "old").await?;
    let error = fails(
        "a removal",
        driver.remove(&key, RemoveOptions::default()).await,
    )?;
    if error.outcome() == Outcome::NotApplied {
        let exists = context.driver.exists(&key).await?;
        same(
            "the entry after a removal that was not applied",
            exists,
            true,
        )?;
    }
    Ok(())
}

async fn an_outage_error_has_a_kind_and_a_driver(context: Context) -> CaseResult {
    let driver = context.outage()?;
    let error = fails("a read", driver.read(&context.key("k")?).await)?;
    let expected =
        "an error of kind Unavailable, TimedOut, RateLimited, Unauthorized, Closed or Backend";
    check(
        matches!(
            error.kind(),
            ErrorKind::Unavailable
                | ErrorKind::TimedOut
                | ErrorKind::RateLimited
                | ErrorKind::Unauthorized
                | ErrorKind::Closed
                | ErrorKind::Backend
        ),
        expected,
        format!("{:?}", error.kind()),
    )?;
    same(
        "the driver in the error",
        error.driver(),
        Some(driver.name()),
    )
}

/// Passes if the entry is as it was, where an error says that nothing was changed.
async fn is_unchanged(
    context: &Context,
    key: &Key,
    before: &Entry,
    what: &str,
    error: &Error,
) -> CaseResult {
    if error.outcome() == Outcome::Unknown {
        return Ok(());
    }
    let after = context.read(key).await?;
    same(
        &format!("the entry after {what} that was not applied"),
        after.as_ref(),
        Some(before),
    )
}

/// If both drivers share a backend, a wrong outcome shows in the stored entry.
async fn not_applied_means_not_applied_in_every_method(context: Context) -> CaseResult {
    let driver = context.outage()?;
    let (key, absent) = (context.key("k")?, context.key("absent")?);
    let keys = std::slice::from_ref(&key);
    let fresh = async || {
        context.write(&key, "old").await?;
        context.read_present(&key).await
    };

    let before = fresh().await?;
    let writes = vec![
        Write::new(key.clone(), "new"),
        Write::new(absent.clone(), "new"),
    ];
    let outcomes = driver.write_many(writes).await;
    same("the number of outcomes of a batch", outcomes.len(), 2)?;
    for (key, outcome) in [&key, &absent].into_iter().zip(outcomes) {
        let error = fails("each write of a batch", outcome)?;
        match context.read(key).await? {
            Some(entry) if entry.value == "new" && error.outcome() == Outcome::NotApplied => {
                let expected = "a write of a batch that was not applied to change nothing";
                return Err(Failure::new(expected, describe(&error)));
            }
            _ => {}
        }
    }

    let removed = fails("a batch of removals", driver.remove_many(keys).await);
    let error = removed?;
    if error.outcome() == Outcome::NotApplied {
        same("exists after it", context.driver.exists(&key).await?, true)?;
    }

    if context.capabilities.conditions != Conditions::None {
        let before = fresh().await?;
        let version = before.version.clone().ok_or_else(no_version)?;
        let options = WriteOptions::if_version(version.clone());
        let write = driver.write(&key, "new".into(), options).await;
        let error = fails("a conditional write", write)?;
        is_unchanged(&context, &key, &before, "a conditional write", &error).await?;

        let before = fresh().await?;
        let version = before.version.clone().unwrap_or(version);
        let removal = driver
            .remove(&key, RemoveOptions::if_version(version))
            .await;
        let error = fails("a conditional removal", removal)?;
        is_unchanged(&context, &key, &before, "a conditional removal", &error).await?;

        let _last = context
            .driver
            .remove(&absent, RemoveOptions::default())
            .await?;
        let write = driver
            .write(&absent, "new".into(), WriteOptions::if_absent())
            .await;
        let error = fails("a write if absent", write)?;
        if error.outcome() == Outcome::NotApplied {
            same("the read after it", context.read(&absent).await?, None)?;
        }
    }
    if context.capabilities.touch {
        let before = fresh().await?;
        let options = TouchOptions::to(Expiry::after(Duration::from_secs(60)));
        let error = fails("a touch", driver.touch(&key, options).await)?;
        is_unchanged(&context, &key, &before, "a touch", &error).await?;
    }
    if context.capabilities.listing != Listing::None {
        let before = fresh().await?;
        let error = fails("a clear", driver.clear(&Prefix::root()).await)?;
        is_unchanged(&context, &key, &before, "a clear", &error).await?;
    }
    drop(before);
    Ok(())
}

async fn one_wrong_write_of_a_batch_does_not_stop_the_others(context: Context) -> CaseResult {
    let (first, last) = (context.key("first")?, context.key("last")?);
    let middle = context.key("middle")?;
    context.write(&middle, "old").await?;
    let capabilities = &context.capabilities;
    let mut wrong = vec![
        // A conflict, or an error of a driver without conditions.
        Write::new(middle.clone(), "new").with_options(WriteOptions::if_absent()),
    ];
    if let Some(limit) = capabilities.max_key_size {
        wrong.push(Write::new(Key::new(&"k".repeat(limit + 1))?, "new"));
    }
    if let Some(limit) = capabilities
        .max_value_size
        .filter(|limit| *limit <= MOST_BYTES)
    {
        wrong.push(Write::new(middle.clone(), vec![b'v'; limit + 1]));
    }
    for wrong in wrong {
        for key in [&first, &last] {
            let _last = context.driver.remove(key, RemoveOptions::default()).await?;
        }
        let writes = vec![
            Write::new(first.clone(), "new"),
            wrong,
            Write::new(last.clone(), "new"),
        ];
        let outcomes = context.driver.write_many(writes).await;
        same("the number of outcomes", outcomes.len(), 3)?;
        let mut made = Vec::new();
        for outcome in &outcomes {
            made.push(matches!(outcome, Ok(WriteOutcome::Written { .. })));
        }
        same("which writes were made", made, vec![true, false, true])?;
        for key in [&first, &last] {
            let value = context.read_present(key).await?.value;
            same("the value beside a wrong write", value, "new".into())?;
        }
        let value = context.read_present(&middle).await?.value;
        same("the value of the wrong write", value, "old".into())?;
    }
    Ok(())
}

/// A limit above this is not tried in a batch.
const MOST_BYTES: usize = 2 << 20;
