use std::fmt;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use http_support::{HttpClient, SharedError};
use session_core::{
    Bytes, Capabilities, Conditions, Consistency, Current, DEFAULT_CLEAR_TIMEOUT, Driver, Entry,
    Expiry, Key, ListOptions, ListPage, Listing, Operations, Prefix, RemoveOptions, RemoveOutcome,
    Repeat, Result, RetryPolicy, Timestamp, TouchOptions, Version, Write, WriteCondition,
    WriteOptions, WriteOutcome, async_trait,
};
use tokio::time::Instant;

use crate::command::Command;
use crate::pipeline::{Pipeline, Wire};
use crate::reply::{self, Changed, Replies, Reply};
use crate::{UpstashOptions, listing, scripts, value};

const NAME: &str = "upstash";

/// An entry ends at its millisecond by the database's clock, which counts from when the write arrives: this is what its
/// way there may take.
const EXPIRY_GRANULARITY: Duration = Duration::from_millis(100);

/// How many entries of a batch share a request at most.
const MOST_AT_ONCE: usize = 100;

/// How many bytes of values a batch of writes sends in one request at most, unless a single one is longer.
const MOST_BYTES_AT_ONCE: usize = 512 * 1024;

/// How many requests of a batch of reads are under way at once.
const CHUNKS_AT_ONCE: usize = 4;

/// Sessions, or anything else, in Upstash Redis; see the [crate](crate).
pub struct UpstashDriver {
    client: HttpClient,
    pipeline: Pipeline,
    operations: Operations,
    base: Prefix,
    ttl: Option<Duration>,
    scan_count: Option<u32>,
    retry: RetryPolicy,
    read_regions: bool,
}

/// A write as a command.
struct Prepared {
    command: Command,
    repeat: Repeat,
    then: Then,
}

/// What the reply to a write means; each makes this version of what is stored.
enum Then {
    /// Whatever it is, the value is stored.
    Always(Version),
    /// Of `EXISTS`, in place of a write of what has ended already: whether something is in its way.
    IfNoneIsThere(Version),
    /// Of `SET … NX`: nil is that something is there.
    IfAbsent(Version),
    /// Of a script: nil is that nothing is there.
    IfEqual(Version),
}

impl UpstashDriver {
    /// Sets the driver up on the runtime of the caller; nothing is sent.
    ///
    /// An error of kind [`InvalidConfig`](session_core::ErrorKind::InvalidConfig) says what is wrong with the options.
    pub async fn open(options: UpstashOptions) -> Result<Self> {
        let options = options.or_from(|name| std::env::var(name).ok());
        let operations = Operations::new(NAME, options.timeout);
        let client = options.client().and_then(HttpClient::new);
        let client = operations.name("open", client)?;
        Ok(Self {
            pipeline: Pipeline::start(Wire::new(client.clone(), options.read_your_writes)),
            client,
            operations,
            base: options.base.as_deref().map(Prefix::new).unwrap_or_default(),
            ttl: options.ttl,
            scan_count: options.scan_count,
            retry: options.retry,
            read_regions: options.read_regions,
        })
    }

    /// When an operation that begins now has to end.
    fn deadline(&self) -> Instant {
        Instant::now() + self.operations.timeout()
    }

    /// Does what `commands` gives, again and again as the policy and `repeat` allow, until `deadline`.
    async fn run(
        &self,
        deadline: Instant,
        repeat: Repeat,
        commands: impl Fn() -> Vec<Command>,
    ) -> Result<Replies> {
        let timeout = self.operations.timeout();
        let run = || self.pipeline.run(commands(), repeat, deadline, timeout);
        let last_start = self.client.last_start(deadline);
        self.retry.run_until(last_start, repeat, run).await
    }

    /// The whole key in the database.
    fn at(&self, key: &Key) -> String {
        self.base.join(key).as_str().to_owned()
    }

    fn end(&self, expiry: Expiry) -> Option<Timestamp> {
        expiry.resolve(self.ttl, Timestamp::now())
    }

    async fn read_some(&self, deadline: Instant, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let both = |key| {
            let key = self.at(key);
            [
                Command::new("GET").text(key.clone()),
                Command::new("PTTL").text(key),
            ]
        };
        let read = || keys.iter().flat_map(both).collect();
        let mut replies = self.run(deadline, Repeat::Always, read).await?;
        let mut entries = Vec::with_capacity(keys.len());
        for _ in keys {
            entries.push(reply::entry(replies.next()?, replies.next()?)?);
        }
        if self.read_regions {
            self.confirm_misses(deadline, keys, &mut entries).await?;
        }
        Ok(entries)
    }

