//! What listeners hear of the entries that were read for them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use session_core::{
    Conditions, Driver, Entry, Expiry, InvalidationListener, Key, Listing, Prefix, RemoveOptions,
    TouchOptions, Write, WriteOptions,
};

use super::cases;
use crate::case::Need;
use crate::context::{Context, no_version, written};
use crate::failure::{CaseResult, Failure, same};

cases! {
    a_tracked_read_returns_what_a_read_does [Need::Writes, Need::Invalidations]: "a tracked read returns the same entry as a read";
    a_listener_hears_of_the_changes_of_every_method [Need::Writes, Need::Invalidations]: "a listener hears of each change of an entry that was read for it, by whatever method";
    a_listener_hears_of_the_changes_of_another_driver [Need::Writes, Need::Invalidations, Need::SharedBackend]: "a listener hears of the changes of every writer";
    a_listener_hears_of_others_after_a_change_of_ones_own [Need::Writes, Need::Invalidations, Need::SharedBackend]: "a change of one's own does not end the tracking of what was read after it";
    a_listener_hears_that_an_entry_expires [Need::Writes, Need::Invalidations, Need::ShortLives]: "a listener hears that an entry expires";
    each_listener_hears_of_each_change [Need::Writes, Need::Invalidations]: "one listener takes no changes away from another";
}

/// Keeps what it hears.
#[derive(Default)]
struct Ear(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    keys: BTreeSet<Key>,
    everything: bool,
}

impl InvalidationListener for Ear {
    fn invalidate(&self, key: &Key) {
        self.0.lock().keys.insert(key.clone());
    }

    fn invalidate_all(&self) {
        self.0.lock().everything = true;
    }
}

impl Ear {
    async fn of(driver: &dyn Driver) -> Result<Arc<Self>, Failure> {
        let ear = Arc::new(Self::default());
        driver.listen(ear.clone()).await?;
        Ok(ear)
    }

    /// Whether it heard of `key`. It forgets all that it heard.
    fn takes(&self, key: &Key) -> bool {
        let heard = std::mem::take(&mut *self.0.lock());
        heard.everything || heard.keys.contains(key)
    }

    /// Checks that it has heard of `key`, once the driver says that it has heard of everything.
    async fn has_heard(&self, driver: &dyn Driver, key: &Key, of: &str) -> CaseResult {
        driver.sync_invalidations().await?;
        match self.takes(key) {
            true => Ok(()),
            false => Err(Failure::new(
                format!("the listener to have heard of {of} before `sync_invalidations` returned"),
                "it had not",
            )),
        }
    }
}

/// Reads `key` for the listeners, and forgets what came before.
async fn track(context: &Context, ear: &Ear, key: &Key) -> Result<Option<Entry>, Failure> {
    context.driver.sync_invalidations().await?;
    context.driver.read_tracked(key).await?;
    context.driver.sync_invalidations().await?;
    ear.takes(key);
    // A change in between may have stopped the tracking.
    Ok(context.driver.read_tracked(key).await?)
}

async fn a_tracked_read_returns_what_a_read_does(context: Context) -> CaseResult {
    let _ear = Ear::of(&*context.driver).await?;
    let (key, absent) = (context.key("k")?, context.key("absent")?);
    context.write(&key, "value").await?;
    for key in [&key, &absent] {
        let mut read = context.driver.read(key).await?;
        let mut tracked = context.driver.read_tracked(key).await?;
        for entry in read.iter_mut().chain(tracked.iter_mut()) {
            // Counted anew by each read.
            entry.expires_at = None;
        }
        same("the entry", tracked, read)?;
    }
    Ok(())
}

async fn a_listener_hears_of_the_changes_of_every_method(context: Context) -> CaseResult {
    let writer = Arc::clone(&context.writer);
    changes_are_heard(&context, &*writer).await
}

async fn a_listener_hears_of_the_changes_of_another_driver(context: Context) -> CaseResult {
    let other = context.another_driver().await;
    changes_are_heard(&context, &*other).await
}

