//! a web app on session-kit
fn main() {}
