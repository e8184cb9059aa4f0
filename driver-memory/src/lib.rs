//! in-memory driver for session-core