    async fn read_value_of(&self, deadline: Instant, key: &Key) -> Result<Option<Entry>> {
        let read = || vec![Command::new("GET").text(self.at(key))];
        let mut replies = self.run(deadline, Repeat::Always, read).await?;
        let mut entry = reply::value(replies.next()?)?;
        if self.read_regions {
            let (keys, entries) = (std::slice::from_ref(key), std::slice::from_mut(&mut entry));
            self.confirm_misses(deadline, keys, entries).await?;
        }
        Ok(entry)
    }

    /// Asks the primary for what a replica does not have, by a script, which no replica runs.
    async fn confirm_misses(
        &self,
        deadline: Instant,
        keys: &[Key],
        entries: &mut [Option<Entry>],
    ) -> Result<()> {
        let missing = || {
            let both = keys.iter().zip(entries.iter());
            both.filter(|(_, entry)| entry.is_none())
                .map(|(key, _)| key)
        };
        if missing().next().is_none() {
            return Ok(());
        }
        let read = |key| script(scripts::READ, self.at(key));
        let reads = || missing().map(read).collect();
        let mut replies = self.run(deadline, Repeat::Always, reads).await?;
        for entry in entries.iter_mut().filter(|entry| entry.is_none()) {
            if let Changed::Met(found) = replies.next()?.changed()? {
                *entry = Some(found);
            }
        }
        Ok(())
    }

    fn prepare(&self, key: &Key, value: Bytes, options: &WriteOptions) -> Prepared {
        let key = self.at(key);
        let stored = value::encode(value);
        let version = Version::from_value(stored.clone());
        let end = self.end(options.expiry);
        let has_ended = end.is_some_and(|end| end <= Timestamp::now());
        let set = |end: Option<Timestamp>| {
            let set = Command::new("SET").text(key.clone()).stored(stored.clone());
            match end {
                Some(end) => set.word("PX").until(end),
                None => set,
            }
        };
        let (command, repeat, then) = match &options.condition {
            WriteCondition::Always if has_ended => (
                Command::new("UNLINK").text(key),
                Repeat::Always,
                Then::Always(version),
            ),
            WriteCondition::Always => (set(end), Repeat::Always, Then::Always(version)),
            WriteCondition::IfAbsent if has_ended => (
                Command::new("EXISTS").text(key),
                Repeat::Always,
                Then::IfNoneIsThere(version),
            ),
            WriteCondition::IfAbsent => (
                set(end).word("NX"),
                Repeat::IfNotApplied,
                Then::IfAbsent(version),
            ),
            WriteCondition::IfVersion(expected) => {
                let text = match has_ended {
                    true => scripts::DELETE_IF_EQUAL,
                    false => scripts::SET_IF_EQUAL,
                };
                let mut command = script(text, key).text(value::expected(expected.as_bytes()));
                if !has_ended {
                    command = command.stored(stored);
                    if let Some(end) = end {
                        command = command.until(end);
                    }
                }
                (command, Repeat::IfNotApplied, Then::IfEqual(version))
            }
        };
        Prepared {
            command,
            repeat,
            then,
        }
    }

    async fn write_one(
        &self,
        deadline: Instant,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let prepared = self.prepare(key, value, &options);
        let commands = || vec![prepared.command.clone()];
        let mut replies = self.run(deadline, prepared.repeat, commands).await?;
        prepared.then.outcome(&mut replies)
    }

    /// Makes writes in one request. It is repeated only if each of them may be.
    async fn write_some(&self, deadline: Instant, writes: &[Write]) -> Vec<Result<WriteOutcome>> {
        let mut commands = Vec::with_capacity(writes.len());
        let mut then = Vec::with_capacity(writes.len());
        let mut repeat = Repeat::Always;
        for write in writes {
            let prepared = self.prepare(&write.key, write.value.clone(), &write.options);
            commands.push(prepared.command);
            then.push(prepared.then);
            if prepared.repeat == Repeat::IfNotApplied {
                repeat = Repeat::IfNotApplied;
            }
        }
        match self.run(deadline, repeat, || commands.clone()).await {
            Ok(mut replies) => then
                .into_iter()
                .map(|then| then.outcome(&mut replies))
                .collect(),
            Err(error) => {
                let error = SharedError::new(error);
                then.iter().map(|_| Err(error.to_error())).collect()
            }
        }
    }

