//! A driver for [`session_core`] on Redis and Valkey: standalone, with Sentinel, or as a cluster, with the keys and values
//! of unstorage and Astro.
//!
//! ```
//! use driver_redis::{RedisDriver, RedisOptions};
//! use session_core::{Driver, DriverExt, Result};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let server = test_support::RedisServer::start();
//! # let url = server.url();
//! // The URL is such as "redis://127.0.0.1:6379".
//! let driver = RedisDriver::open(RedisOptions::new(url).with_prefix("sessions")).await?;
//! driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It is tested with Redis 7 and Valkey 9. Listing requires Redis 6 or later (`SCAN … TYPE`). The connections are those of
//! the `redis` crate, and [`RedisDriver::from_client`] takes a client that the application has already.
//!
//! # Round trips
//!
//! Every operation takes one round trip. A read is `GET` and `PTTL`, sent together. A conditional write is one command. A
//! batch takes one round trip for each 256 operations. All callers share one connection to a server, unless `connections`
//! says otherwise, and their commands are pipelined on it.
//!
//! # Conditions
//!
//! The version of an entry is the stored value itself, so a change by any program changes the version. If the server can
//! compare and set (`SET … IFEQ` and `DELIFEQ`, as Valkey 9 can), the driver uses that; it finds out by trying. Otherwise
//! it uses a script, which is loaded on connecting and sent again if the server has lost it. A conflict returns the
//! current entry: a script returns it with its answer, and the commands require another read. A value that was changed
//! and changed back has the same version.
//!
//! # Expiry
//!
//! The server receives the remaining time in milliseconds, so the clocks of its clients do not matter. The time counts
//! from when the write arrives. A touch is `PEXPIRE` or `PERSIST`.
//!
//! # Timeouts and outages
//!
//! Every operation ends by `timeout`, whatever the server or the network does; a clear ends within 10 minutes. The wait for
//! a connection counts. After a call has timed out, its connection is given up, so that commands which are still queued are
//! not carried out. A reply larger than 128 MiB, or one that no server sends, ends the connection.
//!
//! A lost connection is made again at once, and then after 10 ms to 400 ms, drawn at random, for as long as it takes.
//! Callers wait for it until their timeout. In an outage that is older than `timeout` they wait for the outcome of one
//! attempt, so that they do not pile up. The first call after the server is back succeeds within a second.
//!
//! The driver retries commands that were certainly not sent, commands that the server refused because it does not own the
//! key, is still loading or has lost a script, and reads. Another change that has no answer is not retried: its error has
//! the outcome [`Unknown`](session_core::Outcome::Unknown). All other errors mean that nothing was changed.
//!
//! # Sentinel
//!
//! All sentinels are asked for the primary, four times a second, and the answer that knows of the latest failover counts:
//! after a failover the old primary may accept writes for some seconds, all of which are lost when it becomes a replica.
//! On connecting, the server must confirm that it is a primary, unless its ACL forbids the question.
//!
//! # Cluster
//!
//! The driver keeps the slot table and connections to each node in it. Keys need no hash tags, since no command has two
//! keys. Redirections are followed, also while slots move. The cluster connection of the `redis` crate is not used: it
//! counts redirections and repeated sends by one number (`cluster_handling/async_connection/request.rs` in its source), so
//! it may send a conditional write again whose answer was lost.
//!
//! # What a failover can lose
//!
//! Redis acknowledges a write before its replicas have it. A primary that dies loses its latest writes, among them the
//! tombstones of sessions that were just destroyed. `min-replicas-to-write` reduces this. A standalone server with
//! `appendfsync always` loses nothing that it acknowledged.
//!
//! # Replicas
//!
//! With [`ReadFrom::Replica`] reads go to a replica, and a miss or an error there is retried on the primary. A read may
//! return an older value; a conditional write that is based on it is a conflict, which the primary decides.
//!
//! # Invalidations
//!
//! The driver supports invalidations, and so a near-cache, unless it reads from replicas. It needs RESP3, and the server
//! tracks only the keys that are read for a cache and were there before (`CLIENT TRACKING ON OPTIN`). Each connection
//! tracks the keys that were read over it; when one ends, or when slots move, listeners are told that everything may have
//! changed. A probe asks each server over each connection for its role and for a key that it should serve, so that a
//! primary which was demoted or lost its slots does not confirm anything. A primary that is cut off from its sentinels
//! and still reachable from here confirms what it has. `SWAPDB` is not told by the server.
//!
//! # Compatibility with unstorage and Astro
//!
//! The key is stored below `prefix` and a `:`, and the value is a string. Bytes that are not UTF-8 are stored as
//! unstorage 2 does, or with [`RawFormat::Base64`] as unstorage 1 does. Their writes change the version and clear or
//! replace the expiry. They write without conditions, so they can overwrite a change or revive a removed entry.
//! unstorage treats `*`, `?` and `[` in its base as a pattern when it lists; this driver does not.
//!
//! Keys of other types are not listed, cleared or overwritten by a conditional write. Reading one is an error. An
//! unconditional write replaces it, as in Redis.
//!
//! # Listing
//!
//! Listing uses `SCAN` on all primaries; a key may be listed twice. After a restart of the server or a move of slots it
//! starts over, so that no key is missed. A key that is being migrated between two nodes may be missed. `SCAN` also
//! visits the keys of other programs in the same database, so a separate database is faster.
//!
//! # Access
//!
//! An ACL user needs the keys below `prefix` and the categories `@read`, `@write`, `@connection` and `@scripting`;
//! `-@dangerous` is fine. In a cluster it also needs `cluster|slots`. TLS uses rustls with the system's certificate
//! authorities or those of a file, and a client certificate if one is configured. No option accepts an untrusted
//! certificate. A password that is sent to another host without TLS is warned of.
//!
//! # Limits
//!
//! A stored value is limited to 64 MiB, and a key to 64 KiB with its prefix. A connection takes up to 1,024 calls at once;
//! further callers wait for a place. The tasks run on the runtime on which the driver was opened. Unix sockets require a
//! Unix system.

mod address;
mod command;
mod connection;
mod driver;
mod error;
mod listing;
mod node;
mod options;
mod reply;
mod router;
mod sentinel;
mod settings;
mod slots;
mod stream;
mod tls;
mod topology;
mod tracking;
mod value;

pub use driver::RedisDriver;
pub use options::{Node, RawFormat, ReadFrom, RedisOptions, Sentinel, Tls, TlsOptions};
pub use redis;
pub use secrecy::SecretString;
