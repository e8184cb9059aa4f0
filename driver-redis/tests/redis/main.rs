//! The Redis driver on real servers: its own behaviour, faults, errors, other writers.

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
mod driver;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod load;
#[cfg(test)]
mod near_cache;
#[cfg(test)]
mod support;
