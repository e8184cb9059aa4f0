//! A driver for [`session_core`] on Redis and Valkey.

mod batch;
mod cluster;
mod command;
mod config;
mod connection;
mod driver;
mod endpoint;
mod error;
mod first_answer;
mod in_flight;
mod lane;
mod listing;
mod reply;
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
