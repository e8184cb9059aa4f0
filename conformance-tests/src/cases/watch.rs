//! Watching a prefix for changes.

use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use session_core::{Change, ChangeKind, Prefix, RemoveOptions, Result};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, same};

cases! {
    a_watcher_sees_writes_and_removals [Need::Watch]: "a watcher sees each change below its prefix";
    a_watcher_sees_only_its_prefix [Need::Watch]: "a watcher sees no change outside its prefix";
}

async fn next(
    changes: &mut BoxStream<'static, Result<Change>>,
) -> std::result::Result<Change, Failure> {
    let expected = "a change";
    match tokio::time::timeout(Duration::from_secs(10), changes.next()).await {
        Ok(Some(change)) => Ok(change?),
        Ok(None) => Err(Failure::new(expected, "the end of the stream")),
        Err(_) => Err(Failure::new(expected, "nothing for 10 s")),
    }
}

async fn a_watcher_sees_writes_and_removals(context: Context) -> CaseResult {
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

async fn a_watcher_sees_only_its_prefix(context: Context) -> CaseResult {
    let mut changes = context.driver.watch(&Prefix::new("app")).await?;
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
