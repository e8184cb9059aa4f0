//! Two different changes of one key at the same time.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::future::join_all;
use session_core::{
    Driver, Error, Expiry, Key, RemoveOptions, RemoveOutcome, TouchOptions, Version, Write,
    WriteOptions, WriteOutcome,
};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    a_write_on_a_version_does_not_survive_a_removal [Need::Conditions, Need::Strong]: "what is removed stays removed: a conditional write beside a removal comes before it or is a conflict";
    a_batch_on_a_version_does_not_survive_a_removal [Need::Conditions, Need::Strong]: "a conditional write of a batch is atomic, also beside a removal";
    a_write_on_a_version_does_not_survive_a_batch_of_removals [Need::Conditions, Need::Strong]: "a batch of removals is as good as its removals";
    of_a_write_and_a_removal_of_one_version_one_succeeds [Need::Conditions, Need::Strong]: "of a conditional write and a conditional removal of one version, exactly one succeeds";
    of_many_batches_on_one_version_one_succeeds [Need::Conditions, Need::Strong]: "of many conditional writes of one version in batches, exactly one succeeds";
    of_many_batches_if_absent_one_succeeds [Need::Conditions, Need::Strong]: "of many `IfAbsent` writes of one key in batches, exactly one succeeds";
    a_touch_beside_a_write_loses_no_write [Need::Touch, Need::Writes, Need::Strong]: "a touch does not write the value: a write at the same time is kept";
    a_touch_beside_a_removal_brings_nothing_back [Need::Touch, Need::Writes, Need::Strong]: "a touch does not bring back what is removed at the same time";
    two_hundred_tasks_finish [Need::Writes]: "many callers at once wait for each other, but not for ever";
}

const ROUNDS: usize = 48;

type Racing<T> = BoxFuture<'static, Result<T, Error>>;

/// Runs both at the same time: within one task in either order, or in two tasks.
async fn race<A: Send + 'static, B: Send + 'static>(
    round: usize,
    one: Racing<A>,
    other: Racing<B>,
) -> Result<(A, B), Failure> {
    let (one, other) = match round % 4 {
        0 => futures_util::future::join(one, other).await,
        1 => {
            let (other, one) = futures_util::future::join(other, one).await;
            (one, other)
        }
        _ => {
            let (one, other) = (tokio::spawn(one), tokio::spawn(other));
            (one.await.map_err(panicked)?, other.await.map_err(panicked)?)
        }
    };
    Ok((one?, other?))
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    Failure::new("no panic", error.to_string())
}

/// The drivers that race: two if they share a backend.
async fn racers(context: &Context) -> [Arc<dyn Driver>; 2] {
    let other = match context.subject.shared_backend {
        true => context.another_driver().await,
        false => Arc::clone(&context.driver),
    };
    [Arc::clone(&context.driver), other]
}

fn write(driver: &Arc<dyn Driver>, key: &Key, options: WriteOptions) -> Racing<WriteOutcome> {
    let (driver, key) = (Arc::clone(driver), key.clone());
    Box::pin(async move { driver.write(&key, "new".into(), options).await })
}

/// The write in a batch beside another one.
fn write_in_batch(
    driver: &Arc<dyn Driver>,
    key: &Key,
    options: WriteOptions,
) -> Racing<WriteOutcome> {
    let (driver, key) = (Arc::clone(driver), key.clone());
    Box::pin(async move {
        let write = Write::new(key, "new").with_options(options);
        match driver.write_many(vec![write]).await.pop() {
            Some(outcome) => outcome,
            None => Err(Error::new(
                session_core::ErrorKind::Backend,
                "the batch has no outcome",
            )),
        }
    })
}

fn remove(driver: &Arc<dyn Driver>, key: &Key, options: RemoveOptions) -> Racing<RemoveOutcome> {
    let (driver, key) = (Arc::clone(driver), key.clone());
    Box::pin(async move { driver.remove(&key, options).await })
}

