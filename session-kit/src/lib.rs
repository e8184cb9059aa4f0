//! sessions for Rust servers: every driver and integration behind one dependency
