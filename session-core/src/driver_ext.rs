//! Helper methods for callers of drivers.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::{Driver, Expiry, Key, ListOptions, Prefix, RemoveOptions, Result, WriteOptions};

/// Helper methods for callers of any [`Driver`]: string keys, and a listing as one stream.
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
///     driver.keys(Prefix::new("users")?).map_ok(|key| key.as_str().to_owned()).try_collect().await
/// }
/// ```
#[async_trait]
pub trait DriverExt: Driver {
    /// Reads the value of `key`; `None` if it does not exist.
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let key = Key::new(key)?;
        Ok(self.read(&key).await?.map(|entry| entry.value))
    }

    /// Writes `value` without a condition, with the driver's default expiry.
    async fn put<V: Into<Bytes> + Send>(&self, key: &str, value: V) -> Result<()> {
        put(self, key, value.into(), Expiry::Default).await
    }

    /// Writes `value` without a condition. It expires after `ttl`.
    async fn put_with_ttl<V: Into<Bytes> + Send>(
        &self,
        key: &str,
        value: V,
        ttl: Duration,
    ) -> Result<()> {
        put(self, key, value.into(), Expiry::after(ttl)).await
    }

    /// Removes the entry of `key`, if it exists.
    async fn delete(&self, key: &str) -> Result<()> {
        let key = Key::new(key)?;
        let _unconditional = self.remove(&key, RemoveOptions::default()).await?;
        Ok(())
    }

    /// Returns a stream of all keys below `prefix`, which reads page after page.
    ///
    /// A key may appear more than once if the driver's [`Listing`](crate::Listing) says so.
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
