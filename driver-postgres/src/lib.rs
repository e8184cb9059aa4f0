//! A driver for [`session_core`] that stores entries in a table of a PostgreSQL database.

mod change;
mod config;
mod driver;
mod error;
mod gather;
mod schema;
mod statements;
mod store;

pub use config::{Layout, PostgresOptions};
pub use driver::PostgresDriver;
