use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use bytes::Bytes;
use session_core::{
    Capabilities, Conditions, ConflictState, Consistency, Cursor, DEFAULT_CLEAR_TIMEOUT, Driver,
    Entry, Error, ErrorKind, Expiry, Idempotency, Key, ListOptions, ListPage, Listing, Operations,
    Prefix, RemoveOptions, RemoveOutcome, Result, Timestamp, TouchOptions, Write, WriteCondition,
    WriteOptions, WriteOutcome, async_trait,
};
use tokio::time::Instant;

use crate::batch::Batches;
use crate::client::{Attempts, connect, of_application};
use crate::config::DynamoDbOptions;
use crate::error::{During, closed, from_sdk, shared};
use crate::expressions::Expression;
use crate::item::{Item, Layout, MAX_KEY_SIZE, version};
use crate::table::{READY, Table};

const NAME: &str = "dynamodb";

/// How many items are scanned at least for a page below a prefix. Otherwise a small page would often find no key.
const MIN_SCAN: usize = 1_000;

/// A driver that keeps entries in a table of Amazon DynamoDB.
///
/// See the [crate documentation](crate) for what it costs and how the table looks. It holds connections, which are closed
/// some time after their last use, and has no tasks.
pub struct DynamoDbDriver {
    client: Client,
    table: String,
    layout: Layout,
    ttl: Option<Duration>,
    consistent_read: bool,
    operations: Operations,
    attempts: Attempts,
    closed: AtomicBool,
}

impl DynamoDbDriver {
    /// Opens the driver, and creates its table if it is missing and [`create_table`](DynamoDbOptions::create_table) is set.
    ///
    /// Without that option it sends nothing, so a missing table or missing credentials are reported by the first
    /// operation. It must be called within a tokio runtime with its timer and I/O enabled, which must live as long as the
    /// driver is used.
    pub async fn open(options: DynamoDbOptions) -> Result<Self> {
        Self::opened(None, options).await
    }

    /// Uses the HTTP client, the credentials, the region and the endpoint of the application's own client.
    ///
    /// ```no_run
    /// use driver_dynamodb::{DynamoDbDriver, DynamoDbOptions};
    ///
    /// # async fn example(client: aws_sdk_dynamodb::Client) -> session_core::Result<()> {
    /// let driver = DynamoDbDriver::from_client(client, DynamoDbOptions::new("sessions")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Retries and timeouts are those of `options`, so that a write is not repeated where that is not safe. The options that
    /// say how to connect are errors here: `region`, `endpoint_url`, `profile` and `credentials`.
    pub async fn from_client(client: Client, options: DynamoDbOptions) -> Result<Self> {
        Self::opened(Some(client), options).await
    }

    async fn opened(application: Option<Client>, options: DynamoDbOptions) -> Result<Self> {
        let operations = Operations::new(NAME, options.timeout);
        let opening = operations.with_timeout(READY + options.timeout);
        // Boxed, since it is nested too deeply for the compiler otherwise.
        let open = Box::pin(async {
            options.check()?;
            let client = match application {
                Some(client) => of_application(&client, &options)?,
                None => connect(&options).await?,
            };
            Self::start(client, options, operations).await
        });
        opening.read("open", open).await
    }

    async fn start(
        client: Client,
        options: DynamoDbOptions,
        operations: Operations,
    ) -> Result<Self> {
        let attempts = Attempts {
            retry: options.retry,
            timeout: options.timeout,
        };
        let prefix = Prefix::from_option(options.prefix.as_deref().unwrap_or_default())?;
        let layout = Layout::new(&options.attributes, prefix);
        if options.create_table {
            let table = Table {
                client: &client,
                name: &options.table,
                layout: &layout,
                attempts,
            };
            table.ensure().await?;
        }
        Ok(Self {
            client,
            table: options.table,
            layout,
            ttl: options.ttl,
            consistent_read: options.consistent_read,
            operations,
            attempts,
            closed: AtomicBool::new(false),
        })
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    fn batches(&self, deadline: Instant) -> Batches<'_> {
        Batches {
            client: &self.client,
            table: &self.table,
            layout: &self.layout,
            attempts: self.attempts,
            deadline,
        }
    }

