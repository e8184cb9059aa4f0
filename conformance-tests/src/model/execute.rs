//! Runs a program on drivers and on the reference side by side.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Bytes, ConflictState, Driver, Error, ErrorKind, Key, ListOptions, Listing, Prefix,
    RemoveOptions, RemoveOutcome, Timestamp, TouchOptions, Version, Write, WriteCondition,
    WriteOptions, WriteOutcome,
};

use super::code::Code;
use super::program::{Action, Below, KeyNumber, Named, Only, Program, Put, Step};
use super::reference::{Known, Life, Presence, Reference, Span};
use crate::cases::may_reject;
use crate::context::foreign_failure;
use crate::failure::{Failure, excerpt};
use crate::subject::ForeignWrite;

/// The drivers that a program runs on.
pub(crate) struct World {
    pub(crate) instances: Vec<Instance>,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) foreign: Option<Arc<ForeignWrite>>,
    /// The unit of short lives.
    pub(crate) unit: Duration,
}

/// A driver under test, and the driver that makes changes if that is read-only.
pub(crate) struct Instance {
    pub(crate) reader: Arc<dyn Driver>,
    pub(crate) writer: Arc<dyn Driver>,
}

/// The longest wait of one step.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Keys of fewer bytes must be accepted, as long as [`may_reject`] does not list them.
const ALWAYS_ACCEPTED: usize = 100;

/// More pages than a listing of a program has.
const MOST_PAGES: usize = 10_000;

/// A program that found a difference: it as code, and the difference.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub(crate) code: String,
    pub(crate) failure: Failure,
}

/// Runs `program` from an empty store. Afterwards the store is empty again, unless the drivers are wrong.
pub(crate) async fn execute(program: &Program, world: &World) -> Result<(), Difference> {
    let Some(first) = world.instances.first() else {
        return Ok(());
    };
    let keys = usable_keys(program, first)
        .await
        .map_err(|failure| Difference {
            code: String::new(),
            failure,
        })?;
    let Some(first_key) = keys.first().cloned() else {
        return Ok(());
    };
    let capabilities = first.reader.capabilities();
    let mut execution = Execution {
        world,
        reference: Reference::new(capabilities, world.default_ttl),
        code: Code::new(&keys, world.unit),
        first: first_key,
        foreign: HashSet::new(),
        keys,
    };
    let result = execution.run(&program.steps).await;
    for key in &execution.keys {
        // The case removes what is left after a failure.
        if first
            .writer
            .remove(key, RemoveOptions::default())
            .await
            .is_err()
        {
            break;
        }
    }
    result.map_err(|failure| Difference {
        code: execution.code.print(&failure),
        failure,
    })
}

/// The keys of `program` that the driver accepts. A key that it may refuse is tried out.
async fn usable_keys(program: &Program, instance: &Instance) -> Result<Vec<Key>, Failure> {
    let capabilities = instance.reader.capabilities();
    let mut keys: Vec<Key> = Vec::new();
    for name in &program.keys {
        let Ok(key) = Key::new(name) else { continue };
        let length = key.as_bytes().len();
        let nests =
            |other: &Key| Prefix::from(other).contains(&key) || Prefix::from(&key).contains(other);
        if keys.contains(&key)
            || capabilities.max_key_size.is_some_and(|most| length > most)
            || (!capabilities.nested_keys && keys.iter().any(nests))
            || (capabilities.unlisted_metadata && name.ends_with('$'))
        {
            continue;
        }
        if may_reject(&key) || length >= ALWAYS_ACCEPTED {
            let write = WriteOptions::default();
            match instance.writer.write(&key, "probe".into(), write).await {
                Ok(_) => {
                    let removal = RemoveOptions::default();
                    let _unconditional = instance.writer.remove(&key, removal).await?;
                }
                Err(error) if is_refusal(&error) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        keys.push(key);
    }
    Ok(keys)
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidKey | ErrorKind::TooLarge)
}

/// Whether a condition holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// It depends on whether an entry has expired, or on a version that is not known.
    Maybe,
}

struct Execution<'w> {
    world: &'w World,
    reference: Reference,
    code: Code,
    keys: Vec<Key>,
    first: Key,
    /// What another program wrote already.
    foreign: HashSet<(Key, Bytes)>,
}

