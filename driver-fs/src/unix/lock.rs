//! Locks entries between processes.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation, Stat, flock, fstat};
use rustix::io::Errno;
use session_core::Error;

use super::error::{from_errno, not_a_file, symbolic_link, unstable_folder};
use super::expiry::ExpiryPlace;
use super::folder::Folder;

/// How often the thread tries to get a lock that another process holds, and how long it waits in between. A change
/// takes about as long.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_micros(30);

/// How often a file may be replaced while its lock is taken.
const REPLACEMENTS: u32 = 1_000;

/// The result of trying to lock an entry.
pub(crate) enum Lock {
    Held(Held),
    /// Another process, or another thread of this one, has it.
    Busy,
    /// A folder has the name.
    Folder,
}

/// The lock of an entry, held until it is dropped. The kernel releases it when the process ends.
///
/// If the expiry is in an attribute, it is the lock of the file of the entry, so there are no lock files. If that file
/// does not exist, nothing is locked, and only atomic steps may follow. If the expiry is in a sidecar, it is the lock
/// of the folder.
pub(crate) struct Held {
    /// The file of the entry, if there is one.
    pub(crate) file: Option<OwnedFd>,
    _folder: Option<OwnedFd>,
}

/// Tries to lock the entry `name`.
pub(crate) fn lock(folder: &Folder, name: &str, place: ExpiryPlace) -> Result<Lock, Error> {
    let locked_folder = match place {
        ExpiryPlace::Attribute => None,
        ExpiryPlace::Sidecar => match folder.open_self() {
            Ok(opened) => {
                if !try_lock(&opened)? {
                    return Ok(Lock::Busy);
                }
                Some(opened)
            }
            Err(Errno::NOENT) => None,
            Err(error) => return Err(from_errno(error)),
        },
    };
    for _ in 0..REPLACEMENTS {
        let file = match folder.open_file(name) {
            Ok(file) => file,
            Err(Errno::NOENT) => {
                return Ok(Lock::Held(Held {
                    file: None,
                    _folder: locked_folder,
                }));
            }
            Err(error) => return Err(not_opened(error)),
        };
        let opened = fstat(&file).map_err(from_errno)?;
        match FileType::from_raw_mode(opened.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Ok(Lock::Folder),
            _ => return Err(not_a_file()),
        }
        if locked_folder.is_none() && !try_lock(&file)? {
            return Ok(Lock::Busy);
        }
        // The previous holder of the lock may have replaced the file, so that it locks nothing any more.
        match folder.stat(name) {
            Ok(named) if is_same(&named, &opened) => {
                return Ok(Lock::Held(Held {
                    file: Some(file),
                    _folder: locked_folder,
                }));
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(from_errno(error)),
        }
    }
    Err(unstable_folder())
}

/// Why the file of an entry cannot be opened.
pub(crate) fn not_opened(errno: Errno) -> Error {
    match errno {
        Errno::LOOP | Errno::MLINK => symbolic_link(),
        Errno::NXIO => not_a_file(),
        error => from_errno(error),
    }
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn try_lock(file: &OwnedFd) -> Result<bool, Error> {
    for _ in 0..TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN),
            Err(Errno::INTR) => {}
            Err(error) => return Err(from_errno(error)),
        }
    }
    Ok(false)
}
