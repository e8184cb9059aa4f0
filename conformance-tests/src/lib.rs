//! the test suite for session-core drivers, as a library
