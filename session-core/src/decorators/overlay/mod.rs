//! Layers of drivers, in which all changes go to the top layer.

mod listing;
mod stored;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::listing::Listed;
use self::stored::{Layer, REMOVED, escaped, is_removal, tagged, untagged, visible};
use crate::{
    Capabilities, Conditions, ConflictState, Driver, Entry, Error, ErrorKind, Expiry, Key,
    ListOptions, ListPage, Listing, Metadata, RemoveOptions, RemoveOutcome, Result, Version, Write,
    WriteCondition, WriteOptions, WriteOutcome,
};

/// A driver that combines several drivers in layers.
///
/// Reads return the entry of the first layer that has the key. Writes go to the top layer only.
///
/// ```
/// use std::sync::Arc;
/// use session_core::{decorators::Overlay, Driver};
///
/// fn sandbox(live: Arc<dyn Driver>, scratch: Arc<dyn Driver>) -> impl Driver {
///     Overlay::new(scratch, [live])
/// }
/// ```
///
/// An entry hides entries of the same key in lower layers. Removing an entry of a lower layer writes the tombstone
/// `__OVERLAY_REMOVED__` to the top layer, as unstorage's overlay does. The tombstone expires together with the entry
/// that it hides. A value that looks like a tombstone is stored with a `\` appended. If no lower layer has the key, no
/// tombstone is written, so tombstones do not accumulate.
///
/// # Limits
///
/// When an entry of the top layer *expires*, the entry of a lower layer becomes visible again. Remove the entry instead,
/// or use an expiry only for keys that the lower layers do not have.
///
/// The lower layers should not change. Conditions are atomic among writers of the top layer; they do not detect a
/// concurrent write to a lower layer. A key that moves between layers during a listing may be missed or listed twice.
///
/// `touch` and `watch` are not supported. A listing reads the values of the listed keys, 32 at a time, to find
/// tombstones. Closing it closes all layers.
#[derive(Clone, Debug)]
pub struct Overlay {
    top: Arc<dyn Driver>,
    below: Vec<Arc<dyn Driver>>,
}

/// How many entries of a layer are read at a time.
const BATCH: usize = 32;

/// How often a write with the condition `IfAbsent` is retried while other writers change the key's tombstone.
const MAX_ATTEMPTS: usize = 64;

impl Overlay {
    /// Creates an overlay that reads from `top` and then from `below`, in that order, and writes to `top`.
    pub fn new(top: Arc<dyn Driver>, below: impl IntoIterator<Item = Arc<dyn Driver>>) -> Self {
        Self {
            top,
            below: below.into_iter().collect(),
        }
    }

    fn layers(&self) -> impl DoubleEndedIterator<Item = &Arc<dyn Driver>> {
        std::iter::once(&self.top).chain(&self.below)
    }

