//! SQLite driver for session-core, on the table that unstorage writes
