use futures_core::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use session_core::{Driver, Error, ErrorKind, Prefix, Result, Timestamp};

use crate::item::StorageItem;
use crate::router::Router;
use crate::scan;
use crate::{NAME, Storage};

/// The progress of a copy: how many items and bytes were written so far.
///
/// ```
/// use futures_util::TryStreamExt;
/// use session_core::Result;
/// use session_storage::Storage;
///
/// async fn migrate(old: &Storage, new: &Storage) -> Result<()> {
///     let mut copy = std::pin::pin!(old.copy_to("", new, ""));
///     while let Some(progress) = copy.try_next().await? {
///         println!("{} items, {} bytes", progress.items, progress.bytes);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyProgress {
    /// The number of items written. The metadata of an item counts as another item.
    pub items: u64,
    /// The total size of their values.
    pub bytes: u64,
}

/// Writes items below `prefix`. Expired items are skipped.
pub(crate) async fn write<'i>(
    router: &Router,
    prefix: &Prefix,
    items: impl Iterator<Item = &'i StorageItem>,
) -> Result<CopyProgress> {
    let now = Timestamp::now();
    let mut written = CopyProgress::default();
    let mut writes = Vec::new();
    for item in items.filter(|item| !item.is_expired(now)) {
        written.items += 1;
        written.bytes += item.value.len() as u64;
        writes.push(item.to_write(prefix.join(&item.key)));
    }
    for outcome in router.write_many(writes).await {
        let _unconditional = outcome?;
    }
    Ok(written)
}

/// Copies the items below `base` in `from` to below `target` in `to`. Each item of the stream is one batch written.
pub(crate) fn copy(
    from: &Storage,
    base: Prefix,
    to: &Storage,
    target: Prefix,
) -> impl Stream<Item = Result<CopyProgress>> + Send + 'static + use<> {
    let overlaps = from.router.is_same(&to.router)
        && (base.strip_prefix(&target).is_some() || target.strip_prefix(&base).is_some());
    if overlaps {
        return stream::iter([Err(overlap_error())]).left_stream();
    }
    let router = to.router.clone();
    let batches = scan::batches(&from.router, base);
    let copied = batches.and_then(move |items| {
        let (router, target) = (router.clone(), target.clone());
        async move { write(&router, &target, items.iter()).await }
    });
    let mut total = CopyProgress::default();
    let totals = copied.map_ok(move |batch| {
        total.items += batch.items;
        total.bytes += batch.bytes;
        total
    });
    totals.right_stream()
}

fn overlap_error() -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "source and target overlap: one base lies within the other; choose a target outside of the source",
    )
    .with_context(NAME, "copy")
}
