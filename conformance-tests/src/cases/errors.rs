//! Errors are never misses or successes, and their outcome is true.

use std::time::Duration;

use session_core::{
    Error, ErrorKind, Expiry, ListOptions, Outcome, Prefix, RemoveOptions, TouchOptions, Write,
    WriteOptions,
};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    an_outage_is_never_a_miss [Need::Outage]: "an error is never a miss";
    every_change_fails_during_an_outage [Need::Writes, Need::Outage]: "a change that was not applied is an error";
    not_applied_means_not_applied [Need::Writes, Need::Outage]: "an error with the outcome `NotApplied` means that nothing changed";
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
