//! The HTTP driver on unstorage's own server: JavaScript beside it, faults, configuration.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[cfg(all(test, feature = "config"))]
mod by_name;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod session_server;
#[cfg(test)]
mod storage_server;
#[cfg(test)]
mod support;
