use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation, Stat, flock, fstat};
use rustix::io::Errno;
use session_core::Error;

use crate::ends::Place;
use crate::error::{from_errno, no_file, restless, symbolic_link};
use crate::folder::Folder;

/// How often a lock that another process holds is tried for before its thread is given back, and how long is
/// waited in between: a change takes about as long.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_micros(30);

/// How often a file may be replaced while its lock is taken.
const REPLACEMENTS: u32 = 1_000;

/// What came of asking for the lock of an entry.
pub(crate) enum Lock {
    Held(Held),
    /// Another process, or another thread of this one, has it.
    Busy,
    /// A folder has the name.
    Folder,
}

/// The lock of an entry, held until this goes away. The kernel gives it up when the process ends, however.
///
/// Where ends stand in attributes it is the lock of the entry's own file, so there are no files for locks; while
/// there is no such file, nothing is locked, and only what is atomic by itself may follow. Where ends stand in
/// sidecars it is the lock of the folder.
pub(crate) struct Held {
    /// The file of the entry, if there is one.
    pub(crate) file: Option<OwnedFd>,
    _folder: Option<OwnedFd>,
}

/// Asks for the lock of the entry `name`.
pub(crate) fn lock(folder: &Folder<'_>, name: &str, place: Place) -> Result<Lock, Error> {
    let locked_folder = match place {
        Place::Attribute => None,
        Place::Sidecar => match folder.open_self() {
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
            _ => return Err(no_file()),
        }
        if locked_folder.is_none() && !try_lock(&file)? {
            return Ok(Lock::Busy);
        }
        // Whoever had the lock before may have replaced the file, and then it was the lock of nothing.
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
    Err(restless())
}

/// Why the file of an entry cannot be opened.
pub(crate) fn not_opened(errno: Errno) -> Error {
    match errno {
        Errno::LOOP | Errno::MLINK => symbolic_link(),
        Errno::NXIO => no_file(),
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