async fn changes_are_heard(context: &Context, writer: &dyn Driver) -> CaseResult {
    let driver = &*context.driver;
    let capabilities = driver.capabilities();
    let ear = Ear::of(driver).await?;
    let key = context.key("a:one")?;
    let write = |value: &'static str| writer.write(&key, value.into(), WriteOptions::default());

    written(write("first").await?)?;
    track(context, &ear, &key).await?;
    written(write("second").await?)?;
    ear.has_heard(driver, &key, "a write").await?;

    track(context, &ear, &key).await?;
    for outcome in writer
        .write_many(vec![Write::new(key.clone(), "batch")])
        .await
    {
        written(outcome?)?;
    }
    ear.has_heard(driver, &key, "a batch of writes").await?;

    if capabilities.touch {
        track(context, &ear, &key).await?;
        let later = TouchOptions::to(Expiry::after(Duration::from_secs(1_000)));
        same("a touch", writer.touch(&key, later).await?, true)?;
        ear.has_heard(driver, &key, "a touch").await?;
    }
    if capabilities.conditions != Conditions::None {
        track(context, &ear, &key).await?;
        let version = driver.read(&key).await?.and_then(|entry| entry.version);
        let version = version.ok_or_else(no_version)?;
        let options = WriteOptions::if_version(version);
        let outcome = writer.write(&key, "conditional".into(), options).await?;
        let version = written(outcome)?.ok_or_else(no_version)?;
        ear.has_heard(driver, &key, "a conditional write").await?;

        track(context, &ear, &key).await?;
        let removal = writer.remove(&key, RemoveOptions::if_version(version));
        let _removed = removal.await?;
        ear.has_heard(driver, &key, "a conditional removal").await?;
        written(write("third").await?)?;
    }
    track(context, &ear, &key).await?;
    let _removed = writer.remove(&key, RemoveOptions::default()).await?;
    ear.has_heard(driver, &key, "a removal").await?;

    written(write("fourth").await?)?;
    track(context, &ear, &key).await?;
    writer.remove_many(std::slice::from_ref(&key)).await?;
    ear.has_heard(driver, &key, "a batch of removals").await?;

    if capabilities.listing != Listing::None {
        written(write("fifth").await?)?;
        track(context, &ear, &key).await?;
        writer.clear(&Prefix::new("a")?).await?;
        ear.has_heard(driver, &key, "a clear").await?;
    }
    Ok(())
}

async fn a_listener_hears_of_others_after_a_change_of_ones_own(context: Context) -> CaseResult {
    let driver = &*context.driver;
    let ear = Ear::of(driver).await?;
    let other = context.another_driver().await;
    let key = context.key("k")?;
    let theirs = || other.write(&key, "theirs".into(), WriteOptions::default());
    context.write(&key, "mine").await?;
    track(&context, &ear, &key).await?;
    context.write(&key, "mine again").await?;
    track(&context, &ear, &key).await?;
    written(theirs().await?)?;
    ear.has_heard(driver, &key, "a write after one of one's own")
        .await?;
    if driver.capabilities().touch {
        track(&context, &ear, &key).await?;
        let later = TouchOptions::to(Expiry::after(Duration::from_secs(1_000)));
        same("a touch", driver.touch(&key, later).await?, true)?;
        track(&context, &ear, &key).await?;
        written(theirs().await?)?;
        ear.has_heard(driver, &key, "a write after a touch of one's own")
            .await?;
    }
    Ok(())
}

async fn a_listener_hears_that_an_entry_expires(context: Context) -> CaseResult {
    let driver = &*context.driver;
    let ear = Ear::of(driver).await?;
    let key = context.key("k")?;
    // What expires before it is tracked is forgotten with the rest: the next entry gets more time.
    let mut lifetime = context.short_ttl();
    loop {
        let expiry = Expiry::after(lifetime);
        context.write_until(&key, "value", expiry).await?;
        if track(&context, &ear, &key).await?.is_some() {
            break;
        }
        lifetime *= 2;
        if lifetime > context.short_ttl() * 64 {
            return Err(Failure::new(
                "a tracked read to find an entry that has not expired",
                "nothing",
            ));
        }
    }
    let limit = tokio::time::Instant::now() + lifetime + Duration::from_secs(40);
    while !ear.takes(&key) {
        if tokio::time::Instant::now() > limit {
            return Err(Failure::new(
                "the listener to hear of an expiry",
                "nothing for 40 s after it expired",
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn each_listener_hears_of_each_change(context: Context) -> CaseResult {
    let driver = &*context.driver;
    let (one, other) = (Ear::of(driver).await?, Ear::of(driver).await?);
    let key = context.key("k")?;
    context.write(&key, "first").await?;
    track(&context, &one, &key).await?;
    other.takes(&key);
    context.write(&key, "second").await?;
    one.has_heard(driver, &key, "a write").await?;
    other.has_heard(driver, &key, "a write").await
}