    fn expires_at(&self, expiry: Expiry) -> Option<Timestamp> {
        expiry.resolve(self.ttl, Timestamp::now())
    }

    /// Reads the item of `key`. A miss of an eventually consistent read is confirmed by a consistent one.
    async fn get(
        &self,
        deadline: Instant,
        key: &Key,
        attributes: Attributes,
    ) -> Result<Option<Item>> {
        self.check_open()?;
        let key = self.layout.table_key(key)?;
        let found = self
            .get_once(deadline, &key, attributes, self.consistent_read)
            .await?;
        match found {
            None if !self.consistent_read => self.get_once(deadline, &key, attributes, true).await,
            found => Ok(found),
        }
    }

    async fn get_once(
        &self,
        deadline: Instant,
        key: &str,
        attributes: Attributes,
        consistent: bool,
    ) -> Result<Option<Item>> {
        self.attempts
            .run(
                deadline,
                Idempotency::Idempotent,
                During::Reading,
                || async {
                    let mut request = self
                        .client
                        .get_item()
                        .table_name(&self.table)
                        .set_key(Some(self.layout.key_item(key.to_owned())))
                        .consistent_read(consistent);
                    if attributes == Attributes::WithoutValue {
                        request = request
                            .projection_expression("#key, #expires, #exact")
                            .set_expression_attribute_names(Some(self.names_without_value()));
                    }
                    match request.send().await {
                        Ok(response) => Ok(response.item),
                        Err(error) => Err(from_sdk(error, During::Reading)),
                    }
                },
            )
            .await
    }

    fn names_without_value(&self) -> HashMap<String, String> {
        HashMap::from([
            ("#key".to_owned(), self.layout.key.clone()),
            ("#expires".to_owned(), self.layout.expires_at.clone()),
            ("#exact".to_owned(), self.layout.expires_at_ms.clone()),
        ])
    }

