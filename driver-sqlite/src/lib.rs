//! SQLite driver for session-core, on the table that unstorage writes.

mod change;
mod config;
mod connection;
mod driver;
mod error;
#[cfg(test)]
mod fault_tests;
mod reader;
mod rows;
mod schema;
mod statements;
mod sweep;
mod writer;

pub use config::{DEFAULT_TABLE, SqliteOptions, Synchronous};
pub use driver::SqliteDriver;