    async fn remove_one(
        &self,
        deadline: Instant,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        let key = self.at(key);
        let Some(version) = options.if_version else {
            let unlink = || vec![Command::new("UNLINK").text(key.clone())];
            self.run(deadline, Repeat::Always, unlink)
                .await?
                .next()?
                .count()?;
            return Ok(RemoveOutcome::Removed);
        };
        let expected = value::expected(version.as_bytes());
        let delete = || vec![script(scripts::DELETE_IF_EQUAL, key.clone()).text(expected.clone())];
        let mut replies = self.run(deadline, Repeat::IfNotApplied, delete).await?;
        Ok(match replies.next()?.changed()? {
            Changed::Yes => RemoveOutcome::Removed,
            Changed::Met(entry) => RemoveOutcome::Conflict(Current::Present(entry)),
            Changed::No => RemoveOutcome::Conflict(Current::Absent),
        })
    }

    async fn touch_one(&self, deadline: Instant, key: &Key, options: TouchOptions) -> Result<bool> {
        let key = self.at(key);
        let end = self.end(options.expiry);
        let has_ended = end.is_some_and(|end| end <= Timestamp::now());
        if let Some(version) = options.if_version {
            let text = match has_ended {
                true => scripts::DELETE_IF_EQUAL,
                false => scripts::EXPIRE_IF_EQUAL,
            };
            let expected = value::expected(version.as_bytes());
            let touch = || {
                let command = script(text, key.clone()).text(expected.clone());
                vec![match end {
                    Some(end) if !has_ended => command.until(end),
                    _ => command,
                }]
            };
            let mut replies = self.run(deadline, Repeat::IfNotApplied, touch).await?;
            return Ok(replies.next()?.changed()? == Changed::Yes);
        }
        let touch = || match end {
            Some(_) if has_ended => vec![Command::new("UNLINK").text(key.clone())],
            Some(end) => vec![Command::new("PEXPIRE").text(key.clone()).until(end)],
            // It says 0 of what never ends, too.
            None => vec![
                Command::new("PERSIST").text(key.clone()),
                Command::new("EXISTS").text(key.clone()),
            ],
        };
        let mut replies = self.run(deadline, Repeat::Always, touch).await?;
        let mut found = replies.next()?.count()?;
        if end.is_none() {
            found += replies.next()?.count()?;
        }
        Ok(found > 0)
    }

    fn unlink(&self, keys: &[Key]) -> Command {
        let unlink = Command::new("UNLINK");
        keys.iter()
            .fold(unlink, |unlink, key| unlink.text(self.at(key)))
    }

    async fn exists_one(&self, deadline: Instant, key: &Key) -> Result<bool> {
        let exists = || vec![Command::new("EXISTS").text(self.at(key))];
        let count = self
            .run(deadline, Repeat::Always, exists)
            .await?
            .next()?
            .count()?;
        if count == 0 && self.read_regions {
            let mut entry = [None];
            self.confirm_misses(deadline, std::slice::from_ref(key), &mut entry)
                .await?;
            return Ok(entry.iter().any(Option::is_some));
        }
        Ok(count > 0)
    }

    /// One step through the keys below `prefix`, after `commands`.
    async fn scan(
        &self,
        deadline: Instant,
        prefix: &Prefix,
        cursor: &str,
        limit: usize,
        first: &[Command],
    ) -> Result<ListPage> {
        let below = self.base.join_prefix(prefix);
        let count = self
            .scan_count
            .map_or_else(|| u64::try_from(limit).unwrap_or(u64::MAX), u64::from);
        let commands = || {
            let scan = listing::scan(&below, cursor, count);
            first.iter().cloned().chain([scan]).collect()
        };
        let mut replies = self.run(deadline, Repeat::Always, commands).await?;
        for _ in first {
            replies.next()?.count()?;
        }
        listing::page(replies.next()?, &self.base, prefix)
    }

    /// Removes what each step finds along with the next step. Each request has a deadline of its own.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        let step = listing::CLEAR_STEP;
        let mut page = self
            .scan(self.deadline(), prefix, listing::START, step, &[])
            .await?;
        loop {
            let chunks = page.keys.chunks(MOST_AT_ONCE);
            let unlink: Vec<Command> = chunks.map(|keys| self.unlink(keys)).collect();
            let Some(cursor) = page.next else {
                if !unlink.is_empty() {
                    let unlink = || unlink.clone();
                    let mut replies = self.run(self.deadline(), Repeat::Always, unlink).await?;
                    for _ in page.keys.chunks(MOST_AT_ONCE) {
                        replies.next()?.count()?;
                    }
                }
                return Ok(());
            };
            page = self
                .scan(self.deadline(), prefix, cursor.as_str(), step, &unlink)
                .await?;
        }
    }
}

