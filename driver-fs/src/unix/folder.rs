//! Looks up, opens and creates folders, without following symbolic links.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::{Errno, Result};
use session_core::Error;

use super::error::{from_errno, symbolic_link};
use super::path::EntryPath;

const OPEN_FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::RDONLY)
    .union(OFlags::CLOEXEC);

/// The folder of the driver. Each operation looks it up, so it is found again after it was removed and put back.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    folder_mode: Mode,
    /// Whether new folders must be on the disk.
    synced: bool,
}

/// The result of looking for the folder of an entry.
pub(crate) enum FolderLookup {
    Open(Folder),
    /// There is no such folder.
    Missing,
    /// A file has the name of the folder.
    Blocked,
}

impl Root {
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

    /// Opens the root folder itself.
    pub(crate) fn open(&self) -> Result<Folder> {
        rustix::fs::open(&self.path, OPEN_FOLDER, Mode::empty()).map(Folder)
    }

    /// Opens `folders` one below the other, and follows no symbolic link.
    pub(crate) fn find_folder<'n>(
        &self,
        folders: impl Iterator<Item = &'n str>,
    ) -> std::result::Result<FolderLookup, Error> {
        let mut folder = match self.open() {
            Ok(root) => root,
            Err(Errno::NOENT) => return Ok(FolderLookup::Missing),
            Err(error) => return Err(from_errno(error)),
        };
        for name in folders {
            folder = match folder.open_folder(name) {
                Ok(inner) => inner,
                Err(Errno::NOENT) => return Ok(FolderLookup::Missing),
                // Systems report a symbolic link by either.
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    if folder.kind(name).map_err(from_errno)? == Some(FileType::Symlink) {
                        return Err(symbolic_link());
                    }
                    return Ok(FolderLookup::Blocked);
                }
                Err(error) => return Err(from_errno(error)),
            };
        }
        Ok(FolderLookup::Open(folder))
    }

    /// Creates the root, and the folders of `path` in it.
    pub(crate) fn make(&self, path: &EntryPath<'_>) -> std::result::Result<(), Error> {
        self.make_root().map_err(from_errno)?;
        let mut folder = self.open().map_err(from_errno)?;
        for name in path.folders() {
            let is_new = match folder.make_folder(name, self.folder_mode) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                // It was removed again. The caller tries again.
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(from_errno(error)),
            };
            // The caller finds out what has the name, if it is not a folder.
            let Ok(inner) = folder.open_folder(name) else {
                return Ok(());
            };
            if is_new {
                widen(&inner.0, self.folder_mode).map_err(from_errno)?;
                if self.synced {
                    folder.sync().map_err(from_errno)?;
                }
            }
            folder = inner;
        }
        Ok(())
    }

    /// Creates the root and its parent folders.
    pub(crate) fn make_root(&self) -> Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder.mode(self.folder_mode.as_raw_mode());
        let made = builder.create(&self.path);
        made.map_err(|error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Removes the folders of `path` that are empty, beginning with the innermost. The root stays.
    pub(crate) fn prune(&self, path: &EntryPath<'_>) {
        let mut left = path.folders().count();
        for name in path.folders().rev() {
            left -= 1;
            let Ok(FolderLookup::Open(above)) = self.find_folder(path.folders().take(left)) else {
                return;
            };
            if above.unlink(name, AtFlags::REMOVEDIR).is_err() {
                return;
            }
        }
    }
}

/// Restores the bits of the mode that the umask of the process may have removed.
pub(crate) fn widen(made: &OwnedFd, mode: Mode) -> Result<()> {
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        rustix::fs::fchmod(made, mode)?;
    }
    Ok(())
}

/// An open folder, in which files are named.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// Opens the file or folder `name`, without following a symbolic link.
    pub(crate) fn open(&self, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW;
        rustix::io::retry_on_intr(|| rustix::fs::openat(&self.0, name, flags, mode))
    }

    /// Opens the file of an entry. It does not wait for a FIFO.
    pub(crate) fn open_file(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        self.open(name, flags, Mode::empty())
    }

    /// Opens the folder `name` in this one.
    pub(crate) fn open_folder(&self, name: &str) -> Result<Self> {
        self.open(name, OPEN_FOLDER, Mode::empty()).map(Self)
    }

    /// Opens this folder again, with a position and a lock of its own.
    pub(crate) fn open_self(&self) -> Result<OwnedFd> {
        rustix::fs::openat(&self.0, ".", OPEN_FOLDER, Mode::empty())
    }

    /// The status of the file `name`, without following a symbolic link.
    pub(crate) fn stat(&self, name: &str) -> Result<Stat> {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The type of the file `name`, or `None` if there is none.
    pub(crate) fn kind(&self, name: &str) -> Result<Option<FileType>> {
        match self.stat(name) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn unlink(&self, name: &str, flags: AtFlags) -> Result<()> {
        rustix::fs::unlinkat(&self.0, name, flags)
    }

    pub(crate) fn rename(&self, from: &str, to: &str, flags: RenameFlags) -> Result<()> {
        if flags.is_empty() {
            return rustix::fs::renameat(&self.0, from, &self.0, to);
        }
        rustix::fs::renameat_with(&self.0, from, &self.0, to, flags)
    }

    pub(crate) fn link(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())
    }

    fn make_folder(&self, name: &str, mode: Mode) -> Result<()> {
        rustix::fs::mkdirat(&self.0, name, mode)
    }

    /// Waits until the names in the folder are on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.0)
    }
}