fn remove_in_batch(driver: &Arc<dyn Driver>, key: &Key) -> Racing<()> {
    let (driver, key) = (Arc::clone(driver), key.clone());
    Box::pin(async move { driver.remove_many(&[key]).await })
}

fn touch(driver: &Arc<dyn Driver>, key: &Key, version: Option<Version>) -> Racing<bool> {
    let (driver, key) = (Arc::clone(driver), key.clone());
    let expiry = Expiry::after(Duration::from_secs(3_600));
    let options = TouchOptions::to(expiry).with_version(version);
    Box::pin(async move { driver.touch(&key, options).await })
}

/// Races two changes of an entry that is there. Afterwards it must be gone.
async fn leaves_nothing<A, B>(
    context: &Context,
    what: &str,
    one: impl Fn(&Arc<dyn Driver>, &Key, Version) -> Racing<A>,
    other: impl Fn(&Arc<dyn Driver>, &Key) -> Racing<B>,
) -> CaseResult
where
    A: std::fmt::Debug + Send + 'static,
    B: Send + 'static,
{
    let drivers = racers(context).await;
    for round in 0..ROUNDS {
        let key = context.key(&format!("k{round}"))?;
        let version = context.write(&key, "old").await?;
        let version = version.unwrap_or_else(|| Version::from_u64(0));
        let racing = race(
            round,
            one(&drivers[0], &key, version),
            other(&drivers[1], &key),
        );
        let (answer, _removed) = racing.await?;
        let read = context.read(&key).await?;
        check(
            read.is_none(),
            format!("no entry after a removal beside {what}"),
            format!("{read:?}, and {answer:?} of {what}"),
        )?;
    }
    Ok(())
}

async fn a_write_on_a_version_does_not_survive_a_removal(context: Context) -> CaseResult {
    let on = |driver: &Arc<dyn Driver>, key: &Key, version| {
        write(driver, key, WriteOptions::if_version(version))
    };
    let removal =
        |driver: &Arc<dyn Driver>, key: &Key| remove(driver, key, RemoveOptions::default());
    leaves_nothing(&context, "a conditional write", on, removal).await
}

async fn a_batch_on_a_version_does_not_survive_a_removal(context: Context) -> CaseResult {
    let on = |driver: &Arc<dyn Driver>, key: &Key, version| {
        write_in_batch(driver, key, WriteOptions::if_version(version))
    };
    let removal =
        |driver: &Arc<dyn Driver>, key: &Key| remove(driver, key, RemoveOptions::default());
    leaves_nothing(&context, "a batch", on, removal).await
}

async fn a_write_on_a_version_does_not_survive_a_batch_of_removals(context: Context) -> CaseResult {
    let on = |driver: &Arc<dyn Driver>, key: &Key, version| {
        write(driver, key, WriteOptions::if_version(version))
    };
    leaves_nothing(&context, "a conditional write", on, remove_in_batch).await
}

async fn a_touch_beside_a_removal_brings_nothing_back(context: Context) -> CaseResult {
    let with = context.capabilities.conditions != session_core::Conditions::None;
    let touch = |driver: &Arc<dyn Driver>, key: &Key, version| {
        // Half of the touches are conditional, where the driver has conditions.
        let version = (with && key.as_bytes().ends_with(b"1")).then_some(version);
        touch(driver, key, version)
    };
    let removal =
        |driver: &Arc<dyn Driver>, key: &Key| remove(driver, key, RemoveOptions::default());
    leaves_nothing(&context, "a touch", touch, removal).await
}

