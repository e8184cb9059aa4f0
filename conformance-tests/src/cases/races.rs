//! Concurrent operations on one key.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::try_join_all;
use session_core::{Driver, Key, RemoveOptions, RemoveOutcome, WriteOptions, WriteOutcome};

use super::cases;
use crate::case::Need;
use crate::context::{Context, no_version};
use crate::failure::{CaseResult, Failure, same};

cases! {
    sixty_four_tasks_lose_no_increment [Need::Conditions, Need::Strong]: "a conditional write is atomic";
    two_drivers_lose_no_increment [Need::Conditions, Need::Strong, Need::SharedBackend]: "a conditional write is atomic across drivers";
    one_of_many_concurrent_if_absent_writes_succeeds [Need::Conditions]: "of many concurrent `IfAbsent` writes, exactly one succeeds";
    one_of_many_concurrent_conditional_removals_succeeds [Need::Conditions]: "of many concurrent removals of one version, exactly one succeeds";
    a_read_during_writes_returns_a_whole_value: "a read during writes returns one whole value, never a miss or a mix";
}

const TASKS: usize = 64;
const INCREMENTS: usize = 4;

/// The most attempts of one increment. Each failed attempt means that another task succeeded, so a fair race needs
/// fewer.
const MAX_ATTEMPTS: usize = TASKS * INCREMENTS * 20;

async fn increment(driver: &Arc<dyn Driver>, key: &Key) -> CaseResult {
    for _ in 0..MAX_ATTEMPTS {
        let entry = driver.read(key).await?;
        let entry = entry.ok_or_else(|| Failure::new("the counter", "a miss"))?;
        let text = String::from_utf8_lossy(&entry.value);
        let count: usize = text
            .parse()
            .map_err(|_| Failure::new("a number", text.clone()))?;
        let options = WriteOptions::if_version(entry.version.ok_or_else(no_version)?);
        let next = (count + 1).to_string().into();
        if let WriteOutcome::Written { .. } = driver.write(key, next, options).await? {
            return Ok(());
        }
    }
    Err(Failure::new(
        "one increment to succeed",
        format!("{MAX_ATTEMPTS} conflicts"),
    ))
}

async fn count_together(context: &Context, drivers: &[Arc<dyn Driver>]) -> CaseResult {
    let key = context.key("counter")?;
    context.write(&key, "0").await?;
    let tasks = (0..TASKS).zip(drivers.iter().cycle()).map(|(_, driver)| {
        let (driver, key) = (Arc::clone(driver), key.clone());
        tokio::spawn(async move {
            for _ in 0..INCREMENTS {
                increment(&driver, &key).await?;
            }
            Ok::<(), Failure>(())
        })
    });
    for result in try_join_all(tasks).await.map_err(panicked)? {
        result?;
    }
    let count = context.read_present(&key).await?.value;
    same(
        "the counter",
        count,
        (TASKS * INCREMENTS).to_string().into(),
    )
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    Failure::new("no panic", error.to_string())
}

async fn sixty_four_tasks_lose_no_increment(context: Context) -> CaseResult {
    count_together(&context, &[Arc::clone(&context.driver)]).await
}

async fn two_drivers_lose_no_increment(context: Context) -> CaseResult {
    let drivers = [Arc::clone(&context.driver), context.another_driver().await];
    count_together(&context, &drivers).await
}

async fn one_of_many_concurrent_if_absent_writes_succeeds(context: Context) -> CaseResult {
    for round in 0..8 {
        let key = context.key(&format!("k{round}"))?;
        let tasks = (0..32).map(|number: u32| {
            let (driver, key) = (Arc::clone(&context.driver), key.clone());
            tokio::spawn(async move {
                let options = WriteOptions::if_absent();
                let outcome = driver
                    .write(&key, number.to_string().into(), options)
                    .await?;
                let done = matches!(outcome, WriteOutcome::Written { .. });
                Ok::<_, Failure>(done.then_some(number))
            })
        });
        let mut winners = Vec::new();
        for result in try_join_all(tasks).await.map_err(panicked)? {
            winners.extend(result?);
        }
        same("the number of successful writes", winners.len(), 1)?;
        let winner = winners.first().map(ToString::to_string).unwrap_or_default();
        same(
            "the value",
            context.read_present(&key).await?.value,
            winner.into(),
        )?;
    }
    Ok(())
}

async fn one_of_many_concurrent_conditional_removals_succeeds(context: Context) -> CaseResult {
    for round in 0..8 {
        let key = context.key(&format!("k{round}"))?;
        let version = context.write_versioned(&key, "value").await?;
        let tasks = (0..32).map(|_| {
            let (driver, key) = (Arc::clone(&context.driver), key.clone());
            let options = RemoveOptions::if_version(version.clone());
            tokio::spawn(async move { driver.remove(&key, options).await })
        });
        let mut removals = 0;
        for result in try_join_all(tasks).await.map_err(panicked)? {
            removals += usize::from(result? == RemoveOutcome::Removed);
        }
        same("the number of successful removals", removals, 1)?;
    }
    Ok(())
}

/// Returns a long value that repeats one letter, so that a mix of two values is detected.
fn long_value(number: usize) -> Bytes {
    let letter = b'a' + u8::try_from(number % 26).unwrap_or_default();
    vec![letter; 60_000 + number % 26].into()
}

fn is_long_value(value: &Bytes) -> bool {
    let letter = value.first().and_then(|first| first.checked_sub(b'a'));
    letter.is_some_and(|letter| *value == long_value(usize::from(letter)))
}

async fn a_read_during_writes_returns_a_whole_value(context: Context) -> CaseResult {
    const WRITERS: usize = 4;
    const WRITES: usize = 60;
    let key = context.key("k")?;
    context.write(&key, long_value(0)).await?;
    let writing = Arc::new(AtomicUsize::new(WRITERS));
    let writers = (0..WRITERS).map(|writer| {
        let (context, key, writing) = (context.clone(), key.clone(), Arc::clone(&writing));
        tokio::spawn(async move {
            let mut result = Ok(());
            for number in 0..WRITES {
                let written = context.write(&key, long_value(writer * 7 + number)).await;
                result = result.and(written.map(drop));
            }
            writing.fetch_sub(1, Ordering::SeqCst);
            result
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut mixed = None;
    while writing.load(Ordering::SeqCst) > 0 {
        match context.read(&key).await?.map(|entry| entry.value) {
            Some(value) if is_long_value(&value) => {}
            Some(value) => mixed = Some(format!("another value of {} bytes", value.len())),
            None => mixed = Some("a miss".to_owned()),
        }
        tokio::task::yield_now().await;
    }
    for result in try_join_all(writers).await.map_err(panicked)? {
        result?;
    }
    match mixed {
        Some(mixed) => Err(Failure::new("one of the written values", mixed)),
        None => Ok(()),
    }
}
