//! Test helpers shared by several crates.
//!
//! - Processes: servers on loopback ([`Peer`]) and scripts that answer calls ([`Script`]).
//! - Packages from npm ([`NodePackages`]) and PyPI ([`PythonPackages`]).
//! - Redis: [`RedisServer`], [`RedisTls`], [`RedisSentinels`] and [`RedisCluster`].
//! - PostgreSQL: [`PostgresServer`] and [`PgBouncer`].
//! - Emulators: DynamoDB ([`Dynalite`], [`Ministack`]), Cloudflare KV ([`CloudflareKv`]) and Upstash
//!   ([`UpstashGateway`]).
//! - The server of unstorage ([`UnstorageServer`]).
//! - Proxies that inject faults into HTTP requests ([`HttpProxy`]) and TCP connections ([`TcpProxy`]).
//! - Tests with a time limit ([`test`](macro@test)) that name their last step ([`step`]) when they exceed it.
//!
//! The crate is only for tests. If a helper cannot be set up, it panics and says what to install.

// Test helpers fail the test with a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// The attribute expands to paths of this crate, also in its own tests.
#[cfg(test)]
extern crate self as test_support;

mod cloudflare_kv;
mod deadlines;
mod dynamodb;
mod hostile_http;
mod http_proxy;
pub mod kills;
pub mod limit;
mod memory;
mod node;
mod peer;
mod port;
mod postgres;
mod python;
mod redis;
mod script;
mod tcp_proxy;
mod unstorage;
mod upstash;

pub use cloudflare_kv::CloudflareKv;
pub use deadlines::{SilentServer, every_call_ends};
pub use dynamodb::{Dynalite, Ministack};
pub use hostile_http::hostile_http;
pub use http_proxy::{HttpFault, HttpProxy, Seen};
pub use limit::step;
pub use memory::{memory, memory_growth, peak_memory};
pub use node::NodePackages;
pub use peer::Peer;
pub use port::free_port;
pub use postgres::{PgBouncer, PostgresServer};
pub use python::PythonPackages;
pub use redis::{RedisCluster, RedisSentinels, RedisServer, RedisTls, TlsFiles};
pub use script::Script;
pub use tcp_proxy::{TcpFault, TcpProxy};
pub use test_macros::test;
pub use unstorage::UnstorageServer;
pub use upstash::UpstashGateway;
