//! Turns errors of the operating system into those of `session_core`.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use session_core::{Error, ErrorKind, Outcome};

/// Turns an error of the operating system into one of `session_core`. It contains no path, since the name of a file is
/// a key. Unless the caller sets another outcome, nothing was changed.
pub(crate) fn from_errno(errno: Errno) -> Error {
    let (kind, message) = match errno {
        Errno::NOSPC | Errno::DQUOT => (
            ErrorKind::Unavailable,
            "the disk or the quota of this user is full; make room",
        ),
        Errno::FBIG => (
            ErrorKind::TooLarge,
            "the value is longer than a file of this process may be; raise the limit (`ulimit -f`)",
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorKind::Unauthorized,
            "this process may not use a file or folder in `path`; fix its owner or mode",
        ),
        Errno::ROFS => (
            ErrorKind::Unauthorized,
            "the file system is mounted read-only; mount it writable, or set `read_only`",
        ),
        Errno::NOTDIR => (
            ErrorKind::Unavailable,
            "`path` is not a folder any more; put the folder back",
        ),
        Errno::NAMETOOLONG => (
            ErrorKind::TooLarge,
            "a segment of the key is longer than a file name may be here; use a shorter one",
        ),
        Errno::MFILE | Errno::NFILE => (
            ErrorKind::Unavailable,
            "too many files are open; raise the limit (`ulimit -n`)",
        ),
        Errno::IO => (
            ErrorKind::Unavailable,
            "the disk could not be read or written; check the operating system's messages about it",
        ),
        Errno::OPNOTSUPP => (
            ErrorKind::Unsupported,
            "the file system does not support this; put the folder on a local disk",
        ),
        _ => (ErrorKind::Backend, "the file system refused the operation"),
    };
    Error::new(kind, message)
        .with_outcome(Outcome::NotApplied)
        .with_source(io::Error::from(errno))
}

/// A symbolic link is in the path of an entry.
pub(crate) fn symbolic_link() -> Error {
    invalid_key(
        "a symbolic link is in the path of this key, and no link is followed, since it may lead out of the \
         folder; remove the link, or use another key",
    )
}

/// Neither a file nor a folder has the name of the entry.
pub(crate) fn not_a_file() -> Error {
    invalid_key(
        "something that is neither a file nor a folder has the name of this key; remove it, or use another key",
    )
}

/// The entry needs a folder that has the name of another entry.
pub(crate) fn below_an_entry() -> Error {
    invalid_key(
        "another entry's key is a prefix of this key, and a file cannot also be a folder; use another key",
    )
}

/// The entry needs a file that has the name of a folder with other entries.
pub(crate) fn above_entries() -> Error {
    invalid_key(
        "this key is a prefix of other entries' keys, and a folder cannot also be a file; use another key",
    )
}

pub(crate) fn invalid_key(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidKey, message)
}

pub(crate) fn too_large() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "a value may have at most 64 MiB; store less",
    )
}

pub(crate) fn read_only() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the driver was opened with `read_only`; open it without to make changes",
    )
}

pub(crate) fn locked() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "another process holds the lock of this entry; try again, and check whether a process is stopped or hangs",
    )
    .with_outcome(Outcome::NotApplied)
}

/// The folder was removed or moved again and again during the operation.
pub(crate) fn unstable_folder() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the folder of the entry changed again and again; try again",
    )
    .with_outcome(Outcome::NotApplied)
}

/// A foreign program was writing the value in place all the time.
pub(crate) fn unfinished() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "another program is writing this entry in place, so it may be incomplete; try again, or let that program write \
         atomically",
    )
    .with_outcome(Outcome::NotApplied)
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the driver was closed")
}

pub(crate) fn timed_out(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "not done within {timeout:?}; check that the disk is not overloaded, or raise `timeout`"
        ),
    )
}
