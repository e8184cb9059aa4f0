use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::{Errno, Result};
use session_core::Error;

use crate::error::{from_errno, symbolic_link};
use crate::path::EntryPath;

const OPEN_FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::CLOEXEC);

/// The folder below which everything is. It is looked up anew by each operation, so one that is taken away and
/// put back is found again.
#[derive(Debug)]
pub(crate) struct Base {
    path: PathBuf,
    folder_mode: Mode,
    /// Whether new folders have to be on the disk.
    synced: bool,
}

/// What leads to the folder of an entry.
pub(crate) enum Way<'b> {
    Open(Folder<'b>),
    /// There is no such folder.
    Missing,
    /// A file stands where a folder would.
    Blocked,
}

impl Base {
    pub(crate) fn new(path: PathBuf, folder_mode: Mode, synced: bool) -> Self {
        Self {
            path,
            folder_mode,
            synced,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The base itself.
    pub(crate) fn folder(&self) -> Folder<'_> {
        Folder::Base(&self.path)
    }

    /// Goes down `folders`, and through no symbolic link. The base itself is not looked for.
    pub(crate) fn way<'n>(
        &self,
        folders: impl Iterator<Item = &'n str>,
    ) -> std::result::Result<Way<'_>, Error> {
        let mut folder = self.folder();
        for name in folders {
            folder = match folder.open(name, OPEN_FOLDER, Mode::empty()) {
                Ok(inner) => Folder::Inner(inner),
                Err(Errno::NOENT) => return Ok(Way::Missing),
                // Either is what a system says of a link here.
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    if folder.kind(name).map_err(from_errno)? == Some(FileType::Symlink) {
                        return Err(symbolic_link());
                    }
                    return Ok(Way::Blocked);
                }
                Err(error) => return Err(from_errno(error)),
            };
        }
        Ok(Way::Open(folder))
    }

    /// Makes the base, and the folders of `path` below it.
    pub(crate) fn make(&self, path: &EntryPath<'_>) -> std::result::Result<(), Error> {
        self.make_base().map_err(from_errno)?;
        let mut folder = self.folder();
        for name in path.folders() {
            let is_new = match folder.make_folder(name, self.folder_mode) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                // It was taken away again; whoever asked tries again.
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(from_errno(error)),
            };
            // What has the name, and is no folder, is met on the way there.
            let Ok(inner) = folder.open(name, OPEN_FOLDER, Mode::empty()) else {
                return Ok(());
            };
            if is_new {
                widen(&inner, self.folder_mode).map_err(from_errno)?;
                if self.synced {
                    folder.sync().map_err(from_errno)?;
                }
            }
            folder = Folder::Inner(inner);
        }
        Ok(())
    }

    /// Makes the base, with all that leads to it.
    pub(crate) fn make_base(&self) -> Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder.mode(self.folder_mode.as_raw_mode());
        let made = builder.create(&self.path);
        made.map_err(|error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Removes the folders of `path` that are empty, from the innermost on. The base stays.
    pub(crate) fn prune(&self, path: &EntryPath<'_>) {
        let mut left = path.folders().count();
        for name in path.folders().rev() {
            left -= 1;
            let Ok(Way::Open(above)) = self.way(path.folders().take(left)) else {
                return;
            };
            if above.unlink(name, AtFlags::REMOVEDIR).is_err() {
                return;
            }
        }
    }
}

/// Gives what was just made the bits that the process's mask may have taken away.
pub(crate) fn widen(made: &OwnedFd, mode: Mode) -> Result<()> {
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        rustix::fs::fchmod(made, mode)?;
    }
    Ok(())
}

/// A folder, in which files are named: the base by its path, those below it by what was opened on the way.
#[derive(Debug)]
pub(crate) enum Folder<'b> {
    Base(&'b Path),
    Inner(OwnedFd),
}

impl Folder<'_> {
    fn with<T>(
        &self,
        name: &str,
        call: impl FnOnce(BorrowedFd<'_>, &Path) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Base(path) => call(CWD, &path.join(name)),
            Self::Inner(folder) => call(folder.as_fd(), Path::new(name)),
        }
    }

    /// Opens what has `name`, and never through a symbolic link.
    pub(crate) fn open(&self, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        self.with(name, |at, path| {
            rustix::io::retry_on_intr(|| {
                rustix::fs::openat(at, path, flags | OFlags::NOFOLLOW, mode)
            })
        })
    }

    /// Opens the file of an entry. What is no file does not keep it waiting.
    pub(crate) fn open_file(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        self.open(name, flags, Mode::empty())
    }

    /// This folder, to list or to sync it.
    pub(crate) fn open_self(&self) -> Result<OwnedFd> {
        match self {
            Self::Base(path) => rustix::fs::openat(CWD, *path, OPEN_FOLDER, Mode::empty()),
            Self::Inner(folder) => rustix::fs::openat(folder, ".", OPEN_FOLDER, Mode::empty()),
        }
    }

    /// What has `name`, if it is a link the link itself.
    pub(crate) fn stat(&self, name: &str) -> Result<Stat> {
        self.with(name, |at, path| {
            rustix::fs::statat(at, path, AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// The kind of what has `name`, or `None` if nothing has.
    pub(crate) fn kind(&self, name: &str) -> Result<Option<FileType>> {
        match self.stat(name) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn unlink(&self, name: &str, flags: AtFlags) -> Result<()> {
        self.with(name, |at, path| rustix::fs::unlinkat(at, path, flags))
    }

    pub(crate) fn rename(&self, from: &str, to: &str, flags: RenameFlags) -> Result<()> {
        self.with(from, |at, from| {
            self.with(to, |_, to| {
                if flags.is_empty() {
                    return rustix::fs::renameat(at, from, at, to);
                }
                rustix::fs::renameat_with(at, from, at, to, flags)
            })
        })
    }

    pub(crate) fn link(&self, from: &str, to: &str) -> Result<()> {
        self.with(from, |at, from| {
            self.with(to, |_, to| {
                rustix::fs::linkat(at, from, at, to, AtFlags::empty())
            })
        })
    }

    fn make_folder(&self, name: &str, mode: Mode) -> Result<()> {
        self.with(name, |at, path| rustix::fs::mkdirat(at, path, mode))
    }

    /// Waits until the names in it are on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(self.open_self()?)
    }
}
