use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::{Key, ListOptions, Listing, Prefix, RemoveOptions, Write, WriteOptions};

use super::cases;
use super::keys::hold;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    an_empty_listing_ends [Need::Listing]: "a listing of nothing is empty, and no error";
    a_listing_keeps_to_its_prefix [Need::Listing]: "prefix boundaries are key boundaries: `app` lists neither `app2` nor itself";
    special_characters_in_prefixes_are_ordinary [Need::Listing]: "characters that are special to a backend are ordinary in a prefix";
    a_listing_gives_keys_as_they_were_written [Need::Listing]: "a listing gives each key whole and as it was written";
    removed_keys_are_not_listed [Need::Writes, Need::Listing]: "what was removed is not listed";
    pages_give_every_key [Need::Listing]: "whoever follows the cursors to the end gets each key, and once where the driver says so";
    a_listing_while_others_write_misses_none [Need::Listing]: "a key that is there throughout is listed, also while others write and remove";
    a_listing_while_others_write_shows_nothing_else [Need::Listing]: "nothing is listed that nobody wrote, also while others write";
}

async fn an_empty_listing_ends(context: Context) -> CaseResult {
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

async fn a_listing_keeps_to_its_prefix(context: Context) -> CaseResult {
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
    let neighbour = context.neighbour();
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

async fn special_characters_in_prefixes_are_ordinary(context: Context) -> CaseResult {
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

async fn a_listing_gives_keys_as_they_were_written(context: Context) -> CaseResult {
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
    // What a driver holds it lists.
    if hold(&context, "k$", "value".into()).await?.is_some() {
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

/// Passes if each of `expected` is in `listed`, and no key is there twice where that is promised.
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
        "every key that was there throughout",
        format!("all but {missing}"),
    )?;
    if context.capabilities.listing == Listing::ExactlyOnce {
        let twice = times.values().filter(|times| **times > 1).count();
        check(
            twice == 0,
            "each key once, as the driver declares",
            format!("{twice} keys again"),
        )?;
    }
    Ok(())
}

async fn fill(context: &Context, prefix: &str, count: usize) -> Result<Vec<Key>, Failure> {
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

async fn pages_give_every_key(context: Context) -> CaseResult {
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
    // A limit of zero must not be a listing that never moves on.
    let mut options = ListOptions::below(Prefix::new("pages"));
    options.limit = 0;
    let page = context.driver.list(options).await?;
    check(
        !page.keys.is_empty() || page.next.is_some(),
        "a limit of zero to be taken as one",
        "an empty listing",
    )
}

async fn a_listing_while_others_write_misses_none(context: Context) -> CaseResult {
    const COUNT: usize = 10_000;
    let keys = fill(&context, "list:stays", COUNT).await?;
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
                    let passing = Key::new(&format!("list:passing:{writer}:{}", number % 500))?;
                    context.write(&passing, "value").await?;
                    context.write(&key, "overwritten").await?;
                    let passed =
                        Key::new(&format!("list:passing:{writer}:{}", (number + 250) % 500))?;
                    let _unconditional = context
                        .writer
                        .remove(&passed, RemoveOptions::default())
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
        let stayed = listing?
            .into_iter()
            .filter(|key| key.as_str().starts_with("list:stays"));
        complete(&context, &stayed.collect::<Vec<_>>(), keys.iter().cloned())?;
    }
    Ok(())
}

async fn a_listing_while_others_write_shows_nothing_else(context: Context) -> CaseResult {
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
        same("the number of keys that nobody wrote", unknown, 0)?;
    }
    Ok(())
}