impl Execution<'_> {
    async fn run(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            self.step(step).await?;
        }
        // At the end every entry is read by every driver, and the listing is complete.
        for number in 0..self.world.instances.len() {
            for key in 0..self.keys.len() {
                self.read(number, key).await?;
                self.exists(number, key).await?;
            }
        }
        if self.can_list() {
            self.list(0, &Below::Root, 1_000).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        let instance = step.instance;
        match &step.action {
            Action::Read(key) => self.read(instance, *key).await,
            Action::Exists(key) => self.exists(instance, *key).await,
            Action::Metadata(key) => self.metadata(instance, *key).await,
            Action::ReadMany(keys) => self.read_many(instance, keys).await,
            Action::Write(put) => self.write(instance, put).await,
            Action::WriteMany(puts) => self.write_many(instance, puts).await,
            Action::Remove(key, named) => self.remove(instance, *key, named.as_ref()).await,
            Action::RemoveMany(keys) => self.remove_many(instance, keys).await,
            Action::Touch(key, when, named) => {
                let now = Timestamp::now();
                let options = TouchOptions::to(when.expiry(now, self.world.unit));
                let when = when.code(self.world.unit);
                self.touch(instance, *key, options, &when, named.as_ref())
                    .await
            }
            Action::List(below, limit) => self.list(instance, below, *limit).await,
            Action::Clear(below) => self.clear(instance, below).await,
            Action::Foreign(key, content) => {
                self.foreign(*key, content.bytes(), content.to_string())
                    .await
            }
            Action::Wait => {
                if let Some(end) = self.reference.next_end(LONGEST_WAIT) {
                    let wait = end.saturating_since(Timestamp::now());
                    self.code.wait(wait);
                    tokio::time::sleep(wait).await;
                }
                Ok(())
            }
        }
    }

    fn can_list(&self) -> bool {
        let instance = self.world.instances.first();
        instance.is_some_and(|first| first.reader.capabilities().listing != Listing::None)
    }

    /// The key with this number, and its name in the code.
    fn key(&self, number: KeyNumber) -> (Key, String) {
        let number = number % self.keys.len().max(1);
        let key = self.keys.get(number).unwrap_or(&self.first);
        (key.clone(), format!("&key_{number}"))
    }

    fn reader(&self, instance: usize) -> Result<Arc<dyn Driver>, Failure> {
        self.instance(instance)
            .map(|instance| Arc::clone(&instance.reader))
    }

    fn writer(&self, instance: usize) -> Result<Arc<dyn Driver>, Failure> {
        self.instance(instance)
            .map(|instance| Arc::clone(&instance.writer))
    }

    fn instance(&self, number: usize) -> Result<&Instance, Failure> {
        let count = self.world.instances.len().max(1);
        let instance = self.world.instances.get(number % count);
        instance.ok_or_else(|| Failure::new("a driver", "none"))
    }

    async fn read(&mut self, instance: usize, key: KeyNumber) -> Result<(), Failure> {
        let (key, name) = self.key(key);
        let driver = self.reader(instance)?;
        let now = span_from(Timestamp::now());
        let expected = self.expected_value(&key, now);
        self.code
            .call(instance, &format!("read({name})"), &expected);
        let (read, span) = timed(driver.read(&key)).await;
        let entry = read?;
        self.reference.compare(&key, entry.as_ref(), span)
    }

    /// What a read answers, as a comment in the code.
    fn expected_value(&self, key: &Key, span: Span) -> String {
        match self.reference.presence(key, span) {
            Presence::Absent => "// None".to_owned(),
            Presence::Either => "// the entry, or None if it has expired".to_owned(),
            Presence::Present => {
                let known = self.reference.entries.get(key);
                let code = known.map(|known| known.code.clone());
                format!("// {}", code.unwrap_or_default())
            }
        }
    }

    async fn exists(&mut self, instance: usize, key: KeyNumber) -> Result<(), Failure> {
        let (key, name) = self.key(key);
        let driver = self.reader(instance)?;
        self.code.call(instance, &format!("exists({name})"), "");
        let (exists, span) = timed(driver.exists(&key)).await;
        match exists? {
            true => self
                .reference
                .compare_presence(&key, span, || "`true` from exists".to_owned()),
            false => self
                .reference
                .compare_absence(&key, span, "`false` from exists"),
        }
    }

    async fn metadata(&mut self, instance: usize, key: KeyNumber) -> Result<(), Failure> {
        let (key, name) = self.key(key);
        let driver = self.reader(instance)?;
        self.code.call(instance, &format!("metadata({name})"), "");
        let (metadata, span) = timed(driver.metadata(&key)).await;
        self.reference
            .compare_metadata(&key, metadata?.as_ref(), span)
    }

    async fn read_many(&mut self, instance: usize, keys: &[KeyNumber]) -> Result<(), Failure> {
        let (keys, names) = self.all(keys);
        let driver = self.reader(instance)?;
        self.code
            .call(instance, &format!("read_many(&[{names}])"), "");
        let (read, span) = timed(driver.read_many(&keys)).await;
        let read = read?;
        count("entries", read.len(), keys.len())?;
        for (number, (key, entry)) in keys.iter().zip(&read).enumerate() {
            self.reference
                .compare(key, entry.as_ref(), span)
                .map_err(|failure| failure.at(format!("the entry at {number}")))?;
        }
        Ok(())
    }

    fn all(&self, keys: &[KeyNumber]) -> (Vec<Key>, String) {
        let (keys, names): (Vec<Key>, Vec<String>) = keys
            .iter()
            .map(|key| {
                let (key, name) = self.key(*key);
                (key, format!("{}.clone()", name.trim_start_matches('&')))
            })
            .unzip();
        (keys, names.join(", "))
    }

    /// Resolves which version a condition names. `None` if there is none yet.
    fn version(&self, key: &Key, named: &Named) -> Option<Version> {
        let seen = |key: &Key| self.reference.versions.get(key);
        match named {
            Named::Current => {
                let current = self.reference.entries.get(key);
                let current = current.and_then(|known| known.version.clone());
                current.or_else(|| Some(seen(key)?.last()?.0.clone()))
            }
            Named::Earlier(number) => {
                let seen = seen(key)?;
                let version = seen.get(number % seen.len().max(1))?;
                Some(version.0.clone())
            }
            Named::Of(other) => Some(seen(&self.key(*other).0)?.last()?.0.clone()),
        }
    }

    fn holds(&self, key: &Key, condition: &WriteCondition, span: Span) -> Holds {
        let presence = self.reference.presence(key, span);
        match condition {
            WriteCondition::Always => Holds::Yes,
            WriteCondition::IfAbsent => match presence {
                Presence::Present => Holds::No,
                Presence::Absent => Holds::Yes,
                Presence::Either => Holds::Maybe,
            },
            WriteCondition::IfVersion(version) => self.has_version(key, Some(version), presence),
        }
    }

    /// Whether the entry is there, and at `version` if one is named.
    fn has_version(&self, key: &Key, version: Option<&Version>, presence: Presence) -> Holds {
        let known = self.reference.entries.get(key);
        let matches = match (version, known.and_then(|known| known.version.as_ref())) {
            (None, _) => Holds::Yes,
            (Some(named), Some(current)) if named == current => Holds::Yes,
            (Some(_), Some(_)) => Holds::No,
            (Some(named), None) => {
                // The version of a foreign write is not known; it differs from that of other bytes.
                let seen = self.reference.versions.get(key).into_iter().flatten();
                let other = seen
                    .filter(|(version, _)| version == named)
                    .any(|(_, value)| known.is_some_and(|known| known.value != *value));
                if other { Holds::No } else { Holds::Maybe }
            }
        };
        match (presence, matches) {
            (Presence::Absent, _) | (_, Holds::No) => Holds::No,
            (Presence::Present, matches) => matches,
            (Presence::Either, _) => Holds::Maybe,
        }
    }

    /// Turns a write of a program into one for the driver, and into code.
    fn prepare(&self, put: &Put) -> (Write, String) {
        let (key, name) = self.key(put.key);
        let condition = match &put.only {
            Only::Always => WriteCondition::Always,
            Only::IfAbsent => WriteCondition::IfAbsent,
            Only::IfVersion(named) => match self.version(&key, named) {
                Some(version) => WriteCondition::IfVersion(version),
                None => WriteCondition::Always,
            },
        };
        let expiry = put.when.expiry(Timestamp::now(), self.world.unit);
        let options = self.code.options(&key, &condition, put.when);
        let code = format!("{name}, {}, {options}", put.content);
        let options = WriteOptions::default()
            .with_condition(condition)
            .with_expiry(expiry);
        let write = Write::new(key, put.content.bytes()).with_options(options);
        (write, code)
    }

    fn fits(&self, write: &Write) -> bool {
        let limit = self.world.instances.first();
        let limit = limit.and_then(|first| first.writer.capabilities().max_value_size);
        limit.is_none_or(|limit| write.value.len() <= limit)
    }

    async fn write(&mut self, instance: usize, put: &Put) -> Result<(), Failure> {
        let (write, code) = self.prepare(put);
        if !self.fits(&write) {
            return Ok(());
        }
        let driver = self.writer(instance)?;
        let holds = self.holds(
            &write.key,
            &write.options.condition,
            span_from(Timestamp::now()),
        );
        let line = self.code.write(instance, &format!("write({code})"), holds);
        let call = driver.write(&write.key, write.value.clone(), write.options.clone());
        let (outcome, span) = timed(call).await;
        self.written(&write, &put.content.to_string(), outcome?, span, &line)
    }

    async fn write_many(&mut self, instance: usize, puts: &[Put]) -> Result<(), Failure> {
        let mut prepared: Vec<(Write, String, String)> = Vec::new();
        for put in puts {
            let (write, code) = self.prepare(put);
            if self.fits(&write) {
                prepared.push((write, code, put.content.to_string()));
            }
        }
        let driver = self.writer(instance)?;
        let codes = prepared.iter().map(|(_, code, _)| code.as_str());
        let name = self.code.write_many(instance, codes);
        let writes = prepared.iter().map(|(write, ..)| write.clone()).collect();
        let (outcomes, span) = timed(driver.write_many(writes)).await;
        count("outcomes", outcomes.len(), prepared.len())?;
        for (number, ((write, _, content), outcome)) in prepared.iter().zip(outcomes).enumerate() {
            let line = format!("version(&{name}[{number}])");
            outcome
                .map_err(Failure::from)
                .and_then(|outcome| self.written(write, content, outcome, span, &line))
                .map_err(|failure| failure.at(format!("the write at {number}")))?;
        }
        Ok(())
    }

    /// Compares the outcome of a write and notes what it changed.
    fn written(
        &mut self,
        write: &Write,
        content: &str,
        outcome: WriteOutcome,
        span: Span,
        line: &str,
    ) -> Result<(), Failure> {
        let key = &write.key;
        let condition = &write.options.condition;
        let holds = self.holds(key, condition, span);
        match outcome {
            WriteOutcome::Written { version, .. } => {
                if holds == Holds::No {
                    let state = self.state(key, span);
                    return Err(Failure::new(
                        format!("a conflict, because {state}"),
                        "the write was made",
                    ));
                }
                let known = Known {
                    value: write.value.clone(),
                    code: content.to_owned(),
                    version: None,
                    life: self.reference.life(write.options.expiry, span),
                };
                if let Some(version) = &version {
                    self.code.name(key, version, line);
                }
                self.reference.put(key, known, version, span)
            }
            WriteOutcome::Conflict(state) => {
                if holds == Holds::Yes {
                    return Err(Failure::new(
                        "the write to be made, because its condition holds",
                        format!("the conflict {state:?}"),
                    ));
                }
                let is_version = matches!(condition, WriteCondition::IfVersion(_));
                self.conflict(key, state, span, is_version && holds == Holds::Maybe)
            }
            _ => Ok(()),
        }
    }

    /// What the reference knows of a key, in words.
    fn state(&self, key: &Key, span: Span) -> String {
        match self.reference.presence(key, span) {
            Presence::Absent => "the key has no entry".to_owned(),
            _ => "the entry is there at another version than the condition asks for".to_owned(),
        }
    }

    fn conflict(
        &mut self,
        key: &Key,
        state: ConflictState,
        span: Span,
        may_be_gone: bool,
    ) -> Result<(), Failure> {
        match state {
            ConflictState::Present(entry) => self
                .reference
                .compare(key, Some(&entry), span)
                .map_err(|failure| failure.at("the entry in the conflict".to_owned())),
            ConflictState::Absent => self.reference.compare_absence(
                key,
                span,
                "a conflict that says that there is no entry",
            ),
            ConflictState::Unknown => {
                // An entry whose version may match is in conflict only because it has expired.
                let known = self.reference.entries.get(key);
                if may_be_gone && known.is_some_and(|known| known.version.is_some()) {
                    self.reference.gone(key);
                }
                Ok(())
            }
        }
    }

    async fn remove(
        &mut self,
        instance: usize,
        key: KeyNumber,
        named: Option<&Named>,
    ) -> Result<(), Failure> {
        let (key, name) = self.key(key);
        let version = named.and_then(|named| self.version(&key, named));
        let driver = self.writer(instance)?;
        let options = self.code.remove_options(&key, version.as_ref());
        self.code
            .call(instance, &format!("remove({name}, {options})"), "");
        let options = RemoveOptions::default().with_version(version.clone());
        let (outcome, span) = timed(driver.remove(&key, options)).await;
        let holds = match &version {
            None => Holds::Yes,
            Some(version) => {
                let presence = self.reference.presence(&key, span);
                self.has_version(&key, Some(version), presence)
            }
        };
        match outcome? {
            RemoveOutcome::Removed if holds == Holds::No => {
                let state = self.state(&key, span);
                Err(Failure::new(
                    format!("a conflict, because {state}"),
                    "Removed",
                ))
            }
            RemoveOutcome::Removed => {
                self.reference.gone(&key);
                Ok(())
            }
            RemoveOutcome::Conflict(state) if holds == Holds::Yes => Err(Failure::new(
                "the removal to be made",
                format!("the conflict {state:?}"),
            )),
            RemoveOutcome::Conflict(state) => {
                self.conflict(&key, state, span, holds == Holds::Maybe)
            }
            _ => Ok(()),
        }
    }

    async fn remove_many(&mut self, instance: usize, keys: &[KeyNumber]) -> Result<(), Failure> {
        let (keys, names) = self.all(keys);
        let driver = self.writer(instance)?;
        self.code
            .call(instance, &format!("remove_many(&[{names}])"), "");
        driver.remove_many(&keys).await?;
        for key in &keys {
            self.reference.gone(key);
        }
        Ok(())
    }

    async fn touch(
        &mut self,
        instance: usize,
        key: KeyNumber,
        options: TouchOptions,
        when: &str,
        named: Option<&Named>,
    ) -> Result<(), Failure> {
        let (key, name) = self.key(key);
        let version = named.and_then(|named| self.version(&key, named));
        let driver = self.writer(instance)?;
        let code = self.code.touch_options(&key, when, version.as_ref());
        self.code
            .call(instance, &format!("touch({name}, {code})"), "");
        let expiry = options.expiry;
        let options = options.with_version(version.clone());
        let (touched, span) = timed(driver.touch(&key, options)).await;
        let presence = self.reference.presence(&key, span);
        let holds = self.has_version(&key, version.as_ref(), presence);
        match touched? {
            true if holds == Holds::No => {
                let state = self.state(&key, span);
                Err(Failure::new(format!("`false`, because {state}"), "`true`"))
            }
            true => {
                let life = self.reference.life(expiry, span);
                if let Some(known) = self.reference.entries.get_mut(&key) {
                    known.life = life;
                }
                Ok(())
            }
            false if holds == Holds::Yes => Err(Failure::new(
                "`true`, because the entry is there",
                "`false` from touch",
            )),
            false => {
                let known = self.reference.entries.get(&key);
                let has_version = version.is_none() || known.is_some_and(|k| k.version == version);
                if presence == Presence::Either && has_version {
                    self.reference.gone(&key);
                }
                Ok(())
            }
        }
    }

    fn prefix(&self, below: &Below) -> Result<Prefix, Failure> {
        let text = match below {
            Below::Root => return Ok(Prefix::root()),
            Below::Text(text) => (*text).to_owned(),
            Below::Start(key, segments) => {
                let (key, _) = self.key(*key);
                let start: Vec<&str> = key.as_str().split(':').take(*segments).collect();
                start.join(":")
            }
        };
        Ok(Prefix::from(&Key::new(&text)?))
    }

    /// Whether a driver may refuse a prefix: one that no key can have, because it refuses those keys too.
    fn may_refuse(&self, prefix: &Prefix, error: &Error) -> bool {
        error.kind() == ErrorKind::InvalidKey
            && Key::new(prefix.as_str()).is_ok_and(|key| may_reject(&key))
            && !self.keys.iter().any(|key| prefix.contains(key))
    }

    async fn list(&mut self, instance: usize, below: &Below, limit: usize) -> Result<(), Failure> {
        let prefix = self.prefix(below)?;
        let driver = self.reader(instance)?;
        self.code.list(instance, &prefix, limit);
        let mut options = ListOptions::below(prefix.clone()).with_limit(limit);
        let begin = Timestamp::now();
        let mut listed: Vec<Key> = Vec::new();
        for page in 0.. {
            if page == MOST_PAGES {
                let got = format!("{MOST_PAGES} pages");
                return Err(Failure::new("the listing to end", got));
            }
            let page = match driver.list(options.clone()).await {
                Err(error) if self.may_refuse(&prefix, &error) => return Ok(()),
                page => page?,
            };
            listed.extend(page.keys);
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => break,
            }
        }
        let span = span_from(begin);
        let names = |keys: &[Key]| {
            let names = keys.iter().map(|key| excerpt(key.as_bytes()));
            names.collect::<Vec<_>>().join(", ")
        };
        for key in self.keys.clone() {
            let times = listed.iter().filter(|one| **one == key).count();
            let presence = match prefix.contains(&key) {
                true => self.reference.presence(&key, span),
                false => Presence::Absent,
            };
            let most = match driver.capabilities().listing {
                Listing::ExactlyOnce => 1,
                _ => usize::MAX,
            };
            let what = excerpt(key.as_bytes());
            let expected = match presence {
                Presence::Present if times == 0 => format!("the key {what} in the listing"),
                Presence::Absent if times > 0 => format!("the key {what} not in the listing"),
                _ if times > most => format!("the key {what} once in the listing"),
                _ => continue,
            };
            return Err(Failure::new(expected, format!("[{}]", names(&listed))));
        }
        listed.retain(|key| !self.keys.contains(key));
        match listed.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(
                "only keys that were written in the listing",
                format!("also {}", names(&listed)),
            )),
        }
    }

    async fn clear(&mut self, instance: usize, below: &Below) -> Result<(), Failure> {
        let prefix = self.prefix(below)?;
        let driver = self.writer(instance)?;
        self.code.clear(instance, &prefix);
        match driver.clear(&prefix).await {
            Err(error) if self.may_refuse(&prefix, &error) => return Ok(()),
            cleared => cleared?,
        }
        self.reference
            .entries
            .retain(|key, _| !prefix.contains(key));
        Ok(())
    }

    async fn foreign(
        &mut self,
        key: KeyNumber,
        value: Bytes,
        content: String,
    ) -> Result<(), Failure> {
        let (key, name) = self.key(key);
        let Some(write) = &self.world.foreign else {
            return Ok(());
        };
        // Another program writes bytes, and knows nothing of how this driver writes other keys.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b':';
        if !key.as_bytes().iter().copied().all(is_plain) {
            return Ok(());
        }
        if !self.foreign.insert((key.clone(), value.clone())) {
            return Ok(());
        }
        self.code.foreign(&name, &content);
        let write = write(key.clone(), value.clone());
        write.await.map_err(foreign_failure)?;
        let known = Known {
            value,
            code: content,
            version: None,
            life: Life::Never,
        };
        self.reference.entries.insert(key, known);
        Ok(())
    }
}

fn span_from(begin: Timestamp) -> Span {
    Span {
        begin,
        end: Timestamp::now(),
    }
}

async fn timed<T>(call: impl Future<Output = T>) -> (T, Span) {
    let begin = Timestamp::now();
    let result = call.await;
    (result, span_from(begin))
}

fn count(what: &str, got: usize, expected: usize) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(Failure::new(format!("{expected} {what}"), format!("{got}")))
}