    async fn put(
        &self,
        deadline: Instant,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        self.check_open()?;
        let key = self.layout.table_key(key)?;
        self.layout.check_value(&value)?;
        let expires_at = self.expires_at(options.expiry);
        let repeat = match options.condition {
            WriteCondition::Always => Idempotency::Idempotent,
            WriteCondition::IfAbsent | WriteCondition::IfVersion(_) => Idempotency::NonIdempotent,
        };
        self.attempts
            .run(deadline, repeat, During::Writing, || async {
                let now = Timestamp::now();
                let condition = match &options.condition {
                    WriteCondition::Always => None,
                    WriteCondition::IfAbsent => Some(Expression::absent(&self.layout, now)),
                    WriteCondition::IfVersion(version) => {
                        Some(Expression::at_version(&self.layout, version, now))
                    }
                };
                let mut request = self
                    .client
                    .put_item()
                    .table_name(&self.table)
                    .set_item(Some(self.layout.item(key.clone(), &value, expires_at)));
                if let Some(condition) = condition {
                    request = request
                        .condition_expression(condition.text)
                        .set_expression_attribute_names(Some(condition.names))
                        .set_expression_attribute_values(Some(condition.values))
                        .return_values_on_condition_check_failure(
                            ReturnValuesOnConditionCheckFailure::AllOld,
                        );
                }
                let error = match request.send().await {
                    Ok(_) => {
                        return Ok(WriteOutcome::written(Some(version(value.clone()))));
                    }
                    Err(error) => error,
                };
                match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                        let current = self.current(failed.item());
                        Ok(WriteOutcome::Conflict(
                            match (&options.condition, current) {
                                // The item was present when the condition was checked, and has expired since.
                                (WriteCondition::IfAbsent, ConflictState::Absent) => {
                                    ConflictState::Unknown
                                }
                                (_, current) => current,
                            },
                        ))
                    }
                    _ => Err(from_sdk(error, During::Writing)),
                }
            })
            .await
    }

    /// The state in a failed condition. A missing item looks like a server that does not return it.
    fn current(&self, item: Option<&Item>) -> ConflictState {
        let Some(item) = item else {
            return ConflictState::Unknown;
        };
        match self.layout.entry(item.clone(), Timestamp::now()) {
            Ok(Some(entry)) => ConflictState::Present(entry),
            Ok(None) => ConflictState::Absent,
            // A read reports what is wrong with it.
            Err(_) => ConflictState::Unknown,
        }
    }

    async fn delete(
        &self,
        deadline: Instant,
        key: &Key,
        options: RemoveOptions,
    ) -> Result<RemoveOutcome> {
        self.check_open()?;
        let key = self.layout.table_key(key)?;
        let repeat = repeat_unless(options.if_version.as_ref());
        self.attempts
            .run(deadline, repeat, During::Writing, || async {
                let mut request = self
                    .client
                    .delete_item()
                    .table_name(&self.table)
                    .set_key(Some(self.layout.key_item(key.clone())));
                if let Some(version) = &options.if_version {
                    let condition = Expression::at_version(&self.layout, version, Timestamp::now());
                    request = request
                        .condition_expression(condition.text)
                        .set_expression_attribute_names(Some(condition.names))
                        .set_expression_attribute_values(Some(condition.values))
                        .return_values_on_condition_check_failure(
                            ReturnValuesOnConditionCheckFailure::AllOld,
                        );
                }
                let error = match request.send().await {
                    Ok(_) => return Ok(RemoveOutcome::Removed),
                    Err(error) => error,
                };
                match error.as_service_error() {
                    Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                        Ok(RemoveOutcome::Conflict(self.current(failed.item())))
                    }
                    _ => Err(from_sdk(error, During::Writing)),
                }
            })
            .await
    }

    async fn renew(&self, deadline: Instant, key: &Key, options: TouchOptions) -> Result<bool> {
        self.check_open()?;
        let key = self.layout.table_key(key)?;
        let expires_at = self.expires_at(options.expiry);
        let repeat = repeat_unless(options.if_version.as_ref());
        self.attempts
            .run(deadline, repeat, During::Writing, || async {
                let now = Timestamp::now();
                let mut expression = match &options.if_version {
                    None => Expression::present(&self.layout, now),
                    Some(version) => Expression::at_version(&self.layout, version, now),
                };
                let update = expression.update_expiry(expires_at);
                let request = self
                    .client
                    .update_item()
                    .table_name(&self.table)
                    .set_key(Some(self.layout.key_item(key.clone())))
                    .update_expression(update)
                    .condition_expression(expression.text)
                    .set_expression_attribute_names(Some(expression.names))
                    .set_expression_attribute_values(Some(expression.values));
                let error = match request.send().await {
                    Ok(_) => return Ok(true),
                    Err(error) => error,
                };
                match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                    _ => Err(from_sdk(error, During::Writing)),
                }
            })
            .await
    }

    /// Reads the items of `keys`, in their order, as [`get`](Self::get) does.
    async fn get_many(&self, deadline: Instant, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        self.check_open()?;
        let keys: Result<Vec<String>> = keys.iter().map(|key| self.layout.table_key(key)).collect();
        let keys = keys?;
        let distinct: HashSet<&String> = keys.iter().collect();
        let distinct = distinct.into_iter().cloned().collect();
        let mut found = self
            .batches(deadline)
            .read(distinct, self.consistent_read)
            .await?;
        if !self.consistent_read {
            let missing: HashSet<&String> = keys
                .iter()
                .filter(|key| !found.contains_key(*key))
                .collect();
            let missing = missing.into_iter().cloned().collect();
            found.extend(self.batches(deadline).read(missing, true).await?);
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    /// Scans a part of the table: the items below `prefix`, without their values, and the cursor of the next part.
    async fn scan(
        &self,
        deadline: Instant,
        prefix: &Prefix,
        after: Option<&Cursor>,
        limit: usize,
        consistent: bool,
    ) -> Result<(Vec<Item>, Option<Cursor>)> {
        self.check_open()?;
        let prefix = self.layout.prefix.join_prefix(prefix);
        let after = after.map(|cursor| self.start_after(cursor)).transpose()?;
        let count = match prefix.is_root() {
            true => limit.max(1),
            false => limit.max(MIN_SCAN),
        };
        let response = self
            .attempts
            .run(
                deadline,
                Idempotency::Idempotent,
                During::Reading,
                || async {
                    let mut request = self
                        .client
                        .scan()
                        .table_name(&self.table)
                        .consistent_read(consistent)
                        .limit(i32::try_from(count).unwrap_or(i32::MAX))
                        .set_exclusive_start_key(after.clone())
                        .projection_expression("#key, #expires, #exact")
                        .set_expression_attribute_names(Some(self.names_without_value()));
                    if !prefix.is_root() {
                        let below = format!("{}:", prefix.as_str());
                        request = request
                            .filter_expression("begins_with(#key, :below)")
                            .expression_attribute_values(":below", AttributeValue::S(below));
                    }
                    let response = request.send().await;
                    response.map_err(|error| from_sdk(error, During::Reading))
                },
            )
            .await?;
        let last = response.last_evaluated_key.unwrap_or_default();
        let next = self.layout.key_of(&last).map(Cursor::new);
        Ok((response.items.unwrap_or_default(), next))
    }

    /// The key after which a listing continues.
    fn start_after(&self, cursor: &Cursor) -> Result<Item> {
        if !(1..=MAX_KEY_SIZE).contains(&cursor.as_str().len()) {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "the cursor is not one of this driver; start the listing again",
            ));
        }
        Ok(self.layout.key_item(cursor.as_str().to_owned()))
    }

    async fn page(&self, deadline: Instant, options: &ListOptions) -> Result<ListPage> {
        let after = options.cursor.as_ref();
        let (items, next) = self
            .scan(
                deadline,
                &options.prefix,
                after,
                options.limit,
                self.consistent_read,
            )
            .await?;
        let now = Timestamp::now();
        let present = items
            .iter()
            .filter(|item| !self.layout.is_expired(item, now));
        let keys = present.filter_map(|item| {
            let text = self.layout.key_of(item)?;
            // A key that is not normalised was written by another program, and is not a valid key.
            let key = Key::new(text).ok().filter(|key| key.as_str() == text)?;
            self.layout.prefix.strip(&key)
        });
        Ok(ListPage::new(keys.collect(), next))
    }

    /// Removes all items below `prefix`, expired ones included. Each step has a deadline of its own.
    async fn clear_below(&self, prefix: &Prefix) -> Result<()> {
        let mut after = None;
        loop {
            let deadline = self.attempts.deadline();
            let (items, next) = self
                .scan(deadline, prefix, after.as_ref(), MIN_SCAN, true)
                .await?;
            let keys = items.iter().filter_map(|item| self.layout.key_of(item));
            let deadline = self.attempts.deadline();
            self.batches(deadline)
                .delete(keys.map(str::to_owned))
                .await?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Writes several entries without conditions in batches. `indexes` are those of the writes, and of several writes to one
    /// key only the last is sent.
    async fn put_many(
        &self,
        deadline: Instant,
        writes: &[Write],
        indexes: &mut Vec<usize>,
        outcomes: &mut [Option<Result<WriteOutcome>>],
    ) {
        let mut items = HashMap::new();
        let mut keys = Vec::new();
        for index in indexes.drain(..) {
            let (Some(write), Some(outcome)) = (writes.get(index), outcomes.get_mut(index)) else {
                continue;
            };
            let checked = self
                .check_open()
                .and_then(|()| self.layout.check_value(&write.value));
            match checked.and_then(|()| self.layout.table_key(&write.key)) {
                Ok(key) => {
                    let expires_at = self.expires_at(write.options.expiry);
                    let item = self.layout.item(key.clone(), &write.value, expires_at);
                    items.insert(key.clone(), item);
                    keys.push((index, key));
                }
                Err(error) => *outcome = Some(Err(error)),
            }
        }
        let failed = self.batches(deadline).put(items).await;
        for (index, key) in keys {
            let (Some(write), Some(outcome)) = (writes.get(index), outcomes.get_mut(index)) else {
                continue;
            };
            *outcome = Some(match failed.get(&key) {
                Some(error) => Err(shared(error)),
                None => Ok(WriteOutcome::written(Some(version(write.value.clone())))),
            });
        }
    }
}

/// Which attributes a read returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attributes {
    All,
    WithoutValue,
}

