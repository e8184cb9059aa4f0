//! The listing of an overlay.

use std::sync::Arc;

use super::stored::is_removal;
use super::{BATCH, Overlay};
use crate::{Cursor, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage, Result};

/// The listing of an overlay, layer by layer from the lowest.
///
/// This order does not miss an entry that is written to the top layer meanwhile. A key is listed by the lowest layer
/// that has it.
pub(super) struct Listed {
    /// From the top layer down.
    layers: Vec<Arc<dyn Driver>>,
}

impl Listed {
    pub(super) fn new(layers: Vec<Arc<dyn Driver>>) -> Self {
        Self { layers }
    }

    pub(super) async fn page(&self, options: ListOptions) -> Result<ListPage> {
        let (number, cursor) = match &options.cursor {
            Some(cursor) => parse(cursor)?,
            None => (self.layers.len() - 1, None),
        };
        let layer = self.layers.get(number).ok_or_else(foreign_cursor)?;
        let page = layer.list(ListOptions { cursor, ..options }).await?;
        let mut keys = Vec::with_capacity(page.keys.len());
        for batch in page.keys.chunks(BATCH) {
            keys.extend(self.listed_by(number, batch).await?);
        }
        let next = match page.next {
            Some(cursor) => Some(layer_cursor(number, Some(&cursor))),
            None => number.checked_sub(1).map(|above| layer_cursor(above, None)),
        };
        Ok(ListPage::new(keys, next))
    }

    /// Returns those of the `keys` of a layer that the layer lists.
    async fn listed_by(&self, number: usize, keys: &[Key]) -> Result<Vec<Key>> {
        let (upper, lower) = self.layers.split_at(number + 1);
        let above = Overlay::stored_in(upper, keys).await?;
        let below = Overlay::stored_in(lower, keys).await?;
        let all = keys.iter().zip(above).zip(below);
        let listed = all.filter(|((_, above), below)| is_entry(above) && below.is_none());
        Ok(listed.map(|((key, _), _)| key.clone()).collect())
    }
}

fn is_entry(stored: &Option<Entry>) -> bool {
    stored.as_ref().is_some_and(|entry| !is_removal(entry))
}

/// A cursor: the number of a layer, then `/`, then `=` and the layer's own cursor, or nothing at its start.
fn layer_cursor(number: usize, cursor: Option<&Cursor>) -> Cursor {
    let within = cursor.map(|cursor| format!("={}", cursor.as_str()));
    Cursor::new(format!("{number}/{}", within.unwrap_or_default()))
}

fn parse(cursor: &Cursor) -> Result<(usize, Option<Cursor>)> {
    let (number, within) = cursor.as_str().split_once('/').ok_or_else(foreign_cursor)?;
    let number = number.parse().map_err(|_| foreign_cursor())?;
    match within.strip_prefix('=') {
        Some(within) => Ok((number, Some(Cursor::new(within)))),
        None if within.is_empty() => Ok((number, None)),
        None => Err(foreign_cursor()),
    }
}

fn foreign_cursor() -> Error {
    let message = "the cursor is not from this driver; start without a cursor";
    Error::new(ErrorKind::InvalidKey, message).with_context("overlay", "list")
}
