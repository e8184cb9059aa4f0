//! Stores when entries expire: in an attribute of the file, or in a file beside it.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, XattrFlags};
use rustix::io::{Errno, Result};

use super::content::{self, Content};
use super::expiry_tag::{ExpiryTag, ExpiryTags, LONGEST};
use super::folder::Folder;
use super::sidecar;
use super::staged::Staged;

/// The extended attribute that holds the tag of a file.
const ATTRIBUTE: &str = "user.session-kit";

/// Where the expiry of an entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpiryPlace {
    /// In an extended attribute of its file, so that the rename sets it together with the value.
    Attribute,
    /// In a file beside it, if the file system has no such attributes.
    Sidecar,
}

/// Stores the expiries of entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiries {
    pub(crate) place: ExpiryPlace,
    /// The mode of new files.
    pub(crate) mode: Mode,
    /// Whether changes must be on the disk.
    pub(crate) synced: bool,
}

impl ExpiryPlace {
    /// What the file system of `folder` supports.
    pub(crate) fn in_folder(folder: &OwnedFd) -> Self {
        match rustix::fs::fgetxattr(folder, ATTRIBUTE, &mut [0_u8; LONGEST]) {
            Err(Errno::OPNOTSUPP) => Self::Sidecar,
            _ => Self::Attribute,
        }
    }
}

impl Expiries {
    /// Whether the tag of an entry stays when its file is replaced.
    pub(crate) fn outlives_the_file(&self) -> bool {
        self.place == ExpiryPlace::Sidecar
    }

    /// The tags of the entry `name`, whose file is open.
    pub(crate) fn read(&self, folder: &Folder, name: &str, file: &OwnedFd) -> Result<ExpiryTags> {
        if self.place == ExpiryPlace::Attribute {
            return read_attribute(file);
        }
        match folder.open_file(&sidecar::name_for(name)) {
            Ok(file) => Ok(match content::read(&file)? {
                Content::Value(bytes) => ExpiryTags::decode(&bytes),
                Content::TooLong | Content::Folder => ExpiryTags::default(),
            }),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::NAMETOOLONG) => {
                Ok(ExpiryTags::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Puts `tag` on a new file that is about to become an entry, and syncs the file if needed.
    pub(crate) fn put_on(&self, file: &OwnedFd, tag: ExpiryTag) -> Result<()> {
        if self.place == ExpiryPlace::Attribute {
            match set_attribute(file, tag) {
                // Another file system is mounted below the root. Without an expiry no tag is needed.
                Err(Errno::OPNOTSUPP) if tag.expires_at().is_none() => {}
                set => set?,
            }
        }
        self.sync(file)
    }

    /// Stores `tag` for a value that is about to become the entry `name`, which has the tag `current` until then.
    pub(crate) fn prepare(
        &self,
        folder: &Folder,
        name: &str,
        tag: ExpiryTag,
        current: Option<ExpiryTag>,
    ) -> Result<()> {
        match self.place {
            ExpiryPlace::Attribute => Ok(()),
            ExpiryPlace::Sidecar if tag.expires_at().is_none() && current.is_none() => Ok(()),
            // The tag of the current value stays valid until the value is replaced, even if that never happens.
            ExpiryPlace::Sidecar => {
                self.write_sidecar(folder, name, &ExpiryTags::before(tag, current))
            }
        }
    }

    /// Stores `tag` for the current value of the entry `name`, whose file is open.
    pub(crate) fn set(
        &self,
        folder: &Folder,
        name: &str,
        file: &OwnedFd,
        tag: ExpiryTag,
    ) -> Result<()> {
        match self.place {
            ExpiryPlace::Sidecar => self.write_sidecar(folder, name, &ExpiryTags::one(tag)),
            ExpiryPlace::Attribute => {
                set_attribute(file, tag)?;
                self.sync(file)
            }
        }
    }

    /// Removes the tags of the entry `name`, which was removed.
    pub(crate) fn remove(&self, folder: &Folder, name: &str) -> Result<()> {
        if self.place == ExpiryPlace::Attribute {
            return Ok(());
        }
        match folder.unlink(&sidecar::name_for(name), AtFlags::empty()) {
            Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(()),
            removed => removed,
        }
    }

    fn write_sidecar(&self, folder: &Folder, name: &str, tags: &ExpiryTags) -> Result<()> {
        let staged = Staged::write(folder, &tags.encode(), self.mode, |file| self.sync(file))?;
        staged.replace(&sidecar::name_for(name))
    }

    fn sync(&self, file: &OwnedFd) -> Result<()> {
        match self.synced {
            true => rustix::fs::fsync(file),
            false => Ok(()),
        }
    }
}

/// The tags in the attribute of a file.
pub(crate) fn read_attribute(file: &OwnedFd) -> Result<ExpiryTags> {
    let mut bytes = [0; LONGEST];
    match rustix::fs::fgetxattr(file, ATTRIBUTE, &mut bytes) {
        Ok(length) => Ok(ExpiryTags::decode(bytes.get(..length).unwrap_or_default())),
        // A longer attribute was not written by this driver.
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(ExpiryTags::default()),
        Err(error) => Err(error),
    }
}

fn set_attribute(file: &OwnedFd, tag: ExpiryTag) -> Result<()> {
    let bytes = ExpiryTags::one(tag).encode();
    rustix::fs::fsetxattr(file, ATTRIBUTE, &bytes, XattrFlags::empty())
}
