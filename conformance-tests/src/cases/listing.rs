//! Listing keys, in pages and during writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{Key, ListOptions, Listing, Prefix, RemoveOptions, Write, WriteOptions};

use super::cases;
use super::keys::write_unless_rejected;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    an_empty_listing_terminates [Need::Listing]: "a listing without keys is empty and not an error";
    a_listing_contains_only_its_prefix [Need::Listing]: "a prefix matches whole segments: `app` lists neither `app2` nor `app`";
    special_characters_in_prefixes_are_literal [Need::Listing]: "special characters in a prefix are literal";
    a_listing_returns_keys_as_written [Need::Listing]: "a listing returns each key as it was written";
    removed_keys_are_not_listed [Need::Writes, Need::Listing]: "removed keys are not listed";
    pages_contain_every_key [Need::Listing]: "the pages contain each key, exactly once if the driver declares it";
    a_listing_during_writes_misses_no_key [Need::Listing]: "a key that exists throughout a listing is listed, even during writes and removals";
    a_listing_during_writes_contains_no_unknown_key [Need::Listing]: "a listing contains only written keys, even during writes";
}

async fn an_empty_listing_terminates(context: Context) -> CaseResult {
    same("the listing", context.list_names("").await?, Vec::new())?;
    same(
        "the listing below a prefix",
        context.list_names("none").await?,
        Vec::new(),
    )
}

async fn write_all(context: &Context, names: &[&str]) -> CaseResult {
    for name in names {
        context.write(&context.key(name)?, "value").await?;
    }
    Ok(())
}

async fn lists(context: &Context, prefix: &str, expected: &[&str]) -> CaseResult {
    let names = context.list_names(prefix).await?;
    let mut expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    expected.sort_unstable();
    same(&format!("the listing below {prefix:?}"), names, expected)
}

async fn a_listing_contains_only_its_prefix(context: Context) -> CaseResult {
    write_all(
        &context,
        &[
            "app1",
            "app:a",
            "app:b:c",
            "app2:a",
            "application",
            "b:app:a",
        ],
    )
    .await?;
    lists(&context, "app", &["app:a", "app:b:c"]).await?;
    lists(&context, "app:", &["app:a", "app:b:c"]).await?;
    lists(&context, "app:b", &["app:b:c"]).await?;
    lists(&context, "ap", &[]).await?;
    lists(&context, "app:a", &[]).await?;
    write_all(&context, &["beside:k"]).await?;
    let neighbour = context.neighbour()?;
    let key = Key::new("k")?;
    let _first = neighbour
        .write(&key, "value".into(), WriteOptions::default())
        .await?;
    let listed = context.list_names("").await;
    let _unconditional = neighbour.remove(&key, RemoveOptions::default()).await?;
    let all = [
        "app1",
        "app:a",
        "app:b:c",
        "app2:a",
        "application",
        "b:app:a",
        "beside:k",
    ];
    same("the listing of all", listed?.len(), all.len())
}

async fn special_characters_in_prefixes_are_literal(context: Context) -> CaseResult {
    let keys = [
        "a_b:k", "aXb:k", "a%b:k", "a*b:k", "axyzb:k", "a[xy]b:k", "axb:k", "a.b:k", "A_B:k",
        "ab:k",
    ];
    write_all(&context, &keys).await?;
    for prefix in ["a_b", "a%b", "a*b", "a[xy]b", "a.b"] {
        lists(&context, prefix, &[&format!("{prefix}:k")]).await?;
    }
    for prefix in ["*", "%", "_", "a.", "a*"] {
        lists(&context, prefix, &[]).await?;
    }
    Ok(())
}

async fn a_listing_returns_keys_as_written(context: Context) -> CaseResult {
    let keys = [
        "Key",
        "key",
        " key ",
        "a:b:c",
        "a%2Fb",
        "ключ:🔑",
        "#h",
        "a b",
        "0",
        "00",
    ];
    write_all(&context, &keys).await?;
    lists(&context, "", &keys).await?;
    // If the driver accepts the key, it lists the key, unless it says otherwise.
    let written = write_unless_rejected(&context, "k$", "value".into()).await?;
    if written.is_some() && !context.capabilities.unlisted_metadata {
        lists(&context, "", &[&keys[..], &["k$"]].concat()).await?;
    }
    Ok(())
}

async fn removed_keys_are_not_listed(context: Context) -> CaseResult {
    write_all(&context, &["a", "b", "c"]).await?;
    let _unconditional = context
        .driver
        .remove(&context.key("b")?, RemoveOptions::default())
        .await?;
    lists(&context, "", &["a", "c"]).await
}

