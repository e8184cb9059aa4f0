//! The middleware of actix-web: the promises of the tower layer, and what is actix-web's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod support;

mod astro_session_readme;
mod contract;
mod cookies;
mod failures;
mod guarantees;
mod logs;
mod workers;
