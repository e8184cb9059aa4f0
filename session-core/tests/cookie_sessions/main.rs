//! Sessions that are kept in cookies: what holds for them as for any other, and what comes with the cookie.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod visitor;

mod astro_session;
mod config;
mod contract;
mod parts;
mod rejection;
mod tampering;
