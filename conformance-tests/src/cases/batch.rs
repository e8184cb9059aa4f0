//! Batches: order, duplicates, and options of each operation.

use bytes::Bytes;
use session_core::{Expiry, Key, Result, Write, WriteOptions, WriteOutcome};

use super::cases;
use crate::case::Need;
use crate::context::{Context, written};
use crate::failure::{CaseResult, same};

cases! {
    a_batch_of_reads_keeps_order_and_duplicates: "a batch of reads returns one result for each key, in order";
    a_batch_of_writes_writes_all [Need::Writes]: "a batch of writes returns one result for each write, in order";
    the_last_write_to_a_key_in_a_batch_wins [Need::Writes]: "if a batch writes a key twice, the last write wins";
    each_write_of_a_batch_has_its_own_expiry [Need::Writes, Need::ShortLives]: "each write of a batch has its own expiry";
    each_write_of_a_batch_has_its_own_condition [Need::Conditions]: "each write of a batch has its own condition and result";
    a_batch_of_removals_removes_only_its_keys [Need::Writes]: "a batch of removals removes its keys, missing ones and duplicates included";
    empty_batches_succeed [Need::Writes]: "an empty batch succeeds";
    large_batches_work [Need::Writes]: "a batch may exceed the limit of the backend";
}

fn plain(key: &Key, value: impl Into<Bytes>) -> Write {
    Write::new(key.clone(), value)
}

fn all_written(results: Vec<Result<WriteOutcome>>, count: usize) -> CaseResult {
    same("the number of results", results.len(), count)?;
    for result in results {
        written(result?)?;
    }
    Ok(())
}

async fn a_batch_of_reads_keeps_order_and_duplicates(context: Context) -> CaseResult {
    let names = ["zebra", "apple", "mango"];
    for name in names {
        context.write(&context.key(name)?, name).await?;
    }
    let requested = [
        "mango", "zebra", "missing", "mango", "apple", "zebra", "zebra",
    ];
    let keys = requested
        .iter()
        .map(|name| Key::new(name))
        .collect::<Result<Vec<_>>>()?;
    let read = context.driver.read_many(&keys).await?;
    let got: Vec<Option<Bytes>> = read.into_iter().map(|entry| Some(entry?.value)).collect();
    let expected = requested.map(|name| names.contains(&name).then(|| Bytes::from(name)));
    same("the batch", got, expected.to_vec())
}

async fn a_batch_of_writes_writes_all(context: Context) -> CaseResult {
    let keys = [context.key("z")?, context.key("a")?, context.key("m")?];
    let writes = keys
        .iter()
        .map(|key| plain(key, key.as_str().to_owned()))
        .collect();
    all_written(context.driver.write_many(writes).await, keys.len())?;
    for key in keys {
        let value = context.read_present(&key).await?.value;
        same("the value", value, Bytes::from(key.as_str().to_owned()))?;
    }
    Ok(())
}

async fn the_last_write_to_a_key_in_a_batch_wins(context: Context) -> CaseResult {
    let (key, other) = (context.key("k")?, context.key("other")?);
    let writes = vec![
        plain(&key, "first"),
        plain(&other, "other"),
        plain(&key, "last"),
    ];
    all_written(context.driver.write_many(writes).await, 3)?;
    same(
        "the value",
        context.read_present(&key).await?.value,
        "last".into(),
    )
}

async fn each_write_of_a_batch_has_its_own_expiry(context: Context) -> CaseResult {
    let (expires, stays) = (context.key("expires")?, context.key("stays")?);
    let expires_at = context.soon();
    let writes =
        [(&expires, Expiry::At(expires_at)), (&stays, Expiry::Never)].map(|(key, expiry)| {
            plain(key, "value").with_options(WriteOptions::default().with_expiry(expiry))
        });
    all_written(context.driver.write_many(writes.to_vec()).await, 2)?;
    context.poll_until_gone(&expires, expires_at).await?;
    context.read_present(&stays).await?;
    Ok(())
}

async fn each_write_of_a_batch_has_its_own_condition(context: Context) -> CaseResult {
    let (taken, free, changed) = (
        context.key("taken")?,
        context.key("free")?,
        context.key("changed")?,
    );
    context.write(&taken, "taken").await?;
    let version = context.write_versioned(&changed, "old").await?;
    let writes = vec![
        plain(&taken, "new").with_options(WriteOptions::if_absent()),
        plain(&free, "new").with_options(WriteOptions::if_absent()),
        plain(&changed, "new").with_options(WriteOptions::if_version(version)),
    ];
    let results = context.driver.write_many(writes).await;
    let mut applied = Vec::new();
    for result in results {
        applied.push(matches!(result?, WriteOutcome::Written { .. }));
    }
    same(
        "which writes were applied",
        applied,
        vec![false, true, true],
    )?;
    for (key, value) in [(taken, "taken"), (free, "new"), (changed, "new")] {
        same(
            "the value",
            context.read_present(&key).await?.value,
            value.into(),
        )?;
    }
    Ok(())
}

async fn a_batch_of_removals_removes_only_its_keys(context: Context) -> CaseResult {
    let keys = [
        context.key("a")?,
        context.key("b")?,
        context.key("missing")?,
        context.key("a")?,
    ];
    let kept = context.key("kept")?;
    for key in [&keys[0], &keys[1], &kept] {
        context.write(key, "value").await?;
    }
    context.driver.remove_many(&keys).await?;
    for key in &keys {
        same("the read", context.read(key).await?, None)?;
    }
    context.read_present(&kept).await?;
    Ok(())
}

async fn empty_batches_succeed(context: Context) -> CaseResult {
    same(
        "the reads",
        context.driver.read_many(&[]).await?,
        Vec::new(),
    )?;
    all_written(context.driver.write_many(Vec::new()).await, 0)?;
    Ok(context.driver.remove_many(&[]).await?)
}

async fn large_batches_work(context: Context) -> CaseResult {
    const COUNT: usize = 1_100;
    let mut keys = Vec::with_capacity(COUNT);
    for number in 0..COUNT {
        keys.push(context.key(&format!("k{number}"))?);
    }
    let writes = keys
        .iter()
        .map(|key| plain(key, key.as_str().to_owned()))
        .collect();
    all_written(context.driver.write_many(writes).await, COUNT)?;
    let read = context.driver.read_many(&keys).await?;
    for (key, entry) in keys.iter().zip(&read) {
        let value = entry.as_ref().map(|entry| entry.value.clone());
        same(
            "the value",
            value,
            Some(Bytes::from(key.as_str().to_owned())),
        )?;
    }
    context.driver.remove_many(&keys).await?;
    let read = context.driver.read_many(&keys).await?;
    same("the number of results", read.len(), COUNT)?;
    let left = read.iter().flatten().count();
    same("the number of entries after the removal", left, 0)
}
