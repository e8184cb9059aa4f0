//! What is written anew has nothing of what was there before.

use std::time::Duration;

use futures_util::future::try_join_all;
use session_core::{
    Expiry, Key, ListOptions, Listing, Prefix, RemoveOptions, Timestamp, TouchOptions, Version,
    Write, WriteOptions, WriteOutcome,
};

use super::cases;
use crate::case::Need;
use crate::context::{Context, no_version, sleep_until, written};
use crate::failure::{CaseResult, Failure, check, excerpt, same};

cases! {
    an_entry_that_is_written_anew_at_its_expiry_stays [Need::Writes, Need::ShortLives]: "removing what has expired does not remove what was written since";
    an_entry_that_is_touched_before_its_expiry_stays [Need::Touch, Need::ShortLives]: "removing what has expired does not remove what was touched before";
    a_version_does_not_come_back [Need::Conditions]: "equal versions of a key mean equal bytes, also after a removal";
    another_driver_sees_each_change_at_once [Need::Writes, Need::SharedBackend, Need::Strong]: "every reader sees an acknowledged change, whatever it has read before";
    a_foreign_write_is_seen_at_once [Need::ForeignWrite, Need::Strong]: "every reader sees a foreign write, whatever it has read before";
    a_listing_of_the_root_contains_every_key [Need::Listing]: "the root prefix contains every key";
    keys_that_stay_are_listed_while_others_are_removed [Need::Writes, Need::Listing]: "a listing contains each key that is there throughout, also while listed ones are removed";
    a_batch_of_long_values_works [Need::Writes, Need::ValuesOf(LONG + 32)]: "a batch may be longer than what the backend takes or answers at once";
    a_large_batch_of_conditional_writes_works [Need::Conditions]: "each write of a large batch has its own condition";
    the_times_in_the_metadata_are_those_of_the_writes: "the metadata tells when an entry was written, or nothing";
}

const LONG: usize = 100_000;

async fn an_entry_that_is_written_anew_at_its_expiry_stays(context: Context) -> CaseResult {
    let has_conditions = context.capabilities.conditions != session_core::Conditions::None;
    let keys = (0..48_u64).map(|number| {
        let context = context.clone();
        async move {
            let key = context.key(&format!("k{number}"))?;
            let wait = Duration::from_millis(60 + number * 9).max(context.capabilities.minimum_ttl);
            let expires_at = Timestamp::now().saturating_add(wait);
            context
                .write_until(&key, "old", Expiry::At(expires_at))
                .await?;
            // Some just before it expires, some just after.
            let shift = number % 5 * 4;
            sleep_until(Timestamp::from_millis(expires_at.as_millis() + shift - 4)).await;
            let never = WriteOptions::default().with_expiry(Expiry::Never);
            match number % 3 {
                0 => {
                    let write = Write::new(key.clone(), "new").with_options(never);
                    for outcome in context.writer.write_many(vec![write]).await {
                        written(outcome?)?;
                    }
                }
                1 if has_conditions => {
                    let options = WriteOptions::if_absent().with_expiry(Expiry::Never);
                    let outcome = context.writer.write(&key, "new".into(), options).await?;
                    if matches!(outcome, WriteOutcome::Conflict(_)) {
                        context.write(&key, "new").await?;
                    }
                }
                _ => {
                    written(context.writer.write(&key, "new".into(), never).await?)?;
                }
            }
            Ok::<Key, Failure>(key)
        }
    });
    let keys = try_join_all(keys).await?;
    // What removes expired entries comes round in this time, if it comes often.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        for key in &keys {
            let entry = context.read_present(key).await.map_err(|failure| {
                failure.at("it was written anew, without an expiry, about when it expired")
            })?;
            same("the value", entry.value, "new".into())?;
        }
    }
    Ok(())
}

