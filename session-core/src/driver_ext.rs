use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::{Driver, Expiry, Key, ListOptions, Prefix, RemoveOptions, Result, WriteOptions};

/// Shorthands for callers of any [`Driver`]: plain text keys, and a listing as one stream.
///
/// ```
/// use futures_util::TryStreamExt;
/// use session_core::{Driver, DriverExt, Prefix, Result};
///
/// async fn rename(driver: &dyn Driver) -> Result<Vec<String>> {
///     if let Some(value) = driver.get("users:old").await? {
///         driver.put("users:new", value).await?;
///         driver.delete("users:old").await?;
///     }
///     driver.keys(Prefix::new("users")).map_ok(|key| key.as_str().to_owned()).try_collect().await
/// }
/// ```
#[async_trait]
pub trait DriverExt: Driver {
    /// The value of `key`, or `None` if it has none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let key = Key::new(key)?;
        Ok(self.read(&key).await?.map(|entry| entry.value))
    }

    /// Writes `value` with the driver's default expiry, whatever was there.
    async fn put<V: Into<Bytes> + Send>(&self, key: &str, value: V) -> Result<()> {
        put(self, key, value.into(), Expiry::Default).await
    }

    /// Writes `value` for as long as `ttl` from now, whatever was there.
    async fn put_with_ttl<V: Into<Bytes> + Send>(
        &self,
        key: &str,
        value: V,
        ttl: Duration,
    ) -> Result<()> {
        put(self, key, value.into(), Expiry::after(ttl)).await
    }

    /// Removes the entry of `key`, if there is one.
    async fn delete(&self, key: &str) -> Result<()> {
        let key = Key::new(key)?;
        let _unconditional = self.remove(&key, RemoveOptions::default()).await?;
        Ok(())
    }

    /// Every key below `prefix`, page after page as the stream is polled; a key may come more than once
    /// where the driver's listing says so.
    fn keys(&self, prefix: Prefix) -> impl Stream<Item = Result<Key>> + Send + '_ {
        let first = Some(ListOptions::below(prefix));
        stream::try_unfold(first, move |next| async move {
            let Some(mut options) = next else {
                return Ok(None);
            };
            let page = self.list(options.clone()).await?;
            let following = page.next.map(|cursor| {
                options.cursor = Some(cursor);
                options
            });
            Ok(Some((stream::iter(page.keys).map(Ok), following)))
        })
        .try_flatten()
    }
}

impl<D: Driver + ?Sized> DriverExt for D {}

async fn put<D: Driver + ?Sized>(
    driver: &D,
    key: &str,
    value: Bytes,
    expiry: Expiry,
) -> Result<()> {
    let key = Key::new(key)?;
    let options = WriteOptions::default().with_expiry(expiry);
    let _unconditional = driver.write(&key, value, options).await?;
    Ok(())
}