    /// Returns the entry of `key` in the lower layers, as it is stored.
    async fn stored_below(&self, key: &Key) -> Result<Option<Entry>> {
        for layer in &self.below {
            if let Some(entry) = layer.read(key).await? {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Returns the entry of `key` in the lower layers; `None` for a tombstone.
    async fn visible_below(&self, key: &Key) -> Result<Option<Entry>> {
        let entry = self.stored_below(key).await?;
        Ok(entry.and_then(|entry| visible(entry, Layer::Below)))
    }

    /// Returns the entry of each key in the first of `layers` that has it, as it is stored. `keys` are few.
    async fn stored_in(layers: &[Arc<dyn Driver>], keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mut entries: Vec<Option<Entry>> = vec![None; keys.len()];
        for layer in layers {
            let missing: Vec<(usize, Key)> = keys
                .iter()
                .enumerate()
                .filter(|(place, _)| entries.get(*place).is_some_and(Option::is_none))
                .map(|(place, key)| (place, key.clone()))
                .collect();
            if missing.is_empty() {
                break;
            }
            let (places, keys): (Vec<usize>, Vec<Key>) = missing.into_iter().unzip();
            for (place, entry) in places.into_iter().zip(layer.read_many(&keys).await?) {
                if let Some(slot) = entries.get_mut(place) {
                    *slot = entry;
                }
            }
        }
        Ok(entries)
    }

    /// Converts the conflict of the top layer to one of the overlay.
    async fn to_conflict(&self, key: &Key, current: ConflictState) -> Result<ConflictState> {
        Ok(match current {
            ConflictState::Present(entry) => conflict_state(visible(entry, Layer::Top)),
            ConflictState::Absent => conflict_state(self.visible_below(key).await?),
            ConflictState::Unknown => ConflictState::Unknown,
        })
    }

    /// Returns the version that the top layer must have for `version` to be current; otherwise the conflict.
    ///
    /// An entry of a lower layer is current as long as the top layer does not have the key.
    async fn condition_on_top(
        &self,
        key: &Key,
        version: &Version,
    ) -> Result<std::result::Result<WriteCondition, ConflictState>> {
        let Some((place, own)) = untagged(version) else {
            return Ok(Err(ConflictState::Unknown));
        };
        if place == Layer::Top {
            return Ok(Ok(WriteCondition::IfVersion(own)));
        }
        let entry = self.visible_below(key).await?;
        let is_current = entry
            .as_ref()
            .is_some_and(|entry| entry.version.as_ref() == Some(version));
        Ok(match (is_current, entry) {
            (true, _) => Ok(WriteCondition::IfAbsent),
            // The top layer may have another version.
            (false, _) => Err(ConflictState::Unknown),
        })
    }

    async fn write_if_absent(
        &self,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        for _ in 0..MAX_ATTEMPTS {
            let condition = match self.top.read(key).await? {
                Some(entry) if is_removal(&entry) => match entry.version {
                    Some(version) => WriteCondition::IfVersion(version),
                    None => return Err(self.without_conditions("write")),
                },
                Some(entry) => {
                    let current = conflict_state(visible(entry, Layer::Top));
                    return Ok(WriteOutcome::Conflict(current));
                }
                None => match self.visible_below(key).await? {
                    Some(entry) => {
                        return Ok(WriteOutcome::Conflict(ConflictState::Present(entry)));
                    }
                    None => WriteCondition::IfAbsent,
                },
            };
            let options = options.clone().with_condition(condition);
            if let WriteOutcome::Written { version, .. } =
                self.top.write(key, value.clone(), options).await?
            {
                return Ok(written(version));
            }
            // Another writer changed an entry or a tombstone meanwhile.
        }
        let message = "other writers kept changing this entry; try again later";
        Err(Error::new(ErrorKind::Contended, message).with_context(self.name(), "write"))
    }

    fn without_conditions(&self, operation: &'static str) -> Error {
        Error::unsupported(self.name(), operation)
    }

    fn check_conditions(&self, operation: &'static str) -> Result<()> {
        match self.capabilities().conditions {
            Conditions::None => Err(self.without_conditions(operation)),
            _ => Ok(()),
        }
    }

    /// A tombstone that hides `entry` until it expires.
    fn removal_of(key: &Key, entry: &Entry) -> Write {
        let expiry = entry.expires_at.map_or(Expiry::Never, Expiry::At);
        Write::new(key.clone(), Bytes::from_static(REMOVED))
            .with_options(WriteOptions::default().with_expiry(expiry))
    }

    async fn remove_if(&self, key: &Key, version: &Version) -> Result<RemoveOutcome> {
        self.check_conditions("remove")?;
        let condition = match self.condition_on_top(key, version).await? {
            Ok(condition) => condition,
            Err(current) => return Ok(RemoveOutcome::Conflict(current)),
        };
        let hidden = self.visible_below(key).await?;
        let conflict = match (hidden, condition) {
            (None, WriteCondition::IfVersion(own)) => {
                let options = RemoveOptions::if_version(own);
                match self.top.remove(key, options).await? {
                    RemoveOutcome::Removed => return Ok(RemoveOutcome::Removed),
                    RemoveOutcome::Conflict(current) => current,
                }
            }
            (None, _) => ConflictState::Unknown,
            (Some(entry), condition) => {
                let Write { value, options, .. } = Self::removal_of(key, &entry);
                let write = self.top.write(
                    key,
                    value,
                    WriteOptions {
                        condition,
                        ..options
                    },
                );
                match write.await? {
                    WriteOutcome::Written { .. } => return Ok(RemoveOutcome::Removed),
                    WriteOutcome::Conflict(current) => current,
                }
            }
        };
        Ok(RemoveOutcome::Conflict(
            self.to_conflict(key, conflict).await?,
        ))
    }
}

fn written(version: Option<Version>) -> WriteOutcome {
    let version = version.map(|version| tagged(&version, Layer::Top));
    WriteOutcome::written(version)
}

fn conflict_state(visible: Option<Entry>) -> ConflictState {
    visible.map_or(ConflictState::Absent, ConflictState::Present)
}

#[async_trait]
impl Driver for Overlay {
    fn name(&self) -> &str {
        self.top.name()
    }

    fn capabilities(&self) -> Capabilities {
        let top = self.top.capabilities();
        let below = self.below.iter().map(|layer| layer.capabilities());
        let shared = below.fold(top.clone(), Capabilities::shared_with);
        let conditions = match self.below.is_empty() {
            true => shared.conditions,
            false => shared.conditions.min(Conditions::Advisory),
        };
        shared
            // Which layer an entry comes from can change without a change of the entry.
            .with_invalidations(false)
            .with_read_only(top.read_only)
            .with_conditions(conditions)
            .with_touch(false)
            .with_watch(false)
            .with_max_value_size(top.max_value_size)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        match self.top.read(key).await? {
            Some(entry) => Ok(visible(entry, Layer::Top)),
            None => self.visible_below(key).await,
        }
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let value = escaped(value);
        let condition = match &options.condition {
            WriteCondition::Always => WriteCondition::Always,
            WriteCondition::IfAbsent => {
                self.check_conditions("write")?;
                return self.write_if_absent(key, value, options).await;
            }
            WriteCondition::IfVersion(version) => {
                self.check_conditions("write")?;
                match self.condition_on_top(key, version).await? {
                    Ok(condition) => condition,
                    Err(current) => return Ok(WriteOutcome::Conflict(current)),
                }
            }
        };
        let options = options.with_condition(condition);
        Ok(match self.top.write(key, value, options).await? {
            WriteOutcome::Written { version, .. } => written(version),
            WriteOutcome::Conflict(current) => {
                WriteOutcome::Conflict(self.to_conflict(key, current).await?)
            }
        })
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        match options.if_version {
            Some(version) => self.remove_if(key, &version).await,
            None => {
                self.remove_many(std::slice::from_ref(key)).await?;
                Ok(RemoveOutcome::Removed)
            }
        }
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        if self.capabilities().listing == Listing::None {
            return Err(Error::unsupported(self.name(), "list"));
        }
        let layers = self.layers().cloned().collect();
        Listed::new(layers).page(options).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        for (number, layer) in self.layers().enumerate() {
            let Some(entry) = layer.read(key).await? else {
                continue;
            };
            let place = if number == 0 {
                Layer::Top
            } else {
                Layer::Below
            };
            let Some(entry) = visible(entry, place) else {
                return Ok(None);
            };
            let native = layer.metadata(key).await?.unwrap_or_default();
            return Ok(Some(Metadata {
                created_at: native.created_at,
                modified_at: native.modified_at,
                ..Metadata::from(&entry)
            }));
        }
        Ok(None)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let top = self.top.read_many(keys).await?;
        let is_missing =
            |(key, entry): (&Key, &Option<Entry>)| entry.is_none().then(|| key.clone());
        let missing: Vec<Key> = keys.iter().zip(&top).filter_map(is_missing).collect();
        let mut below = Self::stored_in(&self.below, &missing).await?.into_iter();
        let entries = top.into_iter().map(|entry| match entry {
            Some(entry) => visible(entry, Layer::Top),
            None => visible(below.next().flatten()?, Layer::Below),
        });
        Ok(entries.collect())
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let is_unconditional = |write: &Write| write.options.condition == WriteCondition::Always;
        if writes.iter().all(is_unconditional) {
            let escaped = writes.into_iter().map(|write| Write {
                value: escaped(write.value),
                ..write
            });
            let outcomes = self.top.write_many(escaped.collect()).await;
            let tagged = |outcome| match outcome {
                WriteOutcome::Written { version, .. } => written(version),
                // Cannot happen without a condition.
                conflict => conflict,
            };
            return outcomes
                .into_iter()
                .map(|outcome| outcome.map(tagged))
                .collect();
        }
        let mut outcomes = Vec::with_capacity(writes.len());
        for write in writes {
            outcomes.push(self.write(&write.key, write.value, write.options).await);
        }
        outcomes
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        for keys in keys.chunks(BATCH) {
            let below = Self::stored_in(&self.below, keys).await?;
            let (mut marks, mut alone) = (Vec::new(), Vec::new());
            for (key, entry) in keys.iter().zip(below) {
                match entry.filter(|entry| !is_removal(entry)) {
                    Some(entry) => marks.push(Self::removal_of(key, &entry)),
                    None => alone.push(key.clone()),
                }
            }
            if !marks.is_empty() {
                for outcome in self.top.write_many(marks).await {
                    let _unconditional = outcome?;
                }
            }
            self.top.remove_many(&alone).await?;
        }
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        let mut closed = Ok(());
        for layer in self.layers() {
            closed = closed.and(layer.close().await);
        }
        closed
    }
}