async fn an_entry_that_is_touched_before_its_expiry_stays(context: Context) -> CaseResult {
    let mut keys = Vec::new();
    let ttl = Duration::from_millis(300).max(context.capabilities.minimum_ttl);
    let expires_at = Timestamp::now().saturating_add(ttl);
    for number in 0..12 {
        let key = context.key(&format!("k{number}"))?;
        context
            .write_until(&key, "value", Expiry::At(expires_at))
            .await?;
        let expiry = match number % 3 {
            0 => Expiry::Never,
            1 => Expiry::after(Duration::from_secs(60)),
            _ => Expiry::after(Duration::from_secs(86_400 * 40)),
        };
        if context.driver.touch(&key, TouchOptions::to(expiry)).await? {
            keys.push(key);
        }
    }
    context.sleep_past(expires_at).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        for key in &keys {
            context
                .read_present(key)
                .await
                .map_err(|failure| failure.at("it was touched before it expired"))?;
        }
    }
    Ok(())
}

async fn a_version_does_not_come_back(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let mut seen: Vec<(Version, String)> = Vec::new();
    for number in 0..12 {
        // Of equal length, and written in every way.
        let value = format!("value {number:02}");
        let options = match number % 3 {
            0 => WriteOptions::if_absent(),
            _ => WriteOptions::default(),
        };
        let outcome = match number % 2 {
            0 => {
                context
                    .driver
                    .write(&key, value.clone().into(), options)
                    .await?
            }
            _ => {
                let write = Write::new(key.clone(), value.clone()).with_options(options);
                let outcome = context.driver.write_many(vec![write]).await.pop();
                outcome.ok_or_else(|| Failure::new("an outcome", "none"))??
            }
        };
        let version = written(outcome)?.ok_or_else(no_version)?;
        if let Some((_, old)) = seen.iter().find(|(old, _)| *old == version) {
            let expected = format!("another version for {value:?} than for {old:?}");
            return Err(Failure::new(expected, "the same version"));
        }
        for (old, of) in &seen {
            let options = WriteOptions::if_version(old.clone());
            let outcome = context.driver.write(&key, "lost".into(), options).await?;
            check(
                matches!(outcome, WriteOutcome::Conflict(_)),
                format!("a conflict: the condition names the version of {of:?}, which was removed"),
                format!("{outcome:?}"),
            )?;
        }
        seen.push((version, value));
        match number % 4 {
            0 => {
                context
                    .driver
                    .remove_many(std::slice::from_ref(&key))
                    .await?
            }
            1 if context.capabilities.listing != Listing::None => {
                context.driver.clear(&Prefix::root()).await?;
            }
            _ => {
                let removal = context.driver.remove(&key, RemoveOptions::default());
                let _unconditional = removal.await?;
            }
        }
    }
    Ok(())
}

async fn another_driver_sees_each_change_at_once(context: Context) -> CaseResult {
    let other = context.another_driver().await;
    for round in 0..6 {
        let key = context.key(&format!("k{round}"))?;
        let keys = [key.clone()];
        let value = |text: &str| Some(bytes::Bytes::from(text.to_owned()));
        // A driver that remembers what it has read must hear of each change, misses included.
        for (change, expected) in [
            ("nothing", None),
            ("write", value("one")),
            ("batch", value("two")),
            ("removal", None),
            ("if absent", value("three")),
            ("batch of removals", None),
            ("write again", value("four")),
            ("clear", None),
        ] {
            match change {
                "write" => drop(
                    other
                        .write(&key, "one".into(), WriteOptions::default())
                        .await?,
                ),
                "write again" => {
                    drop(
                        other
                            .write(&key, "four".into(), WriteOptions::default())
                            .await?,
                    );
                }
                "batch" => {
                    for outcome in other.write_many(vec![Write::new(key.clone(), "two")]).await {
                        written(outcome?)?;
                    }
                }
                "removal" => drop(other.remove(&key, RemoveOptions::default()).await?),
                "batch of removals" => other.remove_many(&keys).await?,
                "if absent" => {
                    let options = match context.capabilities.conditions {
                        session_core::Conditions::None => WriteOptions::default(),
                        _ => WriteOptions::if_absent(),
                    };
                    written(other.write(&key, "three".into(), options).await?)?;
                }
                "clear" if context.capabilities.listing != Listing::None => {
                    other.clear(&Prefix::root()).await?;
                }
                "clear" => other.remove_many(&keys).await?,
                _ => {}
            }
            let what = format!("after the {change} by another driver");
            let read = context.read(&key).await?.map(|entry| entry.value);
            same(&format!("the value {what}"), read, expected.clone())?;
            let many = context.driver.read_many(&keys).await?.pop().flatten();
            let many = many.map(|entry| entry.value);
            same(
                &format!("the value in a batch {what}"),
                many,
                expected.clone(),
            )?;
            let exists = context.driver.exists(&key).await?;
            same(&format!("exists {what}"), exists, expected.is_some())?;
            let metadata = context.driver.metadata(&key).await?;
            same(
                &format!("the metadata {what}"),
                metadata.is_some(),
                expected.is_some(),
            )?;
        }
    }
    Ok(())
}

