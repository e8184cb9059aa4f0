//! The requests whose instructions are counted and of which flame graphs are drawn.

pub mod path;
