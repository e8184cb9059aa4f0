use bytes::Bytes;
use session_core::{Expiry, Key, Result, Write, WriteOptions, WriteOutcome};

use super::cases;
use crate::case::Need;
use crate::context::{Context, written};
use crate::failure::{CaseResult, same};

cases! {
    a_batch_of_reads_keeps_order_and_duplicates: "the results of a batch of reads stand in the order of its keys";
    a_batch_of_writes_writes_all [Need::Writes]: "the results of a batch of writes stand in its order, one each";
    of_two_writes_to_a_key_the_later_wins [Need::Writes]: "of two writes to one key in a batch the later one wins";
    each_write_of_a_batch_has_its_expiry [Need::Writes, Need::ShortLives]: "each write of a batch has an expiry of its own";
    each_write_of_a_batch_has_its_condition [Need::Conditions]: "each write of a batch has a condition and a result of its own";
    a_batch_of_removals_removes_all_and_no_more [Need::Writes]: "a batch of removals removes its keys, missing ones and duplicates included";
    batches_of_nothing_succeed [Need::Writes]: "an empty batch is no error";
    large_batches_work [Need::Writes]: "a batch may be longer than the backend's own limit";
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
    let asked = [
        "mango", "zebra", "missing", "mango", "apple", "zebra", "zebra",
    ];
    let keys = asked
        .iter()
        .map(|name| Key::new(name))
        .collect::<Result<Vec<_>>>()?;
    let read = context.driver.read_many(&keys).await?;
    let got: Vec<Option<Bytes>> = read.into_iter().map(|entry| Some(entry?.value)).collect();
    let expected = asked.map(|name| names.contains(&name).then(|| Bytes::from(name)));
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

async fn of_two_writes_to_a_key_the_later_wins(context: Context) -> CaseResult {
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

async fn each_write_of_a_batch_has_its_expiry(context: Context) -> CaseResult {
    let (ends, stays) = (context.key("ends")?, context.key("stays")?);
    let end = context.soon();
    let writes = [(&ends, Expiry::At(end)), (&stays, Expiry::Never)].map(|(key, expiry)| {
        plain(key, "value").with_options(WriteOptions::default().with_expiry(expiry))
    });
    all_written(context.driver.write_many(writes.to_vec()).await, 2)?;
    context.poll_until_gone(&ends, end).await?;
    context.read_present(&stays).await?;
    Ok(())
}

async fn each_write_of_a_batch_has_its_condition(context: Context) -> CaseResult {
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
    let mut took_place = Vec::new();
    for result in results {
        took_place.push(matches!(result?, WriteOutcome::Written { .. }));
    }
    same(
        "which writes took place",
        took_place,
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

async fn a_batch_of_removals_removes_all_and_no_more(context: Context) -> CaseResult {
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

async fn batches_of_nothing_succeed(context: Context) -> CaseResult {
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
    same("what is left after the removal", left, 0)
}
