//! Streams over the keys and the items below a prefix, one page at a time.

use futures_core::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use session_core::{Driver, Entry, Expiry, Key, ListOptions, Prefix, Result};

use crate::item::StorageItem;
use crate::metadata::{self, is_metadata_key, metadata_key};
use crate::router::Router;

/// How many items are read at once. All of them are in memory, and values may be large.
pub(crate) const BATCH: usize = 32;

/// The keys below `prefix` in pages, those of metadata included.
pub(crate) fn pages(
    router: &Router,
    prefix: Prefix,
) -> impl Stream<Item = Result<Vec<Key>>> + Send + 'static + use<> {
    let router = router.clone();
    stream::try_unfold(Some(ListOptions::below(prefix)), move |options| {
        let router = router.clone();
        async move {
            let Some(options) = options else {
                return Ok(None);
            };
            let page = router.list(options.clone()).await?;
            let next = page.next.map(|cursor| options.after(cursor));
            Ok(Some((page.keys, next)))
        }
    })
}

/// The items below `prefix` in batches, metadata included. Their keys are relative to the prefix.
pub(crate) fn batches(
    router: &Router,
    prefix: Prefix,
) -> impl Stream<Item = Result<Vec<StorageItem>>> + Send + 'static + use<> {
    let router = router.clone();
    pages(&router, prefix.clone())
        .map_ok(|keys| {
            let batches: Vec<_> = keys.chunks(BATCH).map(<[Key]>::to_vec).collect();
            stream::iter(batches).map(Ok)
        })
        .try_flatten()
        .and_then(move |keys| read(router.clone(), prefix.clone(), keys))
}

/// The items of `keys`, and the metadata of those whose driver does not list it.
async fn read(router: Router, prefix: Prefix, mut keys: Vec<Key>) -> Result<Vec<StorageItem>> {
    let mounts = router.mounts()?;
    let capabilities = |key: &Key| mounts.route(key).0.driver().capabilities();
    let mut entries = router.read_many(&keys).await?;
    let unlisted = keys
        .iter()
        .filter(|key| capabilities(key).unlisted_metadata && !is_metadata_key(key));
    let unlisted: Vec<Key> = unlisted.map(metadata_key).collect::<Result<_>>()?;
    let read = router.read_many(&unlisted).await;
    match metadata::is_refused(&read) {
        false => entries.extend(read?),
        true => {
            for key in &unlisted {
                entries.push(read_metadata(&router, key).await?);
            }
        }
    }
    keys.extend(unlisted);
    let items = keys.into_iter().zip(entries).filter_map(|(key, entry)| {
        // An item that was removed since it was listed is left out.
        let entry = entry?;
        let expiry = match entry.expires_at {
            Some(expires_at) => Expiry::At(expires_at),
            None if capabilities(&key).reports_expiry => Expiry::Never,
            None => Expiry::Default,
        };
        Some(StorageItem::new(prefix.strip(&key)?, entry.value).with_expiry(expiry))
    });
    Ok(items.collect())
}

/// The entry of a metadata key; `None` also if the driver cannot have such a key.
pub(crate) async fn read_metadata(router: &Router, key: &Key) -> Result<Option<Entry>> {
    let read = router.read(key).await;
    match metadata::is_refused(&read) {
        true => Ok(None),
        false => read,
    }
}
