//! Clearing a prefix.

use session_core::{Key, Prefix, RemoveOptions, WriteOptions};

use super::cases;
use super::listing::fill;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, check, same};

cases! {
    clear_removes_only_its_prefix [Need::Writes, Need::Listing]: "clearing `app` removes neither `app2` nor the key `app`";
    clear_of_a_base_keeps_its_neighbours [Need::Writes, Need::Listing]: "clearing a base does not affect other bases";
    clear_removes_everything_below_its_prefix [Need::Writes, Need::Listing]: "clear removes every entry, however many pages there are";
    clear_of_an_empty_prefix_succeeds [Need::Writes, Need::Listing]: "clearing an empty prefix succeeds";
    special_characters_in_a_cleared_prefix_are_literal [Need::Writes, Need::Listing]: "special characters in a cleared prefix are literal";
}

async fn write_all(context: &Context, names: &[&str]) -> CaseResult {
    for name in names {
        context.write(&context.key(name)?, "value").await?;
    }
    Ok(())
}

/// Passes if exactly the `expected` keys exist. It reads each key.
async fn remaining(context: &Context, all: &[&str], expected: &[&str]) -> CaseResult {
    let mut remaining = Vec::new();
    for name in all {
        if context.read(&context.key(name)?).await?.is_some() {
            remaining.push(*name);
        }
    }
    same("the remaining keys", remaining, expected.to_vec())
}

async fn clear_removes_only_its_prefix(context: Context) -> CaseResult {
    let keys = [
        "app2:a",
        "application",
        "app1",
        "b:app:a",
        "app:a",
        "app:b:c",
        "app:a2",
    ];
    write_all(&context, &keys).await?;
    context.driver.clear(&Prefix::new("app:b")?).await?;
    remaining(
        &context,
        &keys,
        &[
            "app2:a",
            "application",
            "app1",
            "b:app:a",
            "app:a",
            "app:a2",
        ],
    )
    .await?;
    context.driver.clear(&Prefix::new("app:a")?).await?;
    context.driver.clear(&Prefix::new("ap")?).await?;
    remaining(
        &context,
        &keys,
        &[
            "app2:a",
            "application",
            "app1",
            "b:app:a",
            "app:a",
            "app:a2",
        ],
    )
    .await?;
    context.driver.clear(&Prefix::new("app")?).await?;
    remaining(
        &context,
        &keys,
        &["app2:a", "application", "app1", "b:app:a"],
    )
    .await
}

async fn clear_of_a_base_keeps_its_neighbours(context: Context) -> CaseResult {
    let neighbour = context.neighbour()?;
    let key = Key::new("k")?;
    context.write(&context.key("k")?, "ours").await?;
    let _first = neighbour
        .write(&key, "theirs".into(), WriteOptions::default())
        .await?;
    let cleared = context.driver.clear(&Prefix::root()).await;
    let theirs = neighbour.read(&key).await;
    let _unconditional = neighbour.remove(&key, RemoveOptions::default()).await?;
    cleared?;
    same("our read", context.read(&context.key("k")?).await?, None)?;
    same(
        "the entry of the neighbour",
        theirs?.map(|entry| entry.value),
        Some("theirs".into()),
    )
}

async fn clear_removes_everything_below_its_prefix(context: Context) -> CaseResult {
    let mut keys = Vec::new();
    for part in 0..7 {
        keys.extend(fill(&context, &format!("many:{part}"), 190).await?);
    }
    context.driver.clear(&Prefix::new("many")?).await?;
    let listed = context.list("", 1_000).await?.len();
    check(
        listed == 0,
        "no key",
        format!("{listed} keys in the listing"),
    )?;
    let left = context.driver.read_many(&keys).await?;
    let left = left.iter().flatten().count();
    same("the number of entries that are left", left, 0)?;
    for key in keys.iter().step_by(100) {
        same("exists", context.driver.exists(key).await?, false)?;
    }
    Ok(())
}

async fn clear_of_an_empty_prefix_succeeds(context: Context) -> CaseResult {
    for _ in 0..2 {
        context.driver.clear(&Prefix::root()).await?;
        context.driver.clear(&Prefix::new("none")?).await?;
    }
    Ok(())
}

async fn special_characters_in_a_cleared_prefix_are_literal(context: Context) -> CaseResult {
    let keys = [
        "a_b:k", "aXb:k", "a%b:k", "a*b:k", "axyzb:k", "A_B:k", "*:k",
    ];
    write_all(&context, &keys).await?;
    for prefix in ["*", "%", "_", "a*b", "a_b"] {
        context.driver.clear(&Prefix::new(prefix)?).await?;
    }
    remaining(&context, &keys, &["aXb:k", "a%b:k", "axyzb:k", "A_B:k"]).await
}
