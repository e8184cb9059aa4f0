//! Reads values that the system has in memory, without a change of threads.

use std::io::IoSliceMut;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat2};
use rustix::io::{ReadWriteFlags, preadv2};

use super::folder::Root;
use super::path::EntryPath;

/// The longest value that is read at once, so that copying it does not keep a thread of the runtime.
const LONGEST: i64 = 16 * 1024;

/// Reads without waiting for a disk. A thread of the runtime can do that for less than it costs to wake another.
///
/// Linux has forms of `open` and `read` that fail where they would have to wait. `None` everywhere here means that the
/// file is to be read as usual, on a thread that may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtOnce {
    /// The file system of the root.
    device: u64,
    flags: ReadWriteFlags,
}

impl AtOnce {
    /// How to read on the file system of `root`.
    pub(crate) fn in_folder(root: &OwnedFd) -> Option<Self> {
        /// It refuses reads that must not wait, since none of its reads has to.
        const TMPFS: i128 = 0x0102_1994;
        let kind = i128::from(fstatfs(root).ok()?.f_type);
        Some(Self {
            device: fstat(root).ok()?.st_dev,
            flags: match kind {
                TMPFS => ReadWriteFlags::empty(),
                _ => ReadWriteFlags::NOWAIT,
            },
        })
    }

    /// Opens the file of an entry. It follows no link below the root.
    pub(crate) fn open(self, root: &Root, path: &EntryPath<'_>) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        if path.folders().next().is_none() {
            let path = root.path().join(path.name());
            return openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED).ok();
        }
        let open_root = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat2(
            CWD,
            root.path(),
            open_root,
            Mode::empty(),
            ResolveFlags::CACHED,
        )
        .ok()?;
        let resolve = ResolveFlags::CACHED | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(root, path.in_root(), flags, Mode::empty(), resolve).ok()
    }

    /// Reads all of a file.
    pub(crate) fn read(self, file: &OwnedFd) -> Option<Bytes> {
        let stat = fstat(file).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !is_file || stat.st_dev != self.device || stat.st_size > LONGEST {
            return None;
        }
        let mut value = vec![0; usize::try_from(stat.st_size).ok()?];
        let mut buffers = [IoSliceMut::new(&mut value)];
        let read = preadv2(file, &mut buffers, 0, self.flags).ok()?;
        (read == value.len()).then(|| value.into())
    }
}
