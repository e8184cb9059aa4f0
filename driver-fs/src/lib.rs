//! A driver for [`session_core`] that keeps its entries as files in a folder, the one that unstorage and Astro
//! write.
//!
//! ```
//! use driver_fs::{FsDriver, FsOptions};
//! use session_core::{Driver, DriverExt, Result};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let base = folder.path().join("sessions");
//! let driver = FsDriver::open(FsOptions::new(base)).await?;
//! driver.put_for("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It suits servers on one machine that share sessions with an Astro app, or want to see them with the tools of
//! the system. Any number of processes share a folder. The folder must be on a local disk; Unix only, and made for
//! Linux: on other systems, and on file systems without extended attributes, a listing reads the folder once for every
//! page and every 10,000 names.
//!
//! # The folder
//!
//! The value of the key `a:b:c` is the file `a/b/c` below `base`, of exactly its bytes: the layout of unstorage's
//! `fs` and `fs-lite` drivers. Astro's `fs` sessions are the latter, in [`DEFAULT_BASE`]; its Node adapter chooses
//! `node_modules/.astro/sessions`, which is to be named here as `base` too.
//!
//! | name | what it is |
//! |---|---|
//! | `.unstorage-tmp-…` | a value that is being written, as unstorage 2 calls it |
//! | `user.session-kit` | an extended attribute of a file: the end of the entry |
//! | `.NAME.expires$` | a file with the end of `NAME`, where the file system has no extended attributes |
//!
//! New files have the mode 0600 and new folders 0700, also where a file of another mode was replaced; an Astro app
//! of another user needs another [`mode`](FsOptions::mode). A folder that a removal leaves empty is removed, and
//! the base is made again if it was taken away.
//!
//! # Keys
//!
//! A file cannot be a folder, so of `a` and `a:b` only one can have an entry
//! ([`nested_keys`](session_core::Capabilities::nested_keys) is off): the later one is refused with an error of kind
//! [`InvalidKey`](session_core::ErrorKind::InvalidKey), and has its place once the other is gone. To put one of them
//! elsewhere would hide it from unstorage.
//!
//! Refused are segments that are `.` or `..`, that hold a NUL, that are longer than 255 bytes, that have the names
//! above, or that are devices on Windows (`con`, `nul.txt`); and keys of more than 4,000 bytes. Everything else is a
//! name, `x..` too. The case of letters counts as far as it does for the file system.
//!
//! No symbolic link below the base is followed: where one stands in the way of a key, that is an error, and it is
//! not listed. The base itself may be one.
//!
//! # Reads
//!
//! What was read stays in memory, 32 MiB at most, if its file had been left alone for 3 s. Each read asks the file
//! system whether the file is still that one, of that size, and last changed at that nanosecond, which any change moves,
//! whoever makes it; only then it is not read again. Conditions are held against the file itself. Nothing is kept of a
//! file system that others may write to over a network (known to be local are ext4, XFS, Btrfs, F2FS, bcachefs, ZFS,
//! tmpfs and overlayfs), nor where attributes are missing. A foreign program that changes a file through a mapping of it
//! (`mmap`) may be seen late.
//!
//! # Writes
//!
//! A value is written into a new file, which then takes the name in one step: a reader, also one that is not ours,
//! sees the old value or the new one, whenever the writer is killed. What [`Durability`] adds is for a power cut.
//! What killed writers leave behind is removed by the sweeper after ten minutes, and listed by nobody.
//!
//! Conditions hold among those who use this driver, in any number of processes: each change takes the lock (`flock`)
//! of the file that it replaces, and a file that is new gets its name only if nothing has it. There are no files
//! for locks, and the system gives up the locks of a process that ends. Whoever meets a lock for 4 s is told
//! [`Unavailable`](session_core::ErrorKind::Unavailable), certainly not applied. The version of an entry is its value.
//!
//! # Expiry
//!
//! An entry ends at its millisecond by the clock of the machine. The end stands beside the value in an extended
//! attribute, together with half a SHA-256 of the value: it takes its place in the same step, and is void over any
//! other value, so that what a foreign writer puts into the same file has no end. Copy a folder with its attributes
//! (`cp -a`, `rsync -X`, `tar --xattrs`), or its entries never end.
//!
//! On a file system without such attributes the end stands in a file beside the entry, which makes a write twice as
//! dear; changes then take the lock of the folder.
//!
//! What has ended is seen by no read, listing or condition. The sweeper goes through the folder at once and then every
//! [`sweep`](FsOptions::sweep), 256 files at a time with pauses as long as its steps.
//!
//! # Beside Astro and unstorage
//!
//! They take no lock and know no ends: what has ended they see until it is swept, and they can overwrite or revive.
//! They also write in place, so that a file is empty or cut for a moment. A value that no attribute vouches for, and
//! that was changed in the last 20 ms, is therefore read again until it stays the same for three reads; an empty one
//! for as long as it is younger than a second. Their `clear` empties the whole folder.
//!
//! # Threads
//!
//! All work on files is done on threads of the driver: 4, or 16 where writes wait for the disk, and one that sweeps.
//! For a lone caller that keeps coming back one of them, and the caller's task, stay awake for up to 80 µs before they
//! wait. They end when it is closed or dropped. A caller who is dropped leaves the old value or the new one.
//!
//! # Limits
//!
//! A value has 64 MiB at most, a page of a listing 10,000 keys. A listing keeps no more than that in memory, and may
//! give a key twice that is written meanwhile. [`watch`](session_core::Driver::watch) tells of foreign writes too, and
//! of what ended once it is swept; it needs one of the system's watches for each folder. What is moved into the base
//! as a folder is told of, and what is moved out of it as one is not.

#[cfg(not(unix))]
compile_error!("driver-fs needs a Unix system: locks, modes and lookups relative to a folder");

mod cache;
mod config;
mod content;
mod directory;
mod driver;
mod ends;
mod error;
#[cfg(test)]
mod fault_tests;
mod files;
mod folder;
mod ignored;
mod lock;
mod path;
mod settling;
mod sidecar;
mod sorted;
mod staged;
mod stamp;
mod store;
mod sweeper;
mod walk;
mod watch;

pub use config::{DEFAULT_BASE, Durability, FsOptions};
pub use driver::FsDriver;
