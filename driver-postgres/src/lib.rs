//! A driver for [`session_core`] that stores entries in a table of a PostgreSQL database: the one that unstorage and Astro
//! write, or one of bytes.
//!
//! ```
//! use driver_postgres::{PostgresDriver, PostgresOptions};
//! use session_core::{Driver, DriverExt, Result};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let server = test_support::PostgresServer::start();
//! # let url = server.url(&server.create_database());
//! let options = PostgresOptions::new(url).with_prefix("sessions");
//! let driver = PostgresDriver::open(options).await?;
//! driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! An application that has a pool hands it in by [`PostgresDriver::from_pool`].
//!
//! # The table
//!
//! | column | | |
//! |---|---|---|
//! | `key` | unstorage's | the key, below `prefix` |
//! | `value` | unstorage's | a value that is text, else NULL |
//! | `blob` | unstorage's | a value that is bytes, else NULL |
//! | `created_at`, `updated_at` | unstorage's | a touch changes neither |
//! | `expires_at` | ours | the expiry in milliseconds since 1970, NULL for never |
//! | `revision` | ours | the version: a number that no other write of the table has had |
//!
//! A value is text if it is UTF-8 without a NUL character, unless it was written with
//! [`raw`](session_core::WriteOptions::raw). Reads do not tell the two apart. A key with a NUL character is refused. With
//! [`Layout::Bytes`] keys and values are bytes, and the times and `blob` are left out.
//!
//! Opening creates the table, or completes one of unstorage with our columns, two indexes and two triggers, unless
//! [`migrate`](PostgresOptions::migrate) is off. Any number of processes may open at once. A table that is complete is not
//! locked. [`schema_sql`](PostgresOptions::schema_sql) prints the statements for those who migrate by hand.
//!
//! # Beside Astro and unstorage
//!
//! Text that one side writes with `setItem` the other reads, byte for byte. The same holds for bytes with
//! `setItemRaw`. A trigger changes the version and clears the expiry when unstorage writes, so that entry lives until
//! someone sets an expiry, and a conditional write that was based on the earlier value is refused. If unstorage has
//! left both text and bytes under one key, the text counts, as for its `getItem`.
//!
//! Astro and unstorage ignore expiry: they see an expired entry until it is swept, and they write without conditions,
//! so they can overwrite or revive an entry. Their `clear` empties the whole table, whatever base it is given.
//!
//! # Conditions and expiry
//!
//! A condition is checked in the statement that writes, after the row is locked, and holds against every writer. An entry
//! expires at its millisecond by the clock of the server. The time is set by the clock of the client, so a difference of
//! the two moves the expiry by as much. Expired entries are removed every `sweep_interval`, 500 by a statement, by a task
//! that lasts as long as the driver. Sweeps of several processes pass over each other's rows.
//!
//! A failover to a replica that had not received a write loses that write, as PostgreSQL itself says of asynchronous
//! replication.
//!
//! # Shared statements
//!
//! Calls that arrive while all connections are waiting for the server go together into the next statement: reads into one,
//! changes of a kind into another. A lone caller waits for nobody. A row that another transaction holds is left out of the
//! shared statement, and its caller waits alone. If the server refuses a shared statement, its changes are made one by one,
//! so that the one to blame fails alone.
//!
//! # Timeouts and connections
//!
//! Every operation ends by [`timeout`](PostgresOptions::timeout), which is also the `statement_timeout` of the driver's own
//! connections. A change whose caller gave up before it was sent is not made. A connection is not tried before each use: a
//! read that meets a broken one is repeated on another, and a write is an error of
//! [unknown outcome](session_core::Outcome::Unknown). One that was idle for over a second is tried first.
//!
//! A server on another machine must prove who it is by a certificate, unless the URL or `PGSSLMODE` says otherwise.
//!
//! Behind a pooler that gives each transaction another connection, set [`pooler`](PostgresOptions::pooler): each operation
//! is a transaction then, three round trips instead of one, and nothing is prepared by name.
//!
//! # Near-cache
//!
//! The driver tells a [`NearCache`](session_core::decorators::NearCache) which entries change, by `LISTEN` and `NOTIFY`.
//! When the first one is opened, the table gets two triggers that notify of each row that is changed or removed, by
//! unstorage too. [`invalidation_sql`](PostgresOptions::invalidation_sql) prints them. They stay until they are dropped, and
//! cost every writer of the table: PostgreSQL makes transactions that notify commit one after the other.
//!
//! One more connection listens. If it is lost, all that was read before is forgotten. Behind a pooler it goes past it, to
//! [`listen_url`](PostgresOptions::listen_url). After a failover the cache empties when the connections move to the new
//! primary.
//!
//! # Limits
//!
//! A value has at most 16 MiB. A key has at most 255 characters, or 2,600 bytes with [`Layout::Bytes`], the prefix
//! included. A page of a listing has at most 10,000 keys. Queues of 1,024 changes and 1,024 reads wait for the
//! connections; further callers wait for a place. The database must be encoded in UTF-8 for unstorage's table. The tests
//! run on PostgreSQL 15 and PgBouncer 1.18.

mod change;
mod config;
mod driver;
mod error;
mod gather;
mod invalidation;
mod schema;
mod statements;
mod store;

pub use config::{Layout, PostgresOptions};
pub use driver::PostgresDriver;
