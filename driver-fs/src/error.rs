use std::io;
use std::time::Duration;

use rustix::io::Errno;
use session_core::{Error, ErrorKind, Outcome};

/// Turns what the operating system says into this project's error. No path is in it, since a file's name is a
/// key. Unless the caller knows better, nothing was changed.
pub(crate) fn from_errno(errno: Errno) -> Error {
    let (kind, message) = match errno {
        Errno::NOSPC | Errno::DQUOT => (
            ErrorKind::Unavailable,
            "the disk, or the quota of this user on it, is full; make room",
        ),
        Errno::FBIG => (
            ErrorKind::TooLarge,
            "the value is longer than a file may be for this process; see its limits (`ulimit -f`)",
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorKind::Unauthorized,
            "this process may not use a file or folder below `base`; mend its owner or mode",
        ),
        Errno::ROFS => (
            ErrorKind::Unauthorized,
            "the file system is mounted read-only; mount it for writing, or set `read_only`",
        ),
        Errno::NOTDIR => (
            ErrorKind::Unavailable,
            "`base` is no folder any more; put the folder back",
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
            "the disk could not be read or written; see the operating system's messages about it",
        ),
        Errno::OPNOTSUPP => (
            ErrorKind::Unsupported,
            "the file system cannot do this; keep the folder on a local disk",
        ),
        _ => (ErrorKind::Backend, "the file system refused the operation"),
    };
    Error::new(kind, message)
        .with_outcome(Outcome::NotApplied)
        .with_source(io::Error::from(errno))
}

/// A symbolic link stands where an entry, or a folder of entries, would.
pub(crate) fn symbolic_link() -> Error {
    invalid_key(
        "a symbolic link stands in the way, and none below `base` is followed, since it may lead out of it; \
         remove the link, or use another key",
    )
}

/// Something that is neither a file nor a folder stands in the way.
pub(crate) fn no_file() -> Error {
    invalid_key(
        "what has the name of this key is neither a file nor a folder; remove it, or use another key",
    )
}

/// The entry would need a folder where the file of another entry stands.
pub(crate) fn below_an_entry() -> Error {
    invalid_key(
        "another entry's key is the start of this one, and a file cannot be a folder too; use another key",
    )
}

/// The entry would need a file where the folder of other entries stands.
pub(crate) fn above_entries() -> Error {
    invalid_key(
        "this key is the start of other entries' keys, and a folder cannot be a file too; use another key",
    )
}

pub(crate) fn invalid_key(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidKey, message)
}

pub(crate) fn too_large() -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "a value may have 64 MiB at most; store less",
    )
}

pub(crate) fn read_only() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the driver was opened with `read_only`, and changes nothing",
    )
}

pub(crate) fn locked() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "another process holds the lock of this entry; try again, and check whether a process is stopped or hangs",
    )
    .with_outcome(Outcome::NotApplied)
}

/// The folder was taken away or moved again and again while the operation went on.
pub(crate) fn restless() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the folder of the entry changed again and again; try again",
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
