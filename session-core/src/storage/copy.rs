use futures_core::Stream;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::item::Item;
use super::router::Router;
use super::walk;
use super::{NAME, Storage};
use crate::{Driver, Error, ErrorKind, Prefix, Result, Timestamp};

/// How far a copy has come.
///
/// ```
/// use futures_util::TryStreamExt;
/// use session_core::{Result, storage::Storage};
///
/// async fn migrate(old: &Storage, new: &Storage) -> Result<()> {
///     let mut progress = std::pin::pin!(old.copy_to("", new, ""));
///     while let Some(so_far) = progress.try_next().await? {
///         println!("{} items, {} bytes", so_far.items, so_far.bytes);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyProgress {
    /// How many items were written, metadata counted apart.
    pub items: u64,
    /// How many bytes their values have.
    pub bytes: u64,
}

/// Writes items below `prefix`, those left out that have ended.
pub(super) async fn write<'i>(
    router: &Router,
    prefix: &Prefix,
    items: impl Iterator<Item = &'i Item>,
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

/// Copies what lies below `base` in `from` to below `target` in `to`, a batch for each item of the stream.
pub(super) fn copy(
    from: &Storage,
    base: Prefix,
    to: &Storage,
    target: Prefix,
) -> impl Stream<Item = Result<CopyProgress>> + Send + 'static + use<> {
    let overlap = from.router.is_same(&to.router)
        && (base.strip_prefix(&target).is_some() || target.strip_prefix(&base).is_some());
    if overlap {
        return stream::iter([Err(overlapping())]).left_stream();
    }
    let router = to.router.clone();
    let batches = walk::batches(&from.router, base);
    let copied = batches.and_then(move |items| {
        let (router, target) = (router.clone(), target.clone());
        async move { write(&router, &target, items.iter()).await }
    });
    let mut so_far = CopyProgress::default();
    let summed = copied.map_ok(move |batch| {
        so_far.items += batch.items;
        so_far.bytes += batch.bytes;
        so_far
    });
    summed.right_stream()
}

fn overlapping() -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "one of the two bases lies within the other, so the copy would copy itself; copy to a base beside it",
    )
    .with_context(NAME, "copy")
}
