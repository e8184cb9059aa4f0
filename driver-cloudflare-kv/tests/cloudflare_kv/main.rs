//! The Cloudflare KV driver: what it stores and asks for, faults, JavaScript on the same namespaces.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[cfg(all(test, feature = "config"))]
mod configuration;
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
mod requests;
#[cfg(test)]
mod support;
