//! Dropping the future of an operation leaves the store consistent.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use session_core::{Expiry, RemoveOptions, TouchOptions, Write, WriteOptions};

use super::cases;
use crate::case::Need;
use crate::context::{Context, written};
use crate::failure::{CaseResult, Failure, check};

cases! {
    a_dropped_write_leaves_the_old_or_the_new_value [Need::Writes]: "a dropped write leaves the old or the new value, never a mix";
    a_dropped_conditional_write_leaves_the_old_or_the_new_value [Need::Conditions]: "a dropped conditional write leaves the old or the new value, with the matching version";
    a_dropped_removal_leaves_a_whole_entry_or_none [Need::Writes]: "a dropped removal leaves the whole entry or none";
    a_dropped_batch_leaves_whole_values [Need::Writes]: "each write of a dropped batch leaves the old or the new value";
    a_driver_works_after_dropped_operations [Need::Writes]: "dropped operations block no later ones";
}

const ROUNDS: usize = 40;

/// Polls `future` up to `polls` times and then drops it. It pauses between polls, so that the backend can proceed.
async fn dropped_after<F: Future>(polls: usize, future: F) {
    let mut future = pin!(future);
    for poll in 0..polls {
        let finished =
            poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if finished {
            return;
        }
        if poll % 3 == 2 {
            tokio::time::sleep(Duration::from_micros(200)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Returns a long value that repeats one byte, so that a mix of two values is detected.
fn value(number: usize) -> Bytes {
    let length = 20_000 + number * 137;
    Bytes::from(vec![
        b'a' + u8::try_from(number % 26).unwrap_or_default();
        length
    ])
}

fn number_of(value: &Bytes) -> Option<usize> {
    let number = value.len().checked_sub(20_000)? / 137;
    (*value == self::value(number)).then_some(number)
}

async fn is_whole(
    context: &Context,
    key: &session_core::Key,
    newest: usize,
) -> Result<usize, Failure> {
    let read = context.read_present(key).await?.value;
    number_of(&read)
        .filter(|number| *number <= newest)
        .ok_or_else(|| {
            Failure::new(
                "one of the written values",
                format!("another value of {} bytes", read.len()),
            )
        })
}

async fn a_dropped_write_leaves_the_old_or_the_new_value(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, value(0)).await?;
    for round in 1..=ROUNDS {
        let write = context
            .driver
            .write(&key, value(round), WriteOptions::default());
        dropped_after(round % 9, write).await;
        is_whole(&context, &key, round).await?;
    }
    Ok(())
}

async fn a_dropped_conditional_write_leaves_the_old_or_the_new_value(
    context: Context,
) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, value(0)).await?;
    for round in 1..=ROUNDS {
        let entry = context.read_present(&key).await?;
        let Some(version) = entry.version else {
            return Err(crate::context::no_version());
        };
        let write = context.driver.write(
            &key,
            value(round),
            WriteOptions::if_version(version.clone()),
        );
        dropped_after(round % 9, write).await;
        is_whole(&context, &key, round).await?;
        let after = context.read_present(&key).await?;
        check(
            (after.version == Some(version)) == (after.value == entry.value),
            "the version to change with the value",
            "one changed without the other",
        )?;
    }
    Ok(())
}

async fn a_dropped_removal_leaves_a_whole_entry_or_none(context: Context) -> CaseResult {
    for round in 0..ROUNDS {
        // Each round has its own key, since the removal may still be applied later.
        let key = context.key(&format!("k{round}"))?;
        context.write(&key, value(round)).await?;
        dropped_after(
            round % 9,
            context.driver.remove(&key, RemoveOptions::default()),
        )
        .await;
        if context
            .read(&key)
            .await?
            .is_some_and(|entry| entry.value != value(round))
        {
            return Err(Failure::new("the whole entry or none", "another value"));
        }
    }
    Ok(())
}

async fn a_dropped_batch_leaves_whole_values(context: Context) -> CaseResult {
    let mut keys = Vec::new();
    for number in 0..8 {
        let key = context.key(&format!("k{number}"))?;
        context.write(&key, value(0)).await?;
        keys.push(key);
    }
    for round in 1..=ROUNDS {
        let write = |key: &session_core::Key| Write::new(key.clone(), value(round));
        let batch = context.driver.write_many(keys.iter().map(write).collect());
        dropped_after(round % 17, batch).await;
        for key in &keys {
            is_whole(&context, key, round).await?;
        }
    }
    Ok(())
}

async fn a_driver_works_after_dropped_operations(context: Context) -> CaseResult {
    let key = context.key("k")?;
    for round in 0..ROUNDS {
        let driver = &context.driver;
        dropped_after(
            round % 5,
            driver.write(&key, value(round), WriteOptions::default()),
        )
        .await;
        dropped_after(round % 5, driver.read(&key)).await;
        dropped_after(round % 5, driver.exists(&key)).await;
        if context.capabilities.touch {
            dropped_after(
                round % 5,
                driver.touch(&key, TouchOptions::to(Expiry::Never)),
            )
            .await;
        }
    }
    let other = context.key("other")?;
    let outcome = context
        .driver
        .write(&other, "value".into(), WriteOptions::default())
        .await?;
    written(outcome)?;
    context.read_present(&other).await?;
    Ok(())
}
