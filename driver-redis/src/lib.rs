//! A driver for [`session_core`] on Redis and Valkey: a server alone, under sentinels, or a cluster, on the keys and
//! values that unstorage and Astro write.
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
//! let driver = RedisDriver::open(RedisOptions {
//!     base: Some("sessions".to_owned()),
//!     ..RedisOptions::new(url) // "redis://127.0.0.1:6379"
//! })
//! .await?;
//! driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It is tested on Redis 7 and Valkey 9. Redis 6 is the oldest that it can list (`SCAN … TYPE`).
//!
//! # Round trips
//!
//! Every operation is one: a read is `GET` and `PTTL` sent together (`GET` alone where the end is not asked for), a
//! conditional write is one command, a batch is a pipeline for each server, in pieces of 512 operations or 1 MiB. All
//! callers share one connection to a server (`connections` makes it more), on which their commands follow each other
//! without waiting, and what is asked while it is written to goes out together.
//!
//! The driver keeps its connections itself, and has the `redis` crate for what replies are. By the multiplexed
//! connection of that crate 64 callers had 0.6 to 0.7 times the reads and conditional writes of its bare `GET`s and
//! writes, by this one as many or more (see `benches`): it reads replies without a parser of many layers, holds no
//! buffer for each call of several commands, and keeps the server busy while callers are answered.
//!
//! # Conditions
//!
//! The version of an entry is the stored value itself: whoever changes it, another program included, changes the
//! version, and no hash of what visitors choose has to be trusted. Where the server compares by itself (`SET … IFEQ`,
//! `DELIFEQ`: Valkey 9), it is asked to, which is found out by trying; elsewhere a script does it, which is loaded
//! when connecting and sent again where the server has forgotten it. A conflict brings what is there: a script in its
//! answer, the commands by one more read. A value that was changed and changed back is the same version.
//!
//! # Expiry
//!
//! The server is told how long an entry still lives, in milliseconds, so the clocks of its clients do not matter. The
//! entry ends by the server's clock, which begins to count when the write arrives. A touch is `PEXPIRE` or `PERSIST`.
//!
//! # When the server is away
//!
//! A lost connection is made anew at once, then after 10 ms to 400 ms drawn at random, for ever. Callers wait for it
//! as long as their `timeout` lasts; in an outage older than that they wait for the outcome of one attempt, so that
//! they do not pile up. The first call after the server is back succeeds within a second.
//!
//! Answers come in the order of the calls. So when one has been waited for as long as `timeout` (in truth from 15/16
//! of it on), the connection is given up with all that wait on it, and what was queued up for a server that hangs is
//! not kept.
//!
//! What is repeated: calls that were not sent; calls that the server refused because it is not the one to ask, still
//! reads its data, or has forgotten a script; and reads. A change that was sent and has no answer is never sent
//! again: its error says [`Outcome::Unknown`](session_core::Outcome::Unknown). All other errors say that nothing was
//! done.
//!
//! # Sentinel
//!
//! Whenever a connection is made, all sentinels are asked for the primary, and the latest answer counts; the server
//! must agree that it is one, as far as its ACL lets us ask. Four times a second one of them is asked whether there
//! is a later one: an old primary may be there for seconds after a failover and take writes, all of which are lost
//! when it becomes a replica.
//!
//! # Cluster
//!
//! The driver keeps the table of slots and a connection to each node that it names. The cluster client of the
//! `redis` crate would not do: that repeats what it has sent, unless it is to follow no redirection either, and it
//! reads the table of slots while everybody waits, so that one node which hangs holds up the calls to all others.
//! Keys need no hash tags, since no command has two of them. Redirections are followed; a slot that moves disturbs
//! nobody.
//!
//! # What a failover can lose
//!
//! Redis acknowledges a write before its replicas have it, so a primary that dies takes its latest writes with it, and
//! with them the tombstones of sessions that were just ended. In the tests, with 64 callers on one machine, the death
//! of a cluster's master lost nothing; a failover that was asked of sentinels lost what the old primary took in the
//! second or so before it was known to have been replaced. `min-replicas-to-write` narrows both. A server alone with
//! `appendfsync always` loses nothing that it acknowledged.
//!
//! # Replicas
//!
//! With [`ReadFrom::Replica`] reads go to a replica, and what it does not have, or does not answer, to the primary.
//! An older value than the latest may be read; a write that is based on it is a conflict, which the primary decides.
//!
//! # Beside unstorage and Astro
//!
//! The key is the key, below `base` and a `:`; the value is a string, and text is text. Bytes that are no text are
//! stored as unstorage 2 does, or with [`RawFormat::Base64`] as unstorage 1 does. A write of theirs changes the
//! version and takes the end away, or sets its own. They write without conditions, so they can overwrite or revive.
//! Their listing takes `*`, `?` and `[` of a base for patterns; this one does not.
//!
//! Keys of other types are not listed, cleared or overwritten on condition; reading one is an error, and writing
//! without a condition replaces it, as Redis does.
//!
//! # Listing
//!
//! By `SCAN`, over all primaries of a cluster; a key may come twice. A server that was started anew, or slots that
//! have moved, make a listing start over, so that none is left out. A key that is on its way between two nodes while
//! it is looked for may be left out; nobody but the cluster could tell. The keys of other programs in the same
//! database are looked at too, and cost time: a database of its own is faster.
//!
//! # Access
//!
//! Under an ACL the user needs the keys below `base` and the categories `@read`, `@write`, `@connection` and
//! `@scripting`; `-@dangerous` may stand. TLS is rustls, with the authorities of the system or those of a file, and a
//! certificate of the client where one is wanted; a certificate that is not trusted cannot be accepted by any option.
//!
//! # Limits
//!
//! A value has 64 MiB at most as it is stored, a key 64 KiB with its base. Up to 1,024 commands wait to be written to
//! a connection, further callers before it. The tasks run on the runtime on which the driver was opened.

mod batch;
mod buffers;
mod cluster;
mod command;
mod config;
mod connection;
mod decode;
mod driver;
mod endpoint;
mod error;
mod first_answer;
mod in_flight;
mod lane;
mod listing;
mod multiplexer;
mod reply;
mod request;
mod router;
mod scripts;
mod sentinel;
mod server;
mod slots;
mod stream;
mod target;
mod tls;
mod value;

pub use config::{Node, RawFormat, ReadFrom, RedisOptions, Sentinel, Tls, TlsOptions};
pub use driver::RedisDriver;
