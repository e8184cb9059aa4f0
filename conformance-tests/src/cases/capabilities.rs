//! Drivers reject what their capabilities exclude, and keep the limits that they declare.

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
    capabilities_do_not_change: "capabilities are constant";
    the_driver_has_a_name: "a driver has a name, for errors and logs";
    unsupported_conditions_are_rejected [Need::NoConditions]: "a driver without conditions rejects them and never fakes them";
    writes_to_a_read_only_driver_are_rejected [Need::NoWrites]: "a read-only driver rejects every change";
    unsupported_touch_is_rejected [Need::NoTouch]: "an operation that the capabilities exclude fails with kind Unsupported";
    unsupported_list_is_rejected [Need::NoListing]: "an operation that the capabilities exclude fails with kind Unsupported";
    unsupported_watch_is_rejected [Need::NoWatch]: "an operation that the capabilities exclude fails with kind Unsupported";
    unsupported_invalidations_are_rejected [Need::NoInvalidations]: "an operation that the capabilities exclude fails with kind Unsupported";
    values_over_the_size_limit_are_rejected [Need::Writes, Need::ValueLimit]: "a value over the declared size limit is an error, and the old value stays";
    errors_contain_no_key_or_value: "an error contains no key and no value";
}

async fn capabilities_do_not_change(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    same(
        "the capabilities",
        context.driver.capabilities(),
        context.capabilities,
    )
}

async fn the_driver_has_a_name(context: Context) -> CaseResult {
    check(
        !context.driver.name().is_empty(),
        "a name",
        "an empty string",
    )
}

fn is_unsupported<T>(what: &str, result: Result<T, Error>) -> CaseResult {
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

async fn unsupported_conditions_are_rejected(context: Context) -> CaseResult {
    let (key, missing) = (context.key("k")?, context.key("missing")?);
    let version = context.write(&key, "value").await?;
    let version = version.unwrap_or_else(|| Version::from_u64(1));
    let driver = &context.driver;
    let if_absent = WriteOptions::if_absent();
    is_unsupported(
        "IfAbsent",
        driver
            .write(&missing, "new".into(), if_absent.clone())
            .await,
    )?;
    is_unsupported(
        "IfAbsent",
        driver.write(&key, "new".into(), if_absent).await,
    )?;
    let if_version = WriteOptions::if_version(version.clone());
    is_unsupported(
        "IfVersion",
        driver.write(&key, "new".into(), if_version).await,
    )?;
    let removal = RemoveOptions::if_version(version.clone());
    is_unsupported("a removal on condition", driver.remove(&key, removal).await)?;
    let conditions = [
        WriteOptions::if_absent(),
        WriteOptions::if_version(version.clone()),
    ];
    let writes = conditions.map(|options| Write::new(key.clone(), "new").with_options(options));
    for outcome in driver.write_many(writes.into()).await {
        is_unsupported("a write of a batch on condition", outcome)?;
    }
    if context.capabilities.touch {
        let options = TouchOptions::default().if_version(version);
        is_unsupported("a touch on condition", driver.touch(&key, options).await)?;
    }
    same("the missing key", context.read(&missing).await?, None)?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "value".into(),
    )
}

async fn writes_to_a_read_only_driver_are_rejected(context: Context) -> CaseResult {
    let (key, missing) = (context.key("k")?, context.key("missing")?);
    context.write(&key, "value").await?;
    let driver = &context.driver;
    let options = WriteOptions::default();
    for key in [&key, &missing] {
        let write = driver.write(key, "new".into(), options.clone()).await;
        is_unsupported("a write", write)?;
        let removal = driver.remove(key, RemoveOptions::default()).await;
        is_unsupported("a removal", removal)?;
    }
    let keys = [key.clone(), missing.clone()];
    let writes = keys
        .clone()
        .map(|key| Write::new(key, "new").with_options(options.clone()));
    let outcomes = driver.write_many(writes.into()).await;
    same("the number of results", outcomes.len(), keys.len())?;
    for outcome in outcomes {
        is_unsupported("a write of a batch", outcome)?;
    }
    is_unsupported("a batch of removals", driver.remove_many(&keys).await)?;
    is_unsupported("a clear", driver.clear(&Prefix::root()).await)?;
    same("the missing key", context.read(&missing).await?, None)?;
    let left = context.read_present(&key).await?;
    same("the value", left.value, "value".into())
}

async fn unsupported_touch_is_rejected(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let expiry = Expiry::after(Duration::from_secs(3_600));
    is_unsupported(
        "a touch",
        context.driver.touch(&key, TouchOptions::to(expiry)).await,
    )
}

async fn unsupported_list_is_rejected(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    is_unsupported(
        "a listing",
        context.driver.list(ListOptions::default()).await,
    )?;
    is_unsupported("a clear", context.driver.clear(&Prefix::root()).await)?;
    context.read_present(&key).await?;
    Ok(())
}

async fn unsupported_watch_is_rejected(context: Context) -> CaseResult {
    is_unsupported(
        "a watch",
        context.driver.watch(&Prefix::root()).await.map(drop),
    )
}

async fn unsupported_invalidations_are_rejected(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let read = context.driver.read_tracked(&key).await;
    is_unsupported("a tracked read", read.map(drop))?;
    let sync = context.driver.sync_invalidations().await;
    is_unsupported("waiting for invalidations", sync)
}

async fn values_over_the_size_limit_are_rejected(context: Context) -> CaseResult {
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
    let too_long = Bytes::from(vec![b'w'; limit + 1]);
    for outcome in context
        .driver
        .write_many(vec![Write::new(key.clone(), too_long)])
        .await
    {
        match outcome {
            Ok(outcome) => {
                let expected = "an error of kind TooLarge in a batch";
                return Err(Failure::new(expected, format!("{outcome:?}")));
            }
            Err(error) => same("the kind in a batch", error.kind(), ErrorKind::TooLarge)?,
        }
    }
    check(
        context.read_present(&key).await?.value == longest,
        "the old value",
        "another",
    )
}

async fn errors_contain_no_key_or_value(context: Context) -> CaseResult {
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
        let message = format!("{error} {error:?}");
        check(
            !message.contains(SECRET),
            "an error without key or value",
            "one that shows it",
        )?;
    }
    Ok(())
}
