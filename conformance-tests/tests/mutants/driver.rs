//! A driver with a mutation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driver_memory::MemoryDriver;
use session_core::*;

use super::mutation::{Change, Method, Mutation, Trigger};

pub(crate) struct Mutant {
    inner: Arc<MemoryDriver>,
    mutation: Mutation,
    calls: AtomicUsize,
}

/// What the trigger looks at.
#[derive(Default)]
struct Circumstances<'a> {
    key: Option<&'a Key>,
    is_conditional: bool,
    value: Option<&'a Bytes>,
}

impl Mutant {
    pub(crate) fn new(inner: Arc<MemoryDriver>, mutation: Mutation) -> Self {
        Self {
            inner,
            mutation,
            calls: AtomicUsize::new(0),
        }
    }

    /// Whether this call of `method` is the one that differs.
    fn differs(&self, method: Method, now: &Circumstances<'_>) -> bool {
        if self.mutation.method != method {
            return false;
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let key = now.key.map_or("", |key| key.as_str());
        match self.mutation.trigger {
            Trigger::Never => false,
            Trigger::Always => true,
            Trigger::EveryThird => call % 3 == 2,
            Trigger::OnlyConditional => now.is_conditional,
            Trigger::OnlyUnconditional => !now.is_conditional,
            Trigger::OnlyLongValues => now.value.is_some_and(|value| value.len() > 60_000),
            Trigger::OnlyEmptyValues => now.value.is_some_and(|value| value.is_empty()),
            Trigger::OnlyAfterOther => call > 3,
            Trigger::OnlyKeysBeyondAscii => !key.is_ascii(),
            Trigger::OnlyKeysWithPunctuation => {
                key.contains(|c: char| c.is_ascii_punctuation() && c != ':' && c != '-')
            }
        }
    }

    fn is(&self, change: Change) -> bool {
        self.mutation.change == change
    }

    fn fail<T>(&self) -> Result<T> {
        Err(Error::new(ErrorKind::Backend, "a mutation").with_context("memory", "mutant"))
    }

    fn outcome(&self, outcome: WriteOutcome) -> WriteOutcome {
        match outcome {
            WriteOutcome::Written { version, .. } => match self.mutation.change {
                Change::NoVersion => WriteOutcome::written(None),
                Change::OtherVersion => WriteOutcome::written(Some(Version::from_u64(77))),
                Change::SaysConflict => WriteOutcome::Conflict(ConflictState::Unknown),
                _ => WriteOutcome::written(version),
            },
            WriteOutcome::Conflict(_) if self.is(Change::SaysWritten) => {
                WriteOutcome::written(Some(Version::from_u64(78)))
            }
            WriteOutcome::Conflict(state) => WriteOutcome::Conflict(self.conflict(state)),
            other => other,
        }
    }

    fn conflict(&self, state: ConflictState) -> ConflictState {
        match (self.mutation.change, state) {
            (Change::ConflictSaysAbsent, _) => ConflictState::Absent,
            (Change::ConflictShowsOther, ConflictState::Present(entry)) => {
                let mut other = entry;
                other.value = Bytes::from_static(b"another value");
                ConflictState::Present(other)
            }
            (_, state) => state,
        }
    }

    /// Removes the other keys below the same parent.
    async fn remove_neighbour(&self, key: &Key) -> Result<()> {
        let parent = key.as_str().rsplit_once(':');
        let parent = parent.map(|(parent, _)| Key::new(parent)).transpose()?;
        let parent = parent.as_ref().map(Prefix::from).unwrap_or_default();
        let page = self.inner.list(ListOptions::below(parent)).await?;
        if let Some(other) = page.keys.iter().find(|other| *other != key) {
            let _removed = self.inner.remove(other, RemoveOptions::default()).await?;
        }
        Ok(())
    }

    async fn write_mutated(
        &self,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let mutation = &self.mutation;
        let key = &mutation.map_key(key);
        match mutation.change {
            Change::Error => return self.fail(),
            Change::DoNothing => {
                return Ok(WriteOutcome::written(Some(Version::from_u64(79))));
            }
            Change::RemoveBefore => {
                let _removed = self.inner.remove(key, RemoveOptions::default()).await?;
            }
            Change::AlsoRemoveNeighbour => self.remove_neighbour(key).await?,
            Change::AlsoNeighbour => {
                let other = Key::new(&format!("{}:extra", key.as_str()))?;
                let _written = self
                    .inner
                    .write(&other, value.clone(), options.clone())
                    .await?;
            }
            _ => {}
        }
        let mut options = options;
        options.expiry = mutation.map_expiry(options.expiry);
        options.condition = mutation.map_condition(options.condition);
        if self.is(Change::KeepOldExpiry)
            && let Some(old) = self.inner.read(key).await?
        {
            options.expiry = old.expires_at.map_or(Expiry::Never, Expiry::At);
        }
        let value = mutation.map_value(&value);
        Ok(self.outcome(self.inner.write(key, value, options).await?))
    }
}

fn is_conditional(options: &WriteOptions) -> bool {
    options.condition != WriteCondition::Always
}

#[async_trait]
impl Driver for Mutant {
    delegate_driver!(this => this.inner, except read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, close);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let now = Circumstances {
            key: Some(key),
            ..Circumstances::default()
        };
        if !self.differs(Method::Read, &now) {
            return self.inner.read(key).await;
        }
        if self.is(Change::Error) {
            return self.fail();
        }
        let read = self.inner.read(&self.mutation.map_key(key)).await?;
        Ok(self.mutation.map_entry(read))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let now = Circumstances {
            key: Some(key),
            ..Circumstances::default()
        };
        if !self.differs(Method::Exists, &now) {
            return self.inner.exists(key).await;
        }
        if self.is(Change::Error) {
            return self.fail();
        }
        let exists = self.inner.exists(&self.mutation.map_key(key)).await?;
        Ok(exists != self.is(Change::Opposite))
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let now = Circumstances {
            key: Some(key),
            ..Circumstances::default()
        };
        if !self.differs(Method::Metadata, &now) {
            return self.inner.metadata(key).await;
        }
        if self.is(Change::Error) {
            return self.fail();
        }
        let entry = self.inner.read(&self.mutation.map_key(key)).await?;
        let entry = self.mutation.map_entry(entry);
        let mut metadata = entry.as_ref().map(Metadata::from);
        if let (Some(metadata), true) = (&mut metadata, self.is(Change::WrongSize)) {
            metadata.size = metadata.size.map(|size| size + 1);
        }
        Ok(metadata)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let now = Circumstances {
            key: keys.first(),
            ..Circumstances::default()
        };
        if !self.differs(Method::ReadMany, &now) {
            return self.inner.read_many(keys).await;
        }
        if self.is(Change::Error) {
            return self.fail();
        }
        let mapped: Vec<Key> = keys.iter().map(|key| self.mutation.map_key(key)).collect();
        let mut entries = self.inner.read_many(&mapped).await?;
        match self.mutation.change {
            Change::DropFirst if !entries.is_empty() => drop(entries.remove(0)),
            Change::DropLast => drop(entries.pop()),
            Change::SwapAnswers => entries.reverse(),
            _ => {}
        }
        Ok(entries
            .into_iter()
            .map(|entry| self.mutation.map_entry(entry))
            .collect())
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let now = Circumstances {
            key: Some(key),
            is_conditional: is_conditional(&options),
            value: Some(&value),
        };
        match self.differs(Method::Write, &now) {
            true => self.write_mutated(key, value, options).await,
            false => self.inner.write(key, value, options).await,
        }
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut outcomes = Vec::new();
        let count = writes.len();
        let mut writes: Vec<(usize, Write)> = writes.into_iter().enumerate().collect();
        let is_reversed = self.mutation.method == Method::WriteMany && self.is(Change::Reversed);
        if is_reversed {
            writes.reverse();
        }
        for (number, write) in writes {
            let now = Circumstances {
                key: Some(&write.key),
                is_conditional: is_conditional(&write.options),
                value: Some(&write.value),
            };
            let differs = self.differs(Method::WriteMany, &now);
            let skips = match self.mutation.change {
                Change::OnlyFirst => number > 0,
                Change::OnlyLast => number + 1 < count,
                _ => false,
            };
            outcomes.push(match differs {
                true if skips => Ok(WriteOutcome::written(Some(Version::from_u64(80)))),
                true => {
                    self.write_mutated(&write.key, write.value, write.options)
                        .await
                }
                false => {
                    let Write {
                        key,
                        value,
                        options,
                        ..
                    } = write;
                    self.inner.write(&key, value, options).await
                }
            });
        }
        if is_reversed {
            outcomes.reverse();
        }
        if self.mutation.method == Method::WriteMany {
            match self.mutation.change {
                Change::DropFirst if !outcomes.is_empty() => drop(outcomes.remove(0)),
                Change::DropLast => drop(outcomes.pop()),
                Change::SwapAnswers => outcomes.reverse(),
                _ => {}
            }
        }
        outcomes
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let now = Circumstances {
            key: Some(key),
            is_conditional: options.if_version.is_some(),
            value: None,
        };
        if !self.differs(Method::Remove, &now) {
            return self.inner.remove(key, options).await;
        }
        let key = &self.mutation.map_key(key);
        match self.mutation.change {
            Change::Error => return self.fail(),
            Change::DoNothing => return Ok(RemoveOutcome::Removed),
            Change::AlsoRemoveNeighbour => self.remove_neighbour(key).await?,
            _ => {}
        }
        let options = match self.is(Change::IgnoreCondition) {
            true => RemoveOptions::default(),
            false => options,
        };
        Ok(match self.inner.remove(key, options).await? {
            RemoveOutcome::Removed if self.is(Change::SaysConflict) => {
                RemoveOutcome::Conflict(ConflictState::Unknown)
            }
            RemoveOutcome::Conflict(_) if self.is(Change::SaysWritten) => RemoveOutcome::Removed,
            RemoveOutcome::Conflict(state) => RemoveOutcome::Conflict(self.conflict(state)),
            removed => removed,
        })
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let now = Circumstances {
            key: keys.first(),
            ..Circumstances::default()
        };
        if !self.differs(Method::RemoveMany, &now) {
            return self.inner.remove_many(keys).await;
        }
        let mapped: Vec<Key> = keys.iter().map(|key| self.mutation.map_key(key)).collect();
        match self.mutation.change {
            Change::Error => self.fail(),
            Change::DoNothing => Ok(()),
            Change::OnlyFirst => self.inner.remove_many(&mapped[..mapped.len().min(1)]).await,
            Change::OnlyLast => {
                let last = mapped.len().saturating_sub(1);
                self.inner.remove_many(&mapped[last..]).await
            }
            Change::AlsoRemoveNeighbour => {
                if let Some(key) = mapped.first() {
                    self.remove_neighbour(key).await?;
                }
                self.inner.remove_many(&mapped).await
            }
            _ => self.inner.remove_many(&mapped).await,
        }
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let now = Circumstances {
            key: Some(key),
            is_conditional: options.if_version.is_some(),
            value: None,
        };
        if !self.differs(Method::Touch, &now) {
            return self.inner.touch(key, options).await;
        }
        let key = &self.mutation.map_key(key);
        let mut options = options;
        options.expiry = self.mutation.map_expiry(options.expiry);
        match self.mutation.change {
            Change::Error => return self.fail(),
            Change::DoNothing => return self.inner.exists(key).await,
            Change::IgnoreCondition => options.if_version = None,
            Change::RemoveBefore => {
                let removal = RemoveOptions::default();
                let _removed = self.inner.remove(key, removal).await?;
            }
            Change::TouchRewrites => {
                let touched = self.inner.touch(key, options.clone()).await?;
                if let (true, Some(entry)) = (touched, self.inner.read(key).await?) {
                    let rewrite = WriteOptions::default().with_expiry(options.expiry);
                    let _written = self.inner.write(key, entry.value, rewrite).await?;
                }
                return Ok(touched);
            }
            _ => {}
        }
        let touched = self.inner.touch(key, options).await?;
        Ok(touched != self.is(Change::Opposite))
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        if !self.differs(Method::List, &Circumstances::default()) {
            return self.inner.list(options).await;
        }
        let prefix = options.prefix.clone();
        let mut page = self.inner.list(options).await?;
        match self.mutation.change {
            Change::Error => return self.fail(),
            Change::DropFirst if !page.keys.is_empty() => drop(page.keys.remove(0)),
            Change::DropLast => drop(page.keys.pop()),
            Change::Twice => page.keys.extend(page.keys.first().cloned()),
            Change::StopEarly => page.next = None,
            Change::Found => page.keys.push(prefix.join(&Key::new("found")?)),
            _ => {}
        }
        Ok(page)
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        if !self.differs(Method::Clear, &Circumstances::default()) {
            return self.inner.clear(prefix).await;
        }
        match self.mutation.change {
            Change::Error => self.fail(),
            Change::DoNothing => Ok(()),
            Change::OnlyFirst => {
                let below = ListOptions::below(prefix.clone());
                let page = self.inner.list(below).await?;
                let first = page.keys.get(..1).unwrap_or_default();
                self.inner.remove_many(first).await
            }
            Change::AlsoRemoveNeighbour => {
                let key = prefix.join(&Key::new("none")?);
                let parent = Key::new(prefix.as_str()).unwrap_or(key);
                self.remove_neighbour(&parent).await?;
                self.inner.clear(prefix).await
            }
            _ => self.inner.clear(prefix).await,
        }
    }

    /// Closing a client does not close the backend that all share.
    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
