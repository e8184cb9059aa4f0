use std::fmt;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use http_support::{HttpClient, SharedError};
use session_core::{
    Bytes, Capabilities, Conditions, ConflictState, Consistency, DEFAULT_CLEAR_TIMEOUT, Driver,
    Entry, Expiry, Idempotency, Key, ListOptions, ListPage, Operations, Prefix, RemoveOptions,
    RemoveOutcome, Result, RetryPolicy, Timestamp, TouchOptions, Version, Write, WriteCondition,
    WriteOptions, WriteOutcome, async_trait,
};
use tokio::time::Instant;

use crate::command::Command;
use crate::pipeline::{Pipeline, Wire};
use crate::reply::{self, Changed, Replies, Reply};
use crate::{UpstashOptions, listing, scripts, value};

const NAME: &str = "upstash";

/// By how much an entry may outlive its expiry: the database counts from when the write arrives.
const EXPIRY_GRANULARITY: Duration = Duration::from_millis(100);

/// How many entries of a batch share one request.
const BATCH_SIZE: usize = 100;

/// How many bytes of values a batch of writes sends in one request, unless a single value is longer.
const MAX_BATCH_BYTES: usize = 512 * 1024;

/// How many requests of a batch of reads run concurrently.
const CONCURRENCY: usize = 4;

/// A driver that keeps entries in Upstash Redis.
///
/// See the [crate documentation](crate) for how it sends requests.
pub struct UpstashDriver {
    client: HttpClient,
    pipeline: Pipeline,
    operations: Operations,
    prefix: Prefix,
    ttl: Option<Duration>,
    scan_count: Option<u32>,
    retry: RetryPolicy,
    read_regions: bool,
}

/// A write in the form of a command.
struct PreparedWrite {
    command: Command,
    repeat: Idempotency,
    meaning: ReplyMeaning,
}

/// What the reply to a write means, with the version of the written value.
enum ReplyMeaning {
    /// The value was written, whatever the reply is.
    Written(Version),
    /// The reply to `EXISTS`, which replaces a write if absent of an entry that has already expired.
    WrittenIfZero(Version),
    /// The reply to `SET … NX`: nil means that the key is present.
    NilIfPresent(Version),
    /// The reply to a script: nil means that the key is absent.
    NilIfAbsent(Version),
}

impl UpstashDriver {
    /// Opens the driver on the current runtime. It sends nothing.
    ///
    /// If an option is wrong, the error is of kind [`InvalidConfig`](session_core::ErrorKind::InvalidConfig).
    pub async fn open(options: UpstashOptions) -> Result<Self> {
        let options = options.or_from(|name| std::env::var(name).ok());
        let operations = Operations::new(NAME, options.timeout);
        let client = options.client().and_then(HttpClient::new);
        let client = operations.name("open", client)?;
        let prefix = Prefix::from_option(options.prefix.as_deref().unwrap_or_default());
        let prefix = operations.name("open", prefix)?;
        Ok(Self {
            pipeline: Pipeline::start(Wire::new(client.clone(), options.read_your_writes)),
            client,
            operations,
            prefix,
            ttl: options.ttl,
            scan_count: options.scan_count,
            retry: options.retry,
            read_regions: options.read_regions,
        })
    }

    /// The deadline of an operation that begins now.
    fn deadline(&self) -> Instant {
        Instant::now() + self.operations.timeout()
    }

    /// Runs `commands`, and again as far as the retry policy and `repeat` allow, until `deadline`.
    async fn run(
        &self,
        deadline: Instant,
        repeat: Idempotency,
        commands: impl Fn() -> Vec<Command>,
    ) -> Result<Replies> {
        let timeout = self.operations.timeout();
        let run = || self.pipeline.run(commands(), repeat, deadline, timeout);
        let last_start = self.client.last_start(deadline);
        self.retry.run_until(last_start, repeat, run).await
    }

    /// The key in the database.
    fn full(&self, key: &Key) -> String {
        self.prefix.join(key).as_str().to_owned()
    }

