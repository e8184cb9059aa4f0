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
    an_outage_is_told_by_every_change [Need::Writes, Need::Outage]: "a change that did not happen is an error and not a success";
    an_error_says_truly_what_was_not_applied [Need::Writes, Need::Outage]: "an error that says not applied is right; what may have happened is unknown";
    an_outage_has_a_kind_and_a_context [Need::Outage]: "an error says which driver failed, and with a kind that a caller can act on";
}

fn fails<T>(what: &str, result: Result<T, Error>) -> Result<Error, Failure> {
    match result {
        Ok(_) => Err(Failure::new(
            format!("{what} to be an error while the backend is out of reach"),
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
        let end = Expiry::after(Duration::from_secs(60));
        fails("a touch", driver.touch(&key, TouchOptions::to(end)).await)?;
    }
    fails("a listing", driver.list(ListOptions::default()).await)?;
    Ok(())
}

async fn an_outage_is_told_by_every_change(context: Context) -> CaseResult {
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

/// Where the driver that fails shares its backend with the one under test, a lie shows in what is stored.
async fn an_error_says_truly_what_was_not_applied(context: Context) -> CaseResult {
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
        let there = context.driver.exists(&key).await?;
        same(
            "the entry after a removal that was not applied",
            there,
            true,
        )?;
    }
    Ok(())
}

async fn an_outage_has_a_kind_and_a_context(context: Context) -> CaseResult {
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
        "the driver that the error names",
        error.driver(),
        Some(driver.name()),
    )
}