fn repeat_unless<V>(if_version: Option<&V>) -> Idempotency {
    match if_version {
        None => Idempotency::Idempotent,
        Some(_) => Idempotency::NonIdempotent,
    }
}

#[async_trait]
impl Driver for DynamoDbDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_conditions(Conditions::All)
            .with_native_expiry(true)
            .with_reports_expiry(true)
            .with_touch(true)
            .with_listing(Listing::ExactlyOnce)
            .with_batch(true)
            .with_consistency(match self.consistent_read {
                true => Consistency::Strong,
                false => Consistency::Eventual,
            })
            .with_max_key_size(Some(self.layout.max_key_size()))
            .with_max_value_size(Some(self.layout.max_value_size()))
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let deadline = self.attempts.deadline();
        let read = async {
            match self.get(deadline, key, Attributes::All).await? {
                Some(item) => self.layout.entry(item, Timestamp::now()),
                None => Ok(None),
            }
        };
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.put(self.attempts.deadline(), key, value, options);
        self.operations.change("write", write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = self.delete(self.attempts.deadline(), key, options);
        self.operations.change("remove", remove).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let page = self.page(self.attempts.deadline(), &options);
        self.operations.read("list", page).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let get = self.get(self.attempts.deadline(), key, Attributes::WithoutValue);
        let item = self.operations.read("exists", get).await?;
        Ok(item.is_some_and(|item| !self.layout.is_expired(&item, Timestamp::now())))
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = self.renew(self.attempts.deadline(), key, options);
        self.operations.change("touch", touch).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let deadline = self.attempts.deadline();
        let read = async {
            let items = self.get_many(deadline, keys).await?;
            let now = Timestamp::now();
            let entry = |item: Option<Item>| match item {
                Some(item) => self.layout.entry(item, now),
                None => Ok(None),
            };
            items.into_iter().map(entry).collect()
        };
        self.operations.read("read_many", read).await
    }

    /// Each write has a result and a timeout of its own, so there is no timer around all of them.
    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let deadline = self.attempts.deadline();
        let mut outcomes: Vec<Option<Result<WriteOutcome>>> = Vec::new();
        outcomes.resize_with(writes.len(), || None);
        let mut together = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            if write.options.condition == WriteCondition::Always {
                together.push(index);
                continue;
            }
            // In order, since the condition may depend on an earlier write.
            self.put_many(deadline, &writes, &mut together, &mut outcomes)
                .await;
            let (value, options) = (write.value.clone(), write.options.clone());
            let put = self.put(deadline, &write.key, value, options);
            if let Some(outcome) = outcomes.get_mut(index) {
                *outcome = Some(put.await);
            }
        }
        self.put_many(deadline, &writes, &mut together, &mut outcomes)
            .await;
        let outcomes = outcomes.into_iter().flatten();
        outcomes
            .map(|outcome| self.operations.name("write_many", outcome))
            .collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let deadline = self.attempts.deadline();
        let remove = async {
            self.check_open()?;
            let keys = keys.iter().map(|key| self.layout.table_key(key));
            let distinct: Result<HashSet<String>> = keys.collect();
            self.batches(deadline).delete(distinct?).await
        };
        self.operations.change("remove_many", remove).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let operations = self.operations.with_timeout(DEFAULT_CLEAR_TIMEOUT);
        operations.change("clear", self.clear_below(prefix)).await
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

impl fmt::Debug for DynamoDbDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbDriver")
            .field("table", &self.table)
            .field("prefix", &self.layout.prefix)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
