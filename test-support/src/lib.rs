//! What the tests of several crates share: real servers on loopback ([`Peer`]), packages from npm
//! ([`NodePackages`]) and PyPI ([`PythonPackages`]), scripts that answer calls ([`Script`]), Redis in each of its
//! forms ([`RedisServer`], [`RedisTls`], [`RedisSentinels`], [`RedisCluster`]), two imitations of DynamoDB
//! ([`Dynalite`], [`Ministack`]), Cloudflare KV ([`CloudflareKv`]), unstorage's own server ([`UnstorageServer`]), a
//! gateway to Redis as Upstash has it ([`UpstashGateway`]), and proxies that make requests over HTTP ([`HttpProxy`])
//! and connections of any protocol ([`TcpProxy`]) go wrong. Every test that waits for something has a limit
//! ([`test`](macro@test)) and says where it stands ([`step`]).
//!
//! For tests only: what cannot be set up panics, with words on what to install.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

// The attribute names this crate, also where it stands in its own tests.
#[cfg(test)]
extern crate self as test_support;

mod cloudflare_kv;
mod deadlines;
mod dynamodb;
mod http_proxy;
pub mod kills;
pub mod limit;
mod node;
mod peer;
mod port;
mod python;
mod redis;
mod script;
mod tcp_proxy;
mod unstorage;
mod upstash;

pub use cloudflare_kv::CloudflareKv;
pub use deadlines::{SilentServer, every_call_ends};
pub use dynamodb::{Dynalite, Ministack};
pub use http_proxy::{HttpFault, HttpProxy, Seen};
pub use limit::step;
pub use node::NodePackages;
pub use peer::Peer;
pub use port::free_port;
pub use python::PythonPackages;
pub use redis::{RedisCluster, RedisSentinels, RedisServer, RedisTls, TlsFiles};
pub use script::Script;
pub use tcp_proxy::{TcpFault, TcpProxy};
pub use test_macros::test;
pub use unstorage::UnstorageServer;
pub use upstash::UpstashGateway;