async fn a_foreign_write_is_seen_at_once(context: Context) -> CaseResult {
    for round in 0..6 {
        let key = context.key(&format!("k{round}"))?;
        context.write(&key, "ours").await?;
        context.read_present(&key).await?;
        context.driver.exists(&key).await?;
        context.driver.metadata(&key).await?;
        context
            .write_foreign(&key, b"theirs, which is longer")
            .await?;
        let entry = context.read_present(&key).await?;
        same("the value", entry.value, "theirs, which is longer".into())?;
        let many = context.driver.read_many(std::slice::from_ref(&key)).await?;
        let many = many.into_iter().flatten().next().map(|entry| entry.value);
        same(
            "the value in a batch",
            many,
            Some("theirs, which is longer".into()),
        )?;
        let size = context
            .driver
            .metadata(&key)
            .await?
            .and_then(|metadata| metadata.size);
        check(
            size.is_none_or(|size| size == 23),
            "a size of 23 bytes in the metadata",
            format!("{size:?}"),
        )?;
    }
    Ok(())
}

async fn a_listing_of_the_root_contains_every_key(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let whole = context.whole(&key);
    // Other cases may list, write and remove at the same time.
    let mut options = ListOptions::below(Prefix::root());
    for _ in 0..100_000 {
        let page = context.subject.driver.list(options.clone()).await?;
        if page.keys.contains(&whole) {
            return Ok(());
        }
        match page.next {
            Some(cursor) => options.cursor = Some(cursor),
            None => {
                let expected = format!("the key {} below the root", excerpt(whole.as_bytes()));
                return Err(Failure::new(expected, "a listing without it"));
            }
        }
    }
    Err(Failure::new("the listing to end", "100000 pages"))
}

async fn keys_that_stay_are_listed_while_others_are_removed(context: Context) -> CaseResult {
    const COUNT: usize = 240;
    let mut writes = Vec::with_capacity(COUNT);
    for number in 0..COUNT {
        writes.push(Write::new(context.key(&format!("k{number:03}"))?, "value"));
    }
    for outcome in context.driver.write_many(writes).await {
        written(outcome?)?;
    }
    let mut options = ListOptions::default().with_limit(20);
    let mut listed = Vec::new();
    for _ in 0..COUNT * 2 {
        let page = context.driver.list(options.clone()).await?;
        let last = |key: &Key| key.as_bytes().last().copied().unwrap_or_default();
        let goes = |key: &&Key| last(key) % 2 == 0;
        let going: Vec<Key> = page.keys.iter().filter(goes).cloned().collect();
        context.driver.remove_many(&going).await?;
        listed.extend(page.keys);
        match page.next {
            Some(cursor) => options.cursor = Some(cursor),
            None => break,
        }
    }
    for number in (1..COUNT).step_by(2) {
        let key = Key::new(&format!("k{number:03}"))?;
        check(
            listed.contains(&key),
            format!(
                "the key {:?} in the listing, which was there throughout",
                key.as_str()
            ),
            format!("{} other keys", listed.len()),
        )?;
    }
    Ok(())
}

