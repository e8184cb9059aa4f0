//! A driver for [`session_core`] that stores entries as files in a folder, the one that unstorage and Astro write.
//!
//! ```
//! use driver_fs::{FsDriver, FsOptions};
//! use session_core::{Driver, DriverExt, Result};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("sessions");
//! let driver = FsDriver::open(FsOptions::new(path)).await?;
//! driver.put_with_ttl("greeting", "hello", Duration::from_secs(60)).await?;
//! assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
//! driver.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! It suits servers on one machine that share sessions with an Astro app, or whose operators want to see the sessions
//! with the tools of the system. Any number of processes share a folder.
//!
//! The folder must be on a local disk of a Unix system; elsewhere, opening the driver is an error. It is made for
//! Linux. On other systems, and on file systems without extended attributes, a listing reads the whole folder for
//! every page and for every 10,000 names.
//!
//! # The folder
//!
//! The value of the key `a:b:c` is the file `a/b/c` in the folder, with exactly its bytes: the layout of unstorage's
//! `fs` and `fs-lite` drivers. Astro's `fs` sessions use the latter, in [`DEFAULT_PATH`]. Astro's Node adapter chooses
//! `node_modules/.astro/sessions`, so set `path` to that folder to share sessions with it.
//!
//! | name | what it is |
//! |---|---|
//! | `.unstorage-tmp-…` | a value that is being written, as unstorage 2 calls it |
//! | `user.session-kit` | an extended attribute of a file: the expiry of the entry |
//! | `.NAME.expires$` | a file with the expiry of `NAME`, if the file system has no extended attributes |
//!
//! New files have the mode 0600 and new folders 0700, also if a file of another mode was replaced. An Astro app of
//! another user needs another [`mode`](FsOptions::mode). A folder that a removal leaves empty is removed. The
//! folder of the driver itself is created again if it is gone.
//!
//! # Keys
//!
//! A file cannot be a folder, so only one of `a` and `a:b` can have an entry
//! ([`nested_keys`](session_core::Capabilities::nested_keys) is off). The later one is refused with an error of kind
//! [`InvalidKey`](session_core::ErrorKind::InvalidKey) until the other is removed. Storing it elsewhere would hide it
//! from unstorage.
//!
//! Refused are segments that are `.` or `..`, that contain a NUL, that are longer than 255 bytes, or that have the names
//! above; and keys of more than 64 segments or 4,000 bytes. Everything else is a valid name, also `x..` and `nul`. The
//! case of letters matters as far as it does for the file system.
//!
//! No symbolic link in the folder is followed: a link in the path of a key is an error, and links are not listed. The
//! folder itself may be a link.
//!
//! # Reads
//!
//! The driver keeps no values: each read looks at the file. On Linux, a value of up to 16 KiB that the system has in
//! memory is read at once, by calls that fail where they would have to wait for the disk. Everything else is done on
//! threads.
//!
//! # Writes
//!
//! A value is written to a new file, which is then renamed. A reader, also a foreign one, sees the old value or the
//! new one, whenever the writer is killed. [`Durability`] sets what a power failure can lose. Files that killed
//! writers leave behind are never listed, and the sweeper removes them after ten minutes.
//!
//! Conditions hold among all users of this driver, in any number of processes: each change takes the lock (`flock`) of
//! the file that it replaces, and a new file is renamed only if nothing has the name. There are no lock files, and the
//! system releases the locks of a process that ends. The version of an entry is its value.
//!
//! # Timeouts
//!
//! Every operation ends by [`timeout`](FsOptions::timeout). A change that waits for a lock for so long fails with
//! [`Unavailable`](session_core::ErrorKind::Unavailable), certainly not applied. A change that its caller gave up
//! while it waited for a lock, for its turn, or for a thread is not made later. A caller that is dropped leaves the
//! old value or the new one.
//!
//! # Expiry
//!
//! An entry expires at its millisecond by the clock of the machine. The expiry is stored with the value in an extended
//! attribute, together with half a SHA-256 of the value. Both are set in the same step. The expiry is ignored for any
//! other value, so a value that a foreign program writes to the same file has none. Copy a folder with its
//! attributes (`cp -a`, `rsync -X`, `tar --xattrs`), or its entries never expire.
//!
//! On a file system without such attributes the expiry is in a file beside the entry. A write is then twice as
//! expensive, and takes the lock of the folder.
//!
//! No read, listing or condition sees an expired entry. The sweeper goes through the folder at once and then every
//! [`sweep_interval`](FsOptions::sweep_interval), 256 files at a time, with pauses as long as its steps.
//!
//! # Beside Astro and unstorage
//!
//! Astro and unstorage take no lock and ignore expiry: they see an expired entry until it is swept, and can overwrite
//! or revive it. They also write in place, so a file is empty or incomplete for a moment. A value that this driver did
//! not write is therefore read again until its file has been left alone for a second, or until it is the same JSON
//! twice: a part of a JSON object, array or string is not valid JSON. Sessions of Astro are JSON. If neither happens
//! within `timeout`, the read fails with [`Unavailable`](session_core::ErrorKind::Unavailable). Their `clear` empties
//! the whole folder.
//!
//! # Threads
//!
//! A driver has 4 threads for its work on files, or 16 if writes wait for the disk, and 2 more for what goes through
//! folders: listings, clears, watches and the sweeper, which is a task on the runtime on which the driver was opened.
//! They end when the driver is closed or dropped.
//!
//! # Limits
//!
//! A value has at most 64 MiB, and a page of a listing at most 10,000 keys. A listing holds no more than a page in
//! memory, and may give a key twice that is written meanwhile. [`watch`](session_core::Driver::watch) reports foreign
//! writes too, and expired entries once they are swept. It needs one of the system's watches for each folder. It
//! reports the entries of a folder that is moved into the driver's folder, but not those of one that is moved out.

mod config;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod unsupported;

pub use config::{DEFAULT_PATH, Durability, FsOptions};
#[cfg(unix)]
pub use unix::FsDriver;
#[cfg(not(unix))]
pub use unsupported::FsDriver;
