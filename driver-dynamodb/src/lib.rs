//! A driver for [`session_core`] that keeps its entries in a table of Amazon DynamoDB.
//!
//! ```
//! use driver_dynamodb::{DynamoDbDriver, DynamoDbOptions};
//! use session_core::{DriverExt, Result};
//! use std::time::Duration;
//!
//! async fn greet() -> Result<()> {
//!     let options = DynamoDbOptions {
//!         region: Some("eu-central-1".to_owned()),
//!         ..DynamoDbOptions::new("sessions")
//!     };
//!     let driver = DynamoDbDriver::open(options).await?;
//!     driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//!     assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//!     Ok(())
//! }
//! ```
//!
//! It suits servers on AWS: any number of them share a table, and conditions hold among them all, as they do towards
//! writers that know nothing of this driver. AWS's SDK, which it is built on, takes a minute or two to compile. With the
//! feature `sso` the default chain of credentials has those of `aws sso login`.
//!
//! # What it costs
//!
//! Requests, and capacity units for a session of up to 1 KB, as a server counts them. RRU and WRU are DynamoDB's units
//! for reads and writes:
//!
//! | request of a visitor | requests | RRU | WRU |
//! |---|---|---|---|
//! | that does not touch its session, or reads none that it has | 0 | | |
//! | whose session begins | 1 `PutItem` | | 1 |
//! | that reads its session | 1 `GetItem` | 1 | |
//! | that reads and changes it | `GetItem`, `PutItem` | 1 | 1 |
//! | that reads it, once an interval, and moves its end | `GetItem`, `UpdateItem` | 1 | 1 |
//! | that logs in (`regenerate`) | `GetItem`, 2 `PutItem` | 1 | 2 |
//! | that logs out (`destroy`) | `GetItem`, `DeleteItem` | 1 | 1 |
//!
//! A write takes one unit for each KB of the item and a touch as much as a write, since DynamoDB counts the whole item;
//! a read takes one for each 4 KB, and half of that without [`consistent_read`](DynamoDbOptions::consistent_read). A
//! condition that fails costs what its write would have. On a conflict the session reads again and writes again, and
//! spares the reading where DynamoDB sent what it found along. Batches save requests (100 reads or 25 writes in each, 4 on
//! their way at once) and no capacity.
//!
//! # The table
//!
//! One item an entry:
//!
//! | attribute | type | |
//! |---|---|---|
//! | `key` | String | the key below `base`; the table's partition key |
//! | `value` | String or Binary | text where the value is UTF-8, so that the console shows it, else the bytes |
//! | `expires_at` | Number | the end in seconds since 1970, rounded up; missing for never |
//! | `expires_at_ms` | Number | the end in milliseconds, exactly |
//!
//! The first three can be [named otherwise](AttributeNames). The table has no sort key and needs no index. Its *time to
//! live* is to be on `expires_at`: DynamoDB then removes what has ended, within days and free of charge. Until it does,
//! an ended entry is neither read nor listed, nor met by a condition, to the millisecond by the clock of the server that
//! asks; clocks have to agree, as they do in any case for AWS to take a signature. With
//! [`create_table`](DynamoDbOptions::create_table) the driver makes such a table. By hand:
//!
//! ```text
//! aws dynamodb create-table --table-name sessions --billing-mode PAY_PER_REQUEST \
//!     --attribute-definitions AttributeName=key,AttributeType=S --key-schema AttributeName=key,KeyType=HASH
//! aws dynamodb update-time-to-live --table-name sessions \
//!     --time-to-live-specification Enabled=true,AttributeName=expires_at
//! ```
//!
//! The driver needs `GetItem`, `PutItem`, `UpdateItem`, `DeleteItem`, `BatchGetItem` and `BatchWriteItem` on the table;
//! for listing and clearing `Scan`; for `create_table` also `DescribeTable`, `CreateTable`, `DescribeTimeToLive` and
//! `UpdateTimeToLive`.
//!
//! ## Listing, and why there is no sort key
//!
//! Listing and clearing scan the table and pass over what is not below `base`, which costs as much as reading it. A
//! partition for each base with the rest of the key as its sort key would cost the base alone. For 1,000 entries of 1 KB
//! in a table with 4,000 of others, counted by a server, eventually consistent (a consistent listing costs twice that):
//!
//! | | requests | RRU | of each 1,000 entries of others |
//! |---|---|---|---|
//! | single key, `Scan` | 6 | 600 | 120 more |
//! | partition for each base, `Query` | 1 | 120 | nothing |
//!
//! Reading and writing an entry costs the same in both. But a partition takes 1,000 WRU and 3,000 RRU a second, and in
//! the second design all of an application's sessions are in one: that bounds it to 1,000 visitors a second who change
//! their session, until DynamoDB has noticed the hot partition and split it. With the single key the load is spread from
//! the first moment, and the bound is that of a single session. Sessions are read with each request and listed hardly
//! ever, so that is what was chosen. **Give an application that lists or clears a table of its own**: there a scan costs
//! what a query would.
//!
//! A page of a listing below a base is what was found among about 1,000 items of the table, so it can be empty while more
//! follow. A cursor is the key of the item at which the page ended, perhaps one of another base: a secret like every key.
//!
//! # Conditions
//!
//! An entry's version is its value, and a condition compares that, and the end, with what is stored, in the step of the
//! write. So a write by any other program is noticed, and one that brings back the very same bytes changes nothing. A
//! write on condition sends the old value along; that costs no capacity. A failed condition tells what it met, where the
//! server does; DynamoDB does, but does not tell a missing item from nothing to tell, so the session reads once more then.
//!
//! Without `consistent_read`, reads may be older by about a second, though a miss is confirmed by a consistent read before
//! it means anything, and conditions are always checked on what is newest. In a global table they hold within a region;
//! of two regions' writes the later one wins, unless the table has multi-region strong consistency.
//!
//! # Failures and repeats
//!
//! The SDK's own retries are off, since it repeats everything. By [`retry`](DynamoDbOptions::retry), reads and what has
//! no condition are repeated after every failure that may pass. What has a condition is repeated only if it was certainly
//! not applied: DynamoDB refused it for now, or no connection came about. When its answer is lost, the error's
//! [outcome](session_core::Outcome) is unknown.
//!
//! | what happened | kind | a change was |
//! |---|---|---|
//! | too many requests, capacity used up | [`RateLimited`](session_core::ErrorKind::RateLimited) | not applied |
//! | a transaction or another region has the item | [`Unavailable`](session_core::ErrorKind::Unavailable) | not applied |
//! | credentials missing, expired, wrong, or without the permission | [`Unauthorized`](session_core::ErrorKind::Unauthorized) | not applied |
//! | no such table, or one with another key | [`InvalidConfig`](session_core::ErrorKind::InvalidConfig) | not applied |
//! | no connection came about | `Unavailable` | not applied |
//! | the connection broke, DynamoDB failed inside, the answer was cut off | `Unavailable` | perhaps applied |
//! | no answer within [`timeout`](DynamoDbOptions::timeout) | [`TimedOut`](session_core::ErrorKind::TimedOut) | perhaps applied |
//!
//! What a batch left undone is sent again after a pause, while any of it gets done, and `retry` more times.
//!
//! # Limits
//!
//! An item has 400 KiB at most; a value 407,479 bytes with the default names, so that it fits whatever its key; a key
//! 2,048 bytes with its base. More is refused before it is sent. DynamoDB leaves for ever what was written with an end
//! more than five years past. A key that another program wrote and that is not normalised is not listed.

mod batch;
mod bounded;
mod client;
mod config;
mod driver;
mod error;
mod expressions;
mod item;
mod table;

pub use secrecy::SecretString;

pub use config::{AttributeNames, AwsCredentials, DynamoDbOptions};
pub use driver::DynamoDbDriver;