async fn a_batch_of_long_values_works(context: Context) -> CaseResult {
    const COUNT: u8 = 20;
    let mut writes = Vec::new();
    for number in 0..COUNT {
        let key = context.key(&format!("k{number}"))?;
        writes.push(Write::new(
            key,
            vec![b'a' + number; LONG + usize::from(number)],
        ));
    }
    let keys: Vec<Key> = writes.iter().map(|write| write.key.clone()).collect();
    for outcome in context.driver.write_many(writes.clone()).await {
        written(outcome?)?;
    }
    let read = context.driver.read_many(&keys).await?;
    same("the number of results", read.len(), keys.len())?;
    for (write, entry) in writes.iter().zip(read) {
        let value = entry.map(|entry| entry.value);
        check(
            value.as_ref() == Some(&write.value),
            excerpt(&write.value),
            value.map_or("a miss".to_owned(), |value| excerpt(&value)),
        )?;
    }
    Ok(())
}

async fn a_large_batch_of_conditional_writes_works(context: Context) -> CaseResult {
    const COUNT: usize = 300;
    let mut keys = Vec::new();
    for number in 0..COUNT {
        keys.push(context.key(&format!("k{number}"))?);
    }
    let taken = keys
        .iter()
        .step_by(2)
        .map(|key| Write::new(key.clone(), "old"));
    for outcome in context.driver.write_many(taken.collect()).await {
        written(outcome?)?;
    }
    let writes = keys
        .iter()
        .map(|key| Write::new(key.clone(), "new").with_options(WriteOptions::if_absent()));
    let outcomes = context.driver.write_many(writes.collect()).await;
    same("the number of outcomes", outcomes.len(), COUNT)?;
    let mut stale = Vec::new();
    for (number, (key, outcome)) in keys.iter().zip(outcomes).enumerate() {
        let is_written = matches!(outcome?, WriteOutcome::Written { .. });
        same(
            &format!("whether write {number} was made"),
            is_written,
            number % 2 == 1,
        )?;
        let entry = context.read_present(key).await?;
        let expected = if is_written { "new" } else { "old" };
        same(
            &format!("the value of key {number}"),
            entry.value,
            expected.into(),
        )?;
        let options = WriteOptions::if_version(entry.version.ok_or_else(no_version)?);
        stale.push(Write::new(key.clone(), "last").with_options(options));
    }
    // Every third entry changes, so that the version of its write is stale.
    for key in keys.iter().step_by(3) {
        context.write(key, "changed").await?;
    }
    let outcomes = context.driver.write_many(stale).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let is_written = matches!(outcome?, WriteOutcome::Written { .. });
        same(
            &format!("whether write {number} was made"),
            is_written,
            number % 3 != 0,
        )?;
    }
    Ok(())
}

/// How far the clock of a backend may be off.
const SKEW: Duration = Duration::from_secs(6);

async fn the_times_in_the_metadata_are_those_of_the_writes(context: Context) -> CaseResult {
    let key = context.key("k")?;
    let before = Timestamp::now();
    context.write(&key, "value").await?;
    context.write(&key, "again").await?;
    let after = Timestamp::now();
    let Some(metadata) = context.driver.metadata(&key).await? else {
        return Err(Failure::new("metadata", "none"));
    };
    for (what, time) in [
        ("created", metadata.created_at),
        ("modified", metadata.modified_at),
    ] {
        let is_then = time.is_none_or(|time| {
            before.saturating_since(time) <= SKEW && time.saturating_since(after) <= SKEW
        });
        check(
            is_then,
            format!("that it was {what} between {before} and {after}, give or take {SKEW:?}"),
            format!("{time:?}: is it a time zone, or the clock of the server?"),
        )?;
    }
    Ok(())
}
