use session_core::{Key, Prefix, RemoveOptions, WriteOptions};

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, check, same};

cases! {
    clearing_keeps_to_its_prefix [Need::Writes, Need::Listing]: "clearing `app` touches neither `app2` nor the key `app`";
    clearing_a_base_keeps_its_neighbours [Need::Writes, Need::Listing]: "a base is a world of its own";
    clearing_takes_everything_below [Need::Writes, Need::Listing]: "clearing leaves nothing behind, however many pages it is";
    clearing_nothing_succeeds [Need::Writes, Need::Listing]: "clearing where nothing is succeeds";
    special_characters_in_a_cleared_prefix_are_ordinary [Need::Writes, Need::Listing]: "clearing takes the characters of a prefix as they are";
}

async fn write_all(context: &Context, names: &[&str]) -> CaseResult {
    for name in names {
        context.write(&context.key(name)?, "value").await?;
    }
    Ok(())
}

/// Passes if exactly these of the keys are there, by reading each.
async fn left(context: &Context, all: &[&str], expected: &[&str]) -> CaseResult {
    let mut left = Vec::new();
    for name in all {
        if context.read(&context.key(name)?).await?.is_some() {
            left.push(*name);
        }
    }
    same("what is left", left, expected.to_vec())
}

async fn clearing_keeps_to_its_prefix(context: Context) -> CaseResult {
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
    context.driver.clear(&Prefix::new("app:b")).await?;
    left(
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
    context.driver.clear(&Prefix::new("app:a")).await?;
    context.driver.clear(&Prefix::new("ap")).await?;
    left(
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
    context.driver.clear(&Prefix::new("app")).await?;
    left(
        &context,
        &keys,
        &["app2:a", "application", "app1", "b:app:a"],
    )
    .await
}

async fn clearing_a_base_keeps_its_neighbours(context: Context) -> CaseResult {
    let neighbour = context.neighbour();
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
        "what the neighbour has",
        theirs?.map(|entry| entry.value),
        Some("theirs".into()),
    )
}

async fn clearing_takes_everything_below(context: Context) -> CaseResult {
    const COUNT: usize = 1_300;
    for number in 0..COUNT {
        context
            .write(
                &context.key(&format!("many:{}:{number}", number % 7))?,
                "value",
            )
            .await?;
    }
    context.driver.clear(&Prefix::new("many")).await?;
    let listed = context.list("", 1_000).await?.len();
    check(
        listed == 0,
        "nothing",
        format!("{listed} keys in the listing"),
    )?;
    for number in 0..COUNT {
        let key = context.key(&format!("many:{}:{number}", number % 7))?;
        same("exists", context.driver.exists(&key).await?, false)?;
    }
    Ok(())
}

async fn clearing_nothing_succeeds(context: Context) -> CaseResult {
    for _ in 0..2 {
        context.driver.clear(&Prefix::root()).await?;
        context.driver.clear(&Prefix::new("none")).await?;
    }
    Ok(())
}

async fn special_characters_in_a_cleared_prefix_are_ordinary(context: Context) -> CaseResult {
    let keys = [
        "a_b:k", "aXb:k", "a%b:k", "a*b:k", "axyzb:k", "A_B:k", "*:k",
    ];
    write_all(&context, &keys).await?;
    for prefix in ["*", "%", "_", "a*b", "a_b"] {
        context.driver.clear(&Prefix::new(prefix)).await?;
    }
    left(&context, &keys, &["aXb:k", "a%b:k", "axyzb:k", "A_B:k"]).await
}
