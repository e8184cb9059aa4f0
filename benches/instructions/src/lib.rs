//! The requests for instruction counts and flame graphs.

pub mod path;
