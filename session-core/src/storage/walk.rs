//! Going through what a storage holds, a page at a time.

use futures_core::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::item::Item;
use super::router::Router;
use crate::{Driver, Expiry, Key, ListOptions, Prefix, Result};

/// How many entries are read at once. Values may be large, and as many are in memory.
pub(super) const BATCH: usize = 32;

/// Every key below `prefix`, page by page, metadata included.
pub(super) fn pages(
    router: &Router,
    prefix: Prefix,
) -> impl Stream<Item = Result<Vec<Key>>> + Send + 'static + use<> {
    let router = router.clone();
    stream::try_unfold(Some(ListOptions::below(prefix)), move |options| {
        let router = router.clone();
        async move {
            let Some(mut options) = options else {
                return Ok(None);
            };
            let page = router.list(options.clone()).await?;
            let following = page.next.map(|cursor| {
                options.cursor = Some(cursor);
                options
            });
            Ok(Some((page.keys, following)))
        }
    })
}

/// Every item below `prefix`, batch by batch, metadata included; the keys are those below the prefix.
pub(super) fn batches(
    router: &Router,
    prefix: Prefix,
) -> impl Stream<Item = Result<Vec<Item>>> + Send + 'static + use<> {
    let router = router.clone();
    pages(&router, prefix.clone())
        .map_ok(|keys| {
            let batches: Vec<_> = keys.chunks(BATCH).map(<[Key]>::to_vec).collect();
            stream::iter(batches).map(Ok)
        })
        .try_flatten()
        .and_then(move |keys| read(router.clone(), prefix.clone(), keys))
}

async fn read(router: Router, prefix: Prefix, keys: Vec<Key>) -> Result<Vec<Item>> {
    let mounts = router.mounts()?;
    let entries = router.read_many(&keys).await?;
    let items = keys.into_iter().zip(entries).filter_map(|(key, entry)| {
        // What is gone since it was listed is left out.
        let entry = entry?;
        let reports = mounts.route(&key).0.driver().capabilities().reports_expiry;
        let expiry = match entry.expires_at {
            Some(end) => Expiry::At(end),
            None if reports => Expiry::Never,
            None => Expiry::Default,
        };
        Some(Item {
            key: prefix.strip(&key)?,
            value: entry.value,
            expiry,
        })
    });
    Ok(items.collect())
}