    fn expires_at(&self, expiry: Expiry) -> Option<Timestamp> {
        expiry.resolve(self.ttl, Timestamp::now())
    }

    async fn read_some(&self, deadline: Instant, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let both = |key| {
            let key = self.full(key);
            [
                Command::new("GET").text(key.clone()),
                Command::new("PTTL").text(key),
            ]
        };
        let read = || keys.iter().flat_map(both).collect();
        let mut replies = self.run(deadline, Idempotency::Idempotent, read).await?;
        let mut entries = Vec::with_capacity(keys.len());
        for _ in keys {
            entries.push(reply::entry(replies.next()?, replies.next()?)?);
        }
        if self.read_regions {
            self.confirm_misses(deadline, keys, &mut entries).await?;
        }
        Ok(entries)
    }

    /// Reads the missing entries from the primary, by a script, which replicas do not run.
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
        let read = |key| script(scripts::READ, self.full(key));
        let reads = || missing().map(read).collect();
        let mut replies = self.run(deadline, Idempotency::Idempotent, reads).await?;
        for entry in entries.iter_mut().filter(|entry| entry.is_none()) {
            if let Changed::Conflict(found) = replies.next()?.changed()? {
                *entry = Some(found);
            }
        }
        Ok(())
    }

    fn prepare(&self, key: &Key, value: Bytes, options: &WriteOptions) -> PreparedWrite {
        let key = self.full(key);
        let stored = value::encode(value);
        let version = Version::from_value(stored.clone());
        let expires_at = self.expires_at(options.expiry);
        let is_expired = expires_at.is_some_and(|at| at <= Timestamp::now());
        let set = |expires_at: Option<Timestamp>| {
            let set = Command::new("SET").text(key.clone()).stored(stored.clone());
            match expires_at {
                Some(at) => set.word("PX").until(at),
                None => set,
            }
        };
        let (command, repeat, meaning) = match &options.condition {
            WriteCondition::Always if is_expired => (
                Command::new("UNLINK").text(key),
                Idempotency::Idempotent,
                ReplyMeaning::Written(version),
            ),
            WriteCondition::Always => (
                set(expires_at),
                Idempotency::Idempotent,
                ReplyMeaning::Written(version),
            ),
            WriteCondition::IfAbsent if is_expired => (
                Command::new("EXISTS").text(key),
                Idempotency::Idempotent,
                ReplyMeaning::WrittenIfZero(version),
            ),
            WriteCondition::IfAbsent => (
                set(expires_at).word("NX"),
                Idempotency::NonIdempotent,
                ReplyMeaning::NilIfPresent(version),
            ),
            WriteCondition::IfVersion(expected) => {
                let text = match is_expired {
                    true => scripts::DELETE_IF_EQUAL,
                    false => scripts::SET_IF_EQUAL,
                };
                let mut command = script(text, key).text(value::expected(expected.as_bytes()));
                if !is_expired {
                    command = command.stored(stored);
                    if let Some(at) = expires_at {
                        command = command.until(at);
                    }
                }
                (
                    command,
                    Idempotency::NonIdempotent,
                    ReplyMeaning::NilIfAbsent(version),
                )
            }
        };
        PreparedWrite {
            command,
            repeat,
            meaning,
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
        prepared.meaning.outcome(&mut replies)
    }

    /// Writes several entries in one request. It is retried only if each of the writes may be repeated.
    async fn write_some(&self, deadline: Instant, writes: &[Write]) -> Vec<Result<WriteOutcome>> {
        let mut commands = Vec::with_capacity(writes.len());
        let mut meanings = Vec::with_capacity(writes.len());
        let mut repeat = Idempotency::Idempotent;
        for write in writes {
            let prepared = self.prepare(&write.key, write.value.clone(), &write.options);
            commands.push(prepared.command);
            meanings.push(prepared.meaning);
            if prepared.repeat == Idempotency::NonIdempotent {
                repeat = Idempotency::NonIdempotent;
            }
        }
        match self.run(deadline, repeat, || commands.clone()).await {
            Ok(mut replies) => meanings
                .into_iter()
                .map(|meaning| meaning.outcome(&mut replies))
                .collect(),
            Err(error) => {
                let error = SharedError::new(error);
                meanings.iter().map(|_| Err(error.to_error())).collect()
            }
        }
    }

    async fn remove_one(
        &self,
        deadline: Instant,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        let key = self.full(key);
        let Some(version) = options.if_version else {
            let unlink = || vec![Command::new("UNLINK").text(key.clone())];
            self.run(deadline, Idempotency::Idempotent, unlink)
                .await?
                .next()?
                .count()?;
            return Ok(RemoveOutcome::Removed);
        };
        let expected = value::expected(version.as_bytes());
        let delete = || vec![script(scripts::DELETE_IF_EQUAL, key.clone()).text(expected.clone())];
        let mut replies = self
            .run(deadline, Idempotency::NonIdempotent, delete)
            .await?;
        Ok(match replies.next()?.changed()? {
            Changed::Applied => RemoveOutcome::Removed,
            Changed::Conflict(entry) => RemoveOutcome::Conflict(ConflictState::Present(entry)),
            Changed::NotApplied => RemoveOutcome::Conflict(ConflictState::Absent),
        })
    }

    async fn touch_one(&self, deadline: Instant, key: &Key, options: TouchOptions) -> Result<bool> {
        let key = self.full(key);
        let expires_at = self.expires_at(options.expiry);
        let is_expired = expires_at.is_some_and(|at| at <= Timestamp::now());
        if let Some(version) = options.if_version {
            let text = match is_expired {
                true => scripts::DELETE_IF_EQUAL,
                false => scripts::EXPIRE_IF_EQUAL,
            };
            let expected = value::expected(version.as_bytes());
            let touch = || {
                let command = script(text, key.clone()).text(expected.clone());
                vec![match expires_at {
                    Some(at) if !is_expired => command.until(at),
                    _ => command,
                }]
            };
            let mut replies = self
                .run(deadline, Idempotency::NonIdempotent, touch)
                .await?;
            return Ok(replies.next()?.changed()? == Changed::Applied);
        }
        let touch = || match expires_at {
            Some(_) if is_expired => vec![Command::new("UNLINK").text(key.clone())],
            Some(at) => vec![Command::new("PEXPIRE").text(key.clone()).until(at)],
            // `PERSIST` returns 0 for a key that never expires, too.
            None => vec![
                Command::new("PERSIST").text(key.clone()),
                Command::new("EXISTS").text(key.clone()),
            ],
        };
        let mut replies = self.run(deadline, Idempotency::Idempotent, touch).await?;
        let mut found = replies.next()?.count()?;
        if expires_at.is_none() {
            found += replies.next()?.count()?;
        }
        Ok(found > 0)
    }

    fn unlink(&self, keys: &[Key]) -> Command {
        let unlink = Command::new("UNLINK");
        keys.iter()
            .fold(unlink, |unlink, key| unlink.text(self.full(key)))
    }

    async fn exists_one(&self, deadline: Instant, key: &Key) -> Result<bool> {
        let exists = || vec![Command::new("EXISTS").text(self.full(key))];
        let count = self
            .run(deadline, Idempotency::Idempotent, exists)
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

    /// Runs the commands `first` and one step of a scan of the keys below `prefix`.
    async fn scan(
        &self,
        deadline: Instant,
        prefix: &Prefix,
        cursor: &str,
        limit: usize,
        first: &[Command],
    ) -> Result<ListPage> {
        let below = self.prefix.join_prefix(prefix);
        let count = self
            .scan_count
            .map_or_else(|| u64::try_from(limit).unwrap_or(u64::MAX), u64::from);
        let commands = || {
            let scan = listing::scan(&below, cursor, count);
            first.iter().cloned().chain([scan]).collect()
        };
        let mut replies = self
            .run(deadline, Idempotency::Idempotent, commands)
            .await?;
        for _ in first {
            replies.next()?.count()?;
        }
        listing::page(replies.next()?, &self.prefix, prefix)
    }

    /// Removes the keys of each step in the request of the next step. Each request has a deadline of its own.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        let step = listing::CLEAR_STEP;
        let mut page = self
            .scan(self.deadline(), prefix, listing::START, step, &[])
            .await?;
        loop {
            let chunks = page.keys.chunks(BATCH_SIZE);
            let unlink: Vec<Command> = chunks.map(|keys| self.unlink(keys)).collect();
            let Some(cursor) = page.next else {
                if !unlink.is_empty() {
                    let unlink = || unlink.clone();
                    let mut replies = self
                        .run(self.deadline(), Idempotency::Idempotent, unlink)
                        .await?;
                    for _ in page.keys.chunks(BATCH_SIZE) {
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

impl ReplyMeaning {
    fn outcome(self, replies: &mut Replies) -> Result<WriteOutcome> {
        let reply = replies.next()?;
        let (version, conflict) = match self {
            Self::Written(version) => (version, None),
            Self::WrittenIfZero(version) => {
                let is_present = reply.count()? > 0;
                (version, is_present.then_some(ConflictState::Unknown))
            }
            Self::NilIfPresent(version) => (version, conflict(reply, ConflictState::Unknown)?),
            Self::NilIfAbsent(version) => (version, conflict(reply, ConflictState::Absent)?),
        };
        Ok(match conflict {
            Some(current) => WriteOutcome::Conflict(current),
            None => WriteOutcome::written(Some(version)),
        })
    }
}

/// The conflict of a change, if there is one; `nil` is the state that a nil reply means.
fn conflict(reply: Reply, nil: ConflictState) -> Result<Option<ConflictState>> {
    Ok(match reply.changed()? {
        Changed::Applied => None,
        Changed::Conflict(entry) => Some(ConflictState::Present(entry)),
        Changed::NotApplied => Some(nil),
    })
}

/// A command that runs a script on one key.
fn script(text: &'static str, key: String) -> Command {
    Command::new("EVAL").word(text).number(1).text(key)
}

#[async_trait]
impl Driver for UpstashDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_conditions(Conditions::All)
            .with_native_expiry(true)
            .with_expiry_granularity(EXPIRY_GRANULARITY)
            .with_reports_expiry(true)
            .with_touch(true)
            .with_batch(true)
            .with_consistency(match self.read_regions {
                true => Consistency::Eventual,
                false => Consistency::Strong,
            })
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let read = async {
            let keys = std::slice::from_ref(key);
            let entries = self.read_some(self.deadline(), keys).await?;
            Ok(entries.into_iter().flatten().next())
        };
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
            let reads = keys.chunks(BATCH_SIZE).map(<[Key]>::to_vec);
            stream::iter(reads.collect::<Vec<_>>())
                .map(|keys| async move { self.read_some(deadline, &keys).await })
                .buffered(CONCURRENCY)
                .try_concat()
                .await
        };
        self.operations.read("read_many", read).await
    }

    /// Each write has a result and a timeout of its own, so there is no timer around all of them.
    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let deadline = self.deadline();
        let mut outcomes = Vec::with_capacity(writes.len());
        // One after another, so that writes to one key stay in order.
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
            for keys in keys.chunks(BATCH_SIZE) {
                let unlink = || vec![self.unlink(keys)];
                let replies = self.run(deadline, Idempotency::Idempotent, unlink).await;
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

/// Splits writes into slices, each of which is sent in one request.
fn by_size(writes: &[Write]) -> impl Iterator<Item = &[Write]> {
    let mut rest = writes;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take(BATCH_SIZE)
            .enumerate()
            .take_while(|(index, write)| {
                bytes += write.value.len();
                *index == 0 || bytes <= MAX_BATCH_BYTES
            });
        let (now, later) = rest.split_at(fitting.count());
        rest = later;
        (!now.is_empty()).then_some(now)
    })
}

impl fmt::Debug for UpstashDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstashDriver")
            .field("prefix", &self.prefix)
            .field("ttl", &self.ttl)
            .field("read_regions", &self.read_regions)
            .finish_non_exhaustive()
    }
}