async fn of_a_write_and_a_removal_of_one_version_one_succeeds(context: Context) -> CaseResult {
    let drivers = racers(&context).await;
    for round in 0..ROUNDS {
        let key = context.key(&format!("k{round}"))?;
        let version = context.write_versioned(&key, "old").await?;
        let options = WriteOptions::if_version(version.clone());
        let writing = match round % 8 < 4 {
            true => write(&drivers[0], &key, options),
            false => write_in_batch(&drivers[0], &key, options),
        };
        let removing = remove(&drivers[1], &key, RemoveOptions::if_version(version));
        let (written, removed) = race(round, writing, removing).await?;
        let written = matches!(written, WriteOutcome::Written { .. });
        let removed = removed == RemoveOutcome::Removed;
        check(
            written != removed,
            "either the write or the removal to succeed",
            format!("the write: {written}, the removal: {removed}"),
        )?;
        let read = context.read(&key).await?;
        same("whether there is an entry", read.is_some(), written)?;
    }
    Ok(())
}

/// Races batches that may not both succeed.
async fn one_batch_succeeds(context: &Context, is_there: bool) -> CaseResult {
    let drivers = racers(context).await;
    for round in 0..8 {
        let key = context.key(&format!("k{round}"))?;
        let options = match is_there {
            true => WriteOptions::if_version(context.write_versioned(&key, "old").await?),
            false => WriteOptions::if_absent(),
        };
        let batches = drivers.iter().cycle().take(16);
        let batches =
            batches.map(|driver| tokio::spawn(write_in_batch(driver, &key, options.clone())));
        let mut written = 0;
        for outcome in join_all(batches.collect::<Vec<_>>()).await {
            let outcome = outcome.map_err(panicked)??;
            written += usize::from(matches!(outcome, WriteOutcome::Written { .. }));
        }
        same("the number of successful writes", written, 1)?;
    }
    Ok(())
}

async fn of_many_batches_on_one_version_one_succeeds(context: Context) -> CaseResult {
    one_batch_succeeds(&context, true).await
}

async fn of_many_batches_if_absent_one_succeeds(context: Context) -> CaseResult {
    one_batch_succeeds(&context, false).await
}

async fn a_touch_beside_a_write_loses_no_write(context: Context) -> CaseResult {
    let drivers = racers(&context).await;
    for round in 0..ROUNDS {
        let key = context.key(&format!("k{round}"))?;
        context.write(&key, "old").await?;
        let writing = match round % 8 < 4 {
            true => write(&drivers[0], &key, WriteOptions::default()),
            false => write_in_batch(&drivers[0], &key, WriteOptions::default()),
        };
        let (_written, touched) = race(round, writing, touch(&drivers[1], &key, None)).await?;
        let value = context.read_present(&key).await?.value;
        same(
            "the value after a write beside a touch",
            value,
            "new".into(),
        )?;
        same(
            "the touch of an entry that is there throughout",
            touched,
            true,
        )?;
    }
    Ok(())
}

async fn two_hundred_tasks_finish(context: Context) -> CaseResult {
    let tasks = (0..200_u32).map(|number| {
        let context = context.clone();
        tokio::spawn(async move {
            let own = context.key(&format!("own{number}"))?;
            let shared = context.key("shared")?;
            let driver = &context.driver;
            context.write(&own, number.to_string()).await?;
            let _last = driver
                .write_many(vec![
                    Write::new(own.clone(), "again"),
                    Write::new(shared.clone(), number.to_string()),
                ])
                .await;
            driver.read_many(&[own.clone(), shared.clone()]).await?;
            context.read_present(&own).await?;
            driver.remove_many(std::slice::from_ref(&own)).await?;
            same("the read", context.read(&own).await?, None)
        })
    });
    let tasks = join_all(tasks.collect::<Vec<_>>());
    let limit = Duration::from_secs(60) + context.round_trip * 2_000;
    let done = tokio::time::timeout(limit, tasks).await;
    let done = done.map_err(|_| {
        Failure::new(
            format!("200 tasks to finish within {limit:?}"),
            "they wait for each other",
        )
    })?;
    for result in done {
        result.map_err(panicked)??;
    }
    Ok(())
}
