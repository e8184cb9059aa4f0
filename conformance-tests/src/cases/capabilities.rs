use std::time::Duration;

use bytes::Bytes;
use session_core::{
    Error, ErrorKind, Expiry, ListOptions, Outcome, Prefix, RemoveOptions, TouchOptions, Version,
    Write, WriteOptions,
};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    capabilities_stay_as_they_are: "capabilities are plain data that callers decide by, once";
    the_driver_has_a_name: "a driver names its backend, for errors and logs";
    conditions_are_refused_where_there_are_none [Need::NoConditions]: "a driver without conditions refuses them; it never fakes them";
    writing_is_refused_where_it_does_not_work [Need::NoWrites]: "a driver that is read-only refuses every change, and does not pretend";
    touching_is_refused_where_it_does_not_work [Need::NoTouch]: "what the capabilities deny is an error of kind Unsupported";
    listing_is_refused_where_it_does_not_work [Need::NoListing]: "what the capabilities deny is an error of kind Unsupported";
    watching_is_refused_where_it_does_not_work [Need::NoWatch]: "what the capabilities deny is an error of kind Unsupported";
    values_longer_than_the_limit_are_refused [Need::Writes, Need::ValueLimit]: "a value over the declared limit is an error, and the old one stays";
    errors_tell_no_secret: "an error holds no key and no value";
}

async fn capabilities_stay_as_they_are(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    same(
        "the capabilities",
        context.driver.capabilities(),
        context.capabilities,
    )
}

async fn the_driver_has_a_name(context: Context) -> CaseResult {
    check(!context.driver.name().is_empty(), "a name", "an empty text")
}

fn refused<T>(what: &str, result: Result<T, Error>) -> CaseResult {
    let expected = format!("{what} to be an error of kind Unsupported that changed nothing");
    match result {
        Ok(_) => Err(Failure::new(expected, "a success")),
        Err(error) => check(
            error.kind() == ErrorKind::Unsupported && error.outcome() == Outcome::NotApplied,
            expected,
            format!("{error:?}"),
        ),
    }
}

async fn conditions_are_refused_where_there_are_none(context: Context) -> CaseResult {
    let (key, missing) = (context.key("k")?, context.key("missing")?);
    let version = context.write(&key, "value").await?;
    let version = version.unwrap_or_else(|| Version::from_u64(1));
    let driver = &context.driver;
    let if_absent = WriteOptions::if_absent();
    refused(
        "IfAbsent",
        driver
            .write(&missing, "new".into(), if_absent.clone())
            .await,
    )?;
    refused(
        "IfAbsent",
        driver.write(&key, "new".into(), if_absent).await,
    )?;
    let if_version = WriteOptions::if_version(version.clone());
    refused(
        "IfVersion",
        driver.write(&key, "new".into(), if_version).await,
    )?;
    let removal = RemoveOptions::if_version(version);
    refused("a removal on condition", driver.remove(&key, removal).await)?;
    same("the missing key", context.read(&missing).await?, None)?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "value".into(),
    )
}

async fn writing_is_refused_where_it_does_not_work(context: Context) -> CaseResult {
    let (key, missing) = (context.key("k")?, context.key("missing")?);
    context.write(&key, "value").await?;
    let driver = &context.driver;
    let options = WriteOptions::default();
    for key in [&key, &missing] {
        let write = driver.write(key, "new".into(), options.clone()).await;
        refused("a write", write)?;
        let removal = driver.remove(key, RemoveOptions::default()).await;
        refused("a removal", removal)?;
    }
    let keys = [key.clone(), missing.clone()];
    let writes = keys
        .clone()
        .map(|key| Write::new(key, "new").with_options(options.clone()));
    let outcomes = driver.write_many(writes.into()).await;
    same("the number of results", outcomes.len(), keys.len())?;
    for outcome in outcomes {
        refused("a write of a batch", outcome)?;
    }
    refused("a batch of removals", driver.remove_many(&keys).await)?;
    refused("a clear", driver.clear(&Prefix::root()).await)?;
    same("the missing key", context.read(&missing).await?, None)?;
    let left = context.read_present(&key).await?;
    same("the value", left.value, "value".into())
}

async fn touching_is_refused_where_it_does_not_work(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let end = Expiry::after(Duration::from_secs(3_600));
    refused(
        "a touch",
        context.driver.touch(&key, TouchOptions::to(end)).await,
    )
}

async fn listing_is_refused_where_it_does_not_work(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    refused(
        "a listing",
        context.driver.list(ListOptions::default()).await,
    )?;
    refused("a clear", context.driver.clear(&Prefix::root()).await)?;
    context.read_present(&key).await?;
    Ok(())
}

async fn watching_is_refused_where_it_does_not_work(context: Context) -> CaseResult {
    refused(
        "a watch",
        context.driver.watch(&Prefix::root()).await.map(drop),
    )
}

async fn values_longer_than_the_limit_are_refused(context: Context) -> CaseResult {
    let limit = context.capabilities.max_value_size.unwrap_or_default();
    let key = context.key("k")?;
    let longest = Bytes::from(vec![b'v'; limit]);
    context.write(&key, longest.clone()).await?;
    let too_long = Bytes::from(vec![b'w'; limit + 1]);
    match context
        .driver
        .write(&key, too_long, WriteOptions::default())
        .await
    {
        Ok(outcome) => {
            return Err(Failure::new(
                "an error of kind TooLarge",
                format!("{outcome:?}"),
            ));
        }
        Err(error) => {
            same("the kind of the error", error.kind(), ErrorKind::TooLarge)?;
            same("its outcome", error.outcome(), Outcome::NotApplied)?;
        }
    }
    check(
        context.read_present(&key).await?.value == longest,
        "the old value",
        "another",
    )
}

async fn errors_tell_no_secret(context: Context) -> CaseResult {
    const SECRET: &str = "dc7c2f5a-secret";
    let driver = match context.subject.outage {
        Some(_) => context.outage()?,
        None => {
            context.subject.driver.close().await?;
            context.driver.clone()
        }
    };
    let key = context.key(SECRET)?;
    let mut errors = Vec::new();
    errors.extend(driver.read(&key).await.err());
    errors.extend(
        driver
            .write(&key, SECRET.into(), WriteOptions::default())
            .await
            .err(),
    );
    errors.extend(driver.remove(&key, RemoveOptions::default()).await.err());
    errors.extend(driver.exists(&key).await.err());
    errors.extend(driver.read_many(std::slice::from_ref(&key)).await.err());
    for error in errors {
        let told = format!("{error} {error:?}");
        check(
            !told.contains(SECRET),
            "an error without key or value",
            "one that shows it",
        )?;
    }
    Ok(())
}
