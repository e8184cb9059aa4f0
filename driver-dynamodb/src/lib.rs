//! A [`session_core`] driver that keeps entries in a table of Amazon DynamoDB.
//!
//! ```
//! use driver_dynamodb::{DynamoDbDriver, DynamoDbOptions};
//! use session_core::{DriverExt, Result};
//! use std::time::Duration;
//!
//! async fn greet() -> Result<()> {
//!     let options = DynamoDbOptions::new("sessions").with_region("eu-central-1");
//!     let driver = DynamoDbDriver::open(options).await?;
//!     driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//!     assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//!     Ok(())
//! }
//! ```
//!
//! Use it for servers on AWS. Any number of servers share a table, and conditions hold among them all and against other
//! programs. The driver uses the AWS SDK, which takes a minute or two to compile. An application that has a client of the SDK
//! hands it in by [`DynamoDbDriver::from_client`]. With the feature `sso` the default
//! credentials chain includes those of `aws sso login`.
//!
//! # Costs
//!
//! The requests and capacity units for a session of up to 1 KB, as a server counts them. RRU and WRU are DynamoDB's units
//! for reads and writes:
//!
//! | request of a user | requests | RRU | WRU |
//! |---|---|---|---|
//! | does not use its session, or has none | 0 | | |
//! | creates a session | 1 `PutItem` | | 1 |
//! | reads its session | 1 `GetItem` | 1 | |
//! | reads and changes it | `GetItem`, `PutItem` | 1 | 1 |
//! | reads it and renews its expiry, once per interval | `GetItem`, `UpdateItem` | 1 | 1 |
//! | logs in (`regenerate`) | `GetItem`, 2 `PutItem` | 1 | 2 |
//! | logs out (`destroy`) | `GetItem`, `DeleteItem` | 1 | 1 |
//!
//! A write costs one unit for each KB of the item. A touch costs as much as a write, since DynamoDB counts the whole item.
//! A read costs one unit for each 4 KB, and half of that without [`consistent_read`](DynamoDbOptions::consistent_read). A
//! failed condition costs as much as its write. After a conflict the session is read and written again; the read is not
//! needed if DynamoDB returned the current item. Batches save requests (100 reads or 25 writes in each, 4 of them
//! concurrently) but no capacity.
//!
//! # The table
//!
//! Each entry is one item:
//!
//! | attribute | type | |
//! |---|---|---|
//! | `key` | String | the key with the prefix; the table's partition key |
//! | `value` | String or Binary | text if the value is UTF-8, so that the console shows it; otherwise bytes |
//! | `expires_at` | Number | the expiry in seconds since 1970, rounded up; missing if the entry never expires |
//! | `expires_at_ms` | Number | the exact expiry in milliseconds |
//!
//! The first three can have [other names](AttributeNames). The table has no sort key and needs no index. Enable its *time
//! to live* on `expires_at`: DynamoDB then removes expired items within days, free of charge. Until then an expired entry
//! is not read, not listed and not seen by a condition, to the millisecond by the clock of the server that asks. Clocks
//! must agree, which AWS requires anyway to accept a signature. With [`create_table`](DynamoDbOptions::create_table) the
//! driver creates such a table. By hand:
//!
//! ```text
//! aws dynamodb create-table --table-name sessions --billing-mode PAY_PER_REQUEST \
//!     --attribute-definitions AttributeName=key,AttributeType=S --key-schema AttributeName=key,KeyType=HASH
//! aws dynamodb update-time-to-live --table-name sessions \
//!     --time-to-live-specification Enabled=true,AttributeName=expires_at
//! ```
//!
//! The driver needs the permissions `GetItem`, `PutItem`, `UpdateItem`, `DeleteItem`, `BatchGetItem` and `BatchWriteItem`
//! on the table, `Scan` for listing and clearing, and for `create_table` also `DescribeTable`, `CreateTable`,
//! `DescribeTimeToLive` and `UpdateTimeToLive`.
//!
//! ## Listing, and why there is no sort key
//!
//! Listing and clearing scan the table and skip items outside of the prefix, which costs as much as reading them. A
//! partition for each prefix, with the rest of the key as its sort key, would cost only the items of the prefix. For 1,000
//! entries of 1 KB in a table with 4,000 others, counted by a server, eventually consistent (a consistent listing costs
//! twice that):
//!
//! | | requests | RRU | for each 1,000 other entries |
//! |---|---|---|---|
//! | single key, `Scan` | 6 | 600 | 120 more |
//! | partition for each prefix, `Query` | 1 | 120 | nothing |
//!
//! Reading and writing an entry costs the same in both. But a partition is limited to 1,000 WRU and 3,000 RRU per second.
//! In the second design all sessions of an application are in one partition, so at most 1,000 users per second can change
//! their session, until DynamoDB has noticed the hot partition and split it. With the single key the load is spread from
//! the start, and the limit is that of a single session. Sessions are read with each request and rarely listed, so the
//! driver uses the single key. **If an application lists or clears entries, give it a table of its own.** A scan then
//! costs as much as a query.
//!
//! A page of a listing below a prefix is taken from about 1,000 items of the table, so it can be empty while more pages
//! follow. A cursor is the key of the item at which the page ended, possibly one with another prefix. Treat it as a
//! secret, like every key.
//!
//! # Conditions
//!
//! The version of an entry is its value. A condition compares the value and the expiry with what is stored, atomically with
//! the write. So writes of all other programs are noticed, and a write that restores the same bytes is not a change. A
//! conditional write also sends the old value, which costs no capacity. A failed condition returns the current entry if
//! the server does. DynamoDB does, but a missing item looks like a server that does not, so the session reads once more.
//!
//! Without `consistent_read`, reads may be about a second old. A miss is confirmed by a consistent read, and conditions are
//! always checked against the latest item. In a global table conditions hold within a region. If two regions write, the
//! later write wins, unless the table has multi-region strong consistency.
//!
//! # Failures and retries
//!
//! The SDK's own retries are disabled, since it would repeat conditional writes too. Reads and unconditional changes are
//! retried after every transient error, as [`retry`](DynamoDbOptions::retry) says. Conditional changes are retried only if
//! they were certainly not applied: DynamoDB refused them for now, or no connection was made. If the response is lost, the
//! [outcome](session_core::Outcome) in the error is unknown. Every operation ends by its
//! [`timeout`](DynamoDbOptions::timeout), retries and pauses included. In a clear, each step does.
//!
//! | failure | kind | a change was |
//! |---|---|---|
//! | too many requests, capacity exhausted | [`RateLimited`](session_core::ErrorKind::RateLimited) | not applied |
//! | a transaction or another region uses the item | [`Unavailable`](session_core::ErrorKind::Unavailable) | not applied |
//! | credentials missing, expired, wrong, or without the permission | [`Unauthorized`](session_core::ErrorKind::Unauthorized) | not applied |
//! | no such table, or a table with another key | [`InvalidConfig`](session_core::ErrorKind::InvalidConfig) | not applied |
//! | no connection | `Unavailable` | not applied |
//! | broken connection, internal error of DynamoDB, incomplete response | `Unavailable` | possibly applied |
//! | no response within [`timeout`](DynamoDbOptions::timeout) | [`TimedOut`](session_core::ErrorKind::TimedOut) | possibly applied |
//!
//! Unprocessed items of a batch are sent again after a pause, as long as some are processed, and `retry` more times.
//!
//! # Limits
//!
//! An item has at most 400 KiB. A value has at most 407,479 bytes with the default names, so that it fits whatever its key
//! is. A key with its prefix has at most 2,048 bytes. Longer ones are refused before they are sent. DynamoDB does not
//! remove entries that are written with an expiry more than five years in the past. Keys of other programs that are not
//! normalised are not listed.

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
