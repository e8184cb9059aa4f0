//! The driver on Unix, which has locks of files, modes and lookups relative to an open folder.

#[cfg(target_os = "linux")]
mod at_once;
mod content;
mod directory;
mod driver;
mod error;
mod expiry;
mod expiry_tag;
#[cfg(test)]
mod fault_tests;
mod files;
mod folder;
mod ignored;
mod lock;
mod path;
mod sidecar;
mod sorted;
mod staged;
mod store;
mod sweeper;
mod walk;
mod watch;

pub use driver::FsDriver;
