//! Watching a prefix for changes.

use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use session_core::{
    Change, ChangeKind, Conditions, Expiry, Key, Listing, Prefix, RemoveOptions, Result, Write,
    WriteOptions,
};

use super::cases;
use crate::case::Need;
use crate::context::{Context, no_version, written};
use crate::failure::{CaseResult, Failure, describe, same};

cases! {
    a_watcher_sees_writes_and_removals [Need::Watch]: "a watcher sees each change below its prefix";
    a_watcher_sees_only_its_prefix [Need::Watch]: "a watcher sees no change outside its prefix";
    a_watcher_sees_the_changes_of_every_method [Need::Watch]: "a watcher sees each change, by whatever method it is made";
    a_watcher_sees_an_entry_expire [Need::Writes, Need::Watch, Need::ShortLives]: "a watcher sees that an entry expires";
    a_watcher_sees_the_changes_of_another_driver [Need::Writes, Need::Watch, Need::SharedBackend]: "a watcher sees the changes of every writer";
    each_watcher_sees_each_change [Need::Watch]: "one watcher takes no changes away from another";
}

/// Runs a case again if the driver says that it lost track, which it may under load.
async fn again_if_lost<F, Running>(context: Context, case: F) -> CaseResult
where
    F: Fn(Context) -> Running,
    Running: Future<Output = CaseResult>,
{
    let mut attempts = 0;
    loop {
        attempts += 1;
        match case(context.clone()).await {
            Err(failure) if failure.expected == LOST && attempts < 8 => {
                context.clean_up().await?;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            result => return result,
        }
    }
}

/// What a watcher is expected to do that says that it lost track.
const LOST: &str = "the watcher to keep up";

/// The change of a stream, or that the stream lost track.
fn change(change: Result<Change>) -> std::result::Result<Change, Failure> {
    change.map_err(|error| match error.is_transient() {
        true => Failure::new(LOST, describe(&error)),
        false => error.into(),
    })
}

async fn a_watcher_sees_writes_and_removals(context: Context) -> CaseResult {
    again_if_lost(context, writes_and_removals).await
}

async fn a_watcher_sees_only_its_prefix(context: Context) -> CaseResult {
    again_if_lost(context, only_its_prefix).await
}

async fn a_watcher_sees_the_changes_of_every_method(context: Context) -> CaseResult {
    again_if_lost(context, every_method).await
}

async fn a_watcher_sees_an_entry_expire(context: Context) -> CaseResult {
    again_if_lost(context, expiry).await
}

async fn a_watcher_sees_the_changes_of_another_driver(context: Context) -> CaseResult {
    again_if_lost(context, another_driver).await
}

async fn each_watcher_sees_each_change(context: Context) -> CaseResult {
    again_if_lost(context, each_watcher).await
}

async fn next(
    changes: &mut BoxStream<'static, Result<Change>>,
) -> std::result::Result<Change, Failure> {
    let expected = "a change";
    match tokio::time::timeout(Duration::from_secs(10), changes.next()).await {
        Ok(Some(next)) => change(next),
        Ok(None) => Err(Failure::new(expected, "the end of the stream")),
        Err(_) => Err(Failure::new(expected, "nothing for 10 s")),
    }
}

async fn writes_and_removals(context: Context) -> CaseResult {
    let mut changes = context.driver.watch(&Prefix::root()).await?;
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    same(
        "the change",
        next(&mut changes).await?,
        Change::new(key.clone(), ChangeKind::Written),
    )?;
    let _unconditional = context
        .writer
        .remove(&key, RemoveOptions::default())
        .await?;
    same(
        "the change",
        next(&mut changes).await?,
        Change::new(key, ChangeKind::Removed),
    )
}

async fn only_its_prefix(context: Context) -> CaseResult {
    let mut changes = context.driver.watch(&Prefix::new("app")?).await?;
    for name in ["app2:a", "b", "application"] {
        context.write(&context.key(name)?, "value").await?;
    }
    let key = context.key("app:a")?;
    context.write(&key, "value").await?;
    same(
        "the first change",
        next(&mut changes).await?,
        Change::new(key, ChangeKind::Written),
    )
}

/// Waits for a change of `key`. Others may come before: a change may be told more than once.
async fn sees(
    changes: &mut BoxStream<'static, Result<Change>>,
    key: &Key,
    kind: ChangeKind,
    after: &str,
) -> CaseResult {
    sees_all(changes, std::slice::from_ref(key), kind, after).await
}

/// Waits for a change of each of `keys`, in any order.
async fn sees_all(
    changes: &mut BoxStream<'static, Result<Change>>,
    keys: &[Key],
    kind: ChangeKind,
    after: &str,
) -> CaseResult {
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    let expected = format!("the change {kind:?} after {after}");
    let mut missing: Vec<&Key> = keys.iter().collect();
    let mut others = 0;
    while !missing.is_empty() {
        match tokio::time::timeout_at(limit, changes.next()).await {
            Ok(Some(next)) => {
                let Change {
                    key, kind: seen, ..
                } = change(next)?;
                let before = missing.len();
                missing.retain(|missing| seen != kind || **missing != key);
                others += usize::from(missing.len() == before);
            }
            Ok(None) => return Err(Failure::new(expected, "the end of the stream")),
            Err(_) => {
                let got = format!("{others} other changes in 20 s");
                return Err(Failure::new(expected, got));
            }
        }
    }
    Ok(())
}

async fn every_method(context: Context) -> CaseResult {
    use ChangeKind::{Removed, Written};
    let mut changes = context.driver.watch(&Prefix::root()).await?;
    let writer = &context.writer;
    let capabilities = writer.capabilities();
    let keys = [context.key("a:one")?, context.key("a:two")?];
    let writes = keys.each_ref().map(|key| Write::new(key.clone(), "batch"));
    for outcome in writer.write_many(writes.into()).await {
        written(outcome?)?;
    }
    sees_all(&mut changes, &keys, Written, "a batch of writes").await?;
    writer.remove_many(&keys).await?;
    sees_all(&mut changes, &keys, Removed, "a batch of removals").await?;
    if capabilities.conditions != Conditions::None {
        let [key, _] = &keys;
        let outcome = writer.write(key, "absent".into(), WriteOptions::if_absent());
        let version = written(outcome.await?)?.ok_or_else(no_version)?;
        sees(&mut changes, key, Written, "a write if absent").await?;
        let outcome = writer.write(key, "again".into(), WriteOptions::if_version(version));
        let version = written(outcome.await?)?.ok_or_else(no_version)?;
        sees(&mut changes, key, Written, "a conditional write").await?;
        let removal = writer.remove(key, RemoveOptions::if_version(version));
        let _removed = removal.await?;
        sees(&mut changes, key, Removed, "a conditional removal").await?;
    }
    if capabilities.listing != Listing::None {
        for key in &keys {
            context.write(key, "value").await?;
            sees(&mut changes, key, Written, "a write").await?;
        }
        writer.clear(&Prefix::new("a")?).await?;
        sees_all(&mut changes, &keys, Removed, "a clear").await?;
    }
    Ok(())
}

async fn expiry(context: Context) -> CaseResult {
    let mut changes = context.driver.watch(&Prefix::root()).await?;
    let key = context.key("k")?;
    context
        .write_until(&key, "value", Expiry::At(context.soon()))
        .await?;
    sees(&mut changes, &key, ChangeKind::Written, "a write").await?;
    sees(&mut changes, &key, ChangeKind::Removed, "the expiry").await
}

async fn another_driver(context: Context) -> CaseResult {
    let mut changes = context.driver.watch(&Prefix::root()).await?;
    let other = context.another_driver().await;
    let key = context.key("k")?;
    let outcome = other.write(&key, "value".into(), WriteOptions::default());
    written(outcome.await?)?;
    let what = "a write by another driver";
    sees(&mut changes, &key, ChangeKind::Written, what).await?;
    let _removed = other.remove(&key, RemoveOptions::default()).await?;
    let what = "a removal by another driver";
    sees(&mut changes, &key, ChangeKind::Removed, what).await
}

async fn each_watcher(context: Context) -> CaseResult {
    let mut first = context.driver.watch(&Prefix::root()).await?;
    let mut second = context.driver.watch(&Prefix::new("a")?).await?;
    let dropped = context.driver.watch(&Prefix::root()).await?;
    drop(dropped);
    for number in 0..5 {
        let key = context.key(&format!("a:k{number}"))?;
        context.write(&key, "value").await?;
        sees(&mut first, &key, ChangeKind::Written, "a write").await?;
        sees(&mut second, &key, ChangeKind::Written, "a write").await?;
    }
    Ok(())
}