/// Passes if `listed` contains each `expected` key. It also rejects duplicates if the driver declares exactly-once.
fn complete(context: &Context, listed: &[Key], expected: impl Iterator<Item = Key>) -> CaseResult {
    let mut times = BTreeMap::new();
    for key in listed {
        *times.entry(key.as_str()).or_insert(0_usize) += 1;
    }
    let missing = expected
        .filter(|key| !times.contains_key(key.as_str()))
        .count();
    check(
        missing == 0,
        "every key that existed throughout",
        format!("all but {missing}"),
    )?;
    if context.capabilities.listing == Listing::ExactlyOnce {
        let twice = times.values().filter(|times| **times > 1).count();
        check(
            twice == 0,
            "each key once, as the driver declares",
            format!("{twice} keys listed again"),
        )?;
    }
    Ok(())
}

/// Writes `count` entries below `prefix`, in batches.
pub(super) async fn fill(
    context: &Context,
    prefix: &str,
    count: usize,
) -> Result<Vec<Key>, Failure> {
    let mut keys = Vec::with_capacity(count);
    for number in 0..count {
        keys.push(context.key(&format!("{prefix}:{number}"))?);
    }
    for chunk in keys.chunks(500) {
        let write = |key: &Key| Write::new(key.clone(), "v");
        for result in context
            .writer
            .write_many(chunk.iter().map(write).collect())
            .await
        {
            let _unconditional = result?;
        }
    }
    Ok(keys)
}

async fn pages_contain_every_key(context: Context) -> CaseResult {
    let keys = fill(&context, "pages", 150).await?;
    fill(&context, "beside", 20).await?;
    for limit in [1, 7, 50, 150, 151, 10_000] {
        let listed = context.list("pages", limit).await?;
        complete(&context, &listed, keys.iter().cloned())?;
        let foreign = listed
            .iter()
            .filter(|key| !key.as_str().starts_with("pages:"))
            .count();
        same("the number of keys of other prefixes", foreign, 0)?;
    }
    // A limit of zero must not cause a listing without progress.
    let mut options = ListOptions::below(Prefix::new("pages")?);
    options.limit = 0;
    let page = context.driver.list(options).await?;
    check(
        !page.keys.is_empty() || page.next.is_some(),
        "a limit of zero to count as one",
        "an empty listing",
    )
}

async fn a_listing_during_writes_misses_no_key(context: Context) -> CaseResult {
    // The churned keys sort before these, so that their removal shifts the offsets of a listing.
    let keys = fill(&context, "list:stays", context.many()).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer: usize| {
            let (context, stop, keys) = (context.clone(), Arc::clone(&stop), keys.clone());
            tokio::spawn(async move {
                let own = keys.into_iter().skip(writer).step_by(4).cycle();
                for (number, key) in own.enumerate() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let churned = Key::new(&format!("list:churn:{writer}:{}", number % 500))?;
                    context.write(&churned, "value").await?;
                    context.write(&key, "overwritten").await?;
                    let previous =
                        Key::new(&format!("list:churn:{writer}:{}", (number + 250) % 500))?;
                    let _unconditional = context
                        .writer
                        .remove(&previous, RemoveOptions::default())
                        .await?;
                    tokio::task::yield_now().await;
                }
                Ok::<(), Failure>(())
            })
        })
        .collect();
    let mut listings = Vec::new();
    for limit in [1_000, 313] {
        listings.push(context.list("list", limit).await);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer
            .await
            .map_err(|error| Failure::new("no panic", error.to_string()))??;
    }
    for listing in listings {
        let lasting = listing?
            .into_iter()
            .filter(|key| key.as_str().starts_with("list:stays"));
        complete(&context, &lasting.collect::<Vec<_>>(), keys.iter().cloned())?;
    }
    Ok(())
}

async fn a_listing_during_writes_contains_no_unknown_key(context: Context) -> CaseResult {
    const WRITERS: usize = 4;
    const KEYS: usize = 5;
    let name = |writer: usize, number: usize| format!("list:{writer}:{}", number % KEYS);
    let mut known = Vec::new();
    for writer in 0..WRITERS {
        for number in 0..KEYS {
            known.push(context.key(&name(writer, number))?);
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..WRITERS).map(|writer| {
        let (context, stop) = (context.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let value = vec![b'v'; 20_000];
                context
                    .write(&Key::new(&name(writer, number))?, value)
                    .await?;
                let removed = Key::new(&name(writer, number + 2))?;
                let removal = context.writer.remove(&removed, RemoveOptions::default());
                let _unconditional = removal.await?;
                tokio::task::yield_now().await;
            }
            Ok::<(), Failure>(())
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut listings = Vec::new();
    for _ in 0..40 {
        listings.push(context.list("", 1_000).await);
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer
            .await
            .map_err(|error| Failure::new("no panic", error.to_string()))??;
    }
    for listing in listings {
        let unknown = listing?.iter().filter(|key| !known.contains(key)).count();
        same("the number of keys that were not written", unknown, 0)?;
    }
    Ok(())
}
