//! End-to-end tests of the demo: the real program, browser cookies, and signals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod browser;
mod chromium;
mod html;
mod peers;
mod program;

mod config;
mod forms;
mod in_the_cookie;
mod many_at_once;
mod pages;
mod real_browser;
mod secrets;
mod stopping;
mod storage;
mod visitor;