impl Then {
    fn outcome(self, replies: &mut Replies) -> Result<WriteOutcome> {
        let reply = replies.next()?;
        let (version, in_the_way) = match self {
            Self::Always(version) => (version, None),
            Self::IfNoneIsThere(version) => {
                let is_there = reply.count()? > 0;
                (version, is_there.then_some(Current::Unknown))
            }
            Self::IfAbsent(version) => (version, met(reply, Current::Unknown)?),
            Self::IfEqual(version) => (version, met(reply, Current::Absent)?),
        };
        Ok(match in_the_way {
            Some(current) => WriteOutcome::Conflict(current),
            None => WriteOutcome::Written {
                version: Some(version),
            },
        })
    }
}

/// What a change that was not made met; `untold` is what nil stands for.
fn met(reply: Reply, untold: Current) -> Result<Option<Current>> {
    Ok(match reply.changed()? {
        Changed::Yes => None,
        Changed::Met(entry) => Some(Current::Present(entry)),
        Changed::No => Some(untold),
    })
}

/// A call of a script on one key.
fn script(text: &'static str, key: String) -> Command {
    Command::new("EVAL").word(text).number(1).text(key)
}

#[async_trait]
impl Driver for UpstashDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            conditions: Conditions::All,
            native_expiry: true,
            expiry_granularity: EXPIRY_GRANULARITY,
            reports_expiry: true,
            cheap_value_reads: true,
            touch: true,
            listing: Listing::AtLeastOnce,
            batch: true,
            consistency: match self.read_regions {
                true => Consistency::Eventual,
                false => Consistency::Strong,
            },
            ..Capabilities::default()
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let read = async {
            let keys = std::slice::from_ref(key);
            let entries = self.read_some(self.deadline(), keys).await?;
            Ok(entries.into_iter().flatten().next())
        };
        self.operations.read("read", read).await
    }

    async fn read_value(&self, key: &Key) -> Result<Option<Entry>> {
        let read = self.read_value_of(self.deadline(), key);
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.write_one(self.deadline(), key, value, options);
        self.operations.change("write", write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = self.remove_one(self.deadline(), key, options);
        self.operations.change("remove", remove).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let cursor = options.cursor.as_ref();
        let cursor = cursor.map_or(listing::START, |cursor| cursor.as_str());
        let page = self.scan(self.deadline(), &options.prefix, cursor, options.limit, &[]);
        self.operations.read("list", page).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let exists = self.exists_one(self.deadline(), key);
        self.operations.read("exists", exists).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = self.touch_one(self.deadline(), key, options);
        self.operations.change("touch", touch).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let deadline = self.deadline();
        let read = async {
            self.pipeline.check_open()?;
            let reads = keys.chunks(MOST_AT_ONCE).map(<[Key]>::to_vec);
            stream::iter(reads.collect::<Vec<_>>())
                .map(|keys| async move { self.read_some(deadline, &keys).await })
                .buffered(CHUNKS_AT_ONCE)
                .try_concat()
                .await
        };
        self.operations.read("read_many", read).await
    }

    /// Each write tells by itself what became of it, so that there is no timer around all of them.
    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let deadline = self.deadline();
        let mut outcomes = Vec::with_capacity(writes.len());
        // One after the other, so that of two writes to one key the later one is made later.
        for writes in by_size(&writes) {
            outcomes.extend(self.write_some(deadline, writes).await);
        }
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|outcome| self.operations.name("write_many", outcome))
            .collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let deadline = self.deadline();
        let remove = async {
            self.pipeline.check_open()?;
            let mut results = Vec::new();
            for keys in keys.chunks(MOST_AT_ONCE) {
                let unlink = || vec![self.unlink(keys)];
                let replies = self.run(deadline, Repeat::Always, unlink).await;
                results.push(replies.and_then(|mut replies| replies.next()?.count().map(drop)));
            }
            Operations::combine(results)
        };
        self.operations.change("remove_many", remove).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let operations = self.operations.with_timeout(DEFAULT_CLEAR_TIMEOUT);
        operations.change("clear", self.clear_below(prefix)).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.pipeline.close().await;
            Ok(())
        };
        self.operations.change("close", close).await
    }
}

/// Writes in stretches, each of which is a request of its own.
fn by_size(writes: &[Write]) -> impl Iterator<Item = &[Write]> {
    let mut rest = writes;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take(MOST_AT_ONCE)
            .enumerate()
            .take_while(|(place, write)| {
                bytes += write.value.len();
                *place == 0 || bytes <= MOST_BYTES_AT_ONCE
            });
        let (now, later) = rest.split_at(fitting.count());
        rest = later;
        (!now.is_empty()).then_some(now)
    })
}

impl fmt::Debug for UpstashDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstashDriver")
            .field("base", &self.base)
            .field("ttl", &self.ttl)
            .field("read_regions", &self.read_regions)
            .finish_non_exhaustive()
    }
}
