//! Closing a driver.

use session_core::{
    Error, ErrorKind, ListOptions, Listing, Outcome, Prefix, RemoveOptions, TouchOptions, Write,
    WriteOptions,
};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    closing_twice_succeeds: "a second close succeeds";
    after_close_all_operations_fail_or_none [Need::Writes]: "after close every operation fails with kind Closed, or every operation still works";
    written_entries_survive_close [Need::Writes, Need::SharedBackend]: "close finishes background work and loses no write";
}

async fn closing_twice_succeeds(context: Context) -> CaseResult {
    context.write(&context.key("k")?, "value").await?;
    context.driver.close().await?;
    Ok(context.driver.close().await?)
}

async fn after_close_all_operations_fail_or_none(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    context.driver.close().await?;
    let driver = &context.driver;
    let read = driver.read(&key).await;
    let still_works = read.is_ok();
    if let Ok(entry) = &read {
        check(
            entry.is_some(),
            "the entry, or an error of kind Closed",
            "a miss",
        )?;
    }
    let mut results: Vec<(&str, Option<Error>)> = vec![
        ("a read", read.err()),
        (
            "a write",
            driver
                .write(&key, "v".into(), WriteOptions::default())
                .await
                .err(),
        ),
        ("exists", driver.exists(&key).await.err()),
        ("metadata", driver.metadata(&key).await.err()),
        (
            "a batch of reads",
            driver.read_many(std::slice::from_ref(&key)).await.err(),
        ),
        (
            "a batch of removals",
            driver.remove_many(std::slice::from_ref(&key)).await.err(),
        ),
        (
            "a removal",
            driver.remove(&key, RemoveOptions::default()).await.err(),
        ),
    ];
    let write = Write::new(key.clone(), "v");
    let outcomes = driver.write_many(vec![write]).await;
    same("the number of outcomes of a batch", outcomes.len(), 1)?;
    for outcome in outcomes {
        results.push(("a write of a batch", outcome.err()));
    }
    if context.capabilities.touch {
        let options = TouchOptions::default();
        results.push(("a touch", driver.touch(&key, options).await.err()));
    }
    if context.capabilities.listing != Listing::None {
        results.push(("a listing", driver.list(ListOptions::default()).await.err()));
        let nothing = Prefix::new("none")?;
        results.push(("a clear", driver.clear(&nothing).await.err()));
    }
    if context.capabilities.watch {
        let watch = driver.watch(&Prefix::root()).await;
        results.push(("a watch", watch.err()));
    }
    for (operation, error) in results {
        match error {
            None if still_works => {}
            Some(error) if !still_works => {
                same(
                    &format!("{operation} after close"),
                    (error.kind(), error.outcome()),
                    (ErrorKind::Closed, Outcome::NotApplied),
                )?;
            }
            None => {
                return Err(Failure::new(
                    format!("{operation} to fail, like a read"),
                    "a success",
                ));
            }
            Some(error) => {
                let expected = format!("{operation} to work, like a read");
                return Err(Failure::new(expected, format!("{error:?}")));
            }
        }
    }
    Ok(())
}

async fn written_entries_survive_close(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let driver = context.another_driver().await;
    let outcome = driver
        .write(&key, "value".into(), WriteOptions::default())
        .await?;
    crate::context::written(outcome)?;
    driver.close().await?;
    let later = context.another_driver().await.read(&key).await?;
    same(
        "the value",
        later.map(|entry| entry.value),
        Some("value".into()),
    )
}
