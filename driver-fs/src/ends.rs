use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, XattrFlags};
use rustix::io::{Errno, Result};

use crate::content::{self, Content};
use crate::folder::Folder;
use crate::sidecar;
use crate::staged::Staged;
use crate::stamp::{LONGEST, Stamp, Stamps};

/// The extended attribute that holds the stamp of a file.
const ATTRIBUTE: &str = "user.session-kit";

/// Where the end of an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In an extended attribute of its file, so that it gets its name in the same step as the value.
    Attribute,
    /// In a file beside it, where the file system has no such attributes.
    Sidecar,
}

/// The ends of the entries of a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) place: Place,
    /// The mode of new files.
    pub(crate) mode: Mode,
    /// Whether what was written has to be on the disk.
    pub(crate) synced: bool,
}

impl Place {
    /// What the file system of `folder` has.
    pub(crate) fn in_folder(folder: &OwnedFd) -> Self {
        match rustix::fs::fgetxattr(folder, ATTRIBUTE, &mut [0_u8; LONGEST]) {
            Err(Errno::OPNOTSUPP) => Self::Sidecar,
            _ => Self::Attribute,
        }
    }
}

impl Ends {
    /// Whether what stands beside an entry stays when its file is replaced.
    pub(crate) fn outlives_the_file(&self) -> bool {
        self.place == Place::Sidecar
    }

    /// What stands beside the entry `name`, whose file is open.
    pub(crate) fn read(&self, folder: &Folder<'_>, name: &str, file: &OwnedFd) -> Result<Stamps> {
        if self.place == Place::Attribute {
            let mut bytes = [0; LONGEST];
            return match rustix::fs::fgetxattr(file, ATTRIBUTE, &mut bytes) {
                Ok(length) => Ok(Stamps::decode(bytes.get(..length).unwrap_or_default())),
                // One that is longer is not ours.
                Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(Stamps::default()),
                Err(error) => Err(error),
            };
        }
        match folder.open_file(&sidecar::name_for(name)) {
            Ok(file) => Ok(match content::read(&file)? {
                Content::Value(bytes) => Stamps::decode(&bytes),
                Content::TooLong | Content::Folder => Stamps::default(),
            }),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::NAMETOOLONG) => {
                Ok(Stamps::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Puts `stamp` on a new file that is about to become an entry, and sees to it that all of it is on the disk.
    pub(crate) fn put_on(&self, file: &OwnedFd, stamp: Stamp) -> Result<()> {
        if self.place == Place::Attribute {
            match set_attribute(file, stamp) {
                // A folder of another file system below the base. What does not end does without.
                Err(Errno::OPNOTSUPP) if stamp.expires_at().is_none() => {}
                set => set?,
            }
        }
        self.sync(file)
    }

    /// Puts `stamp` beside what is about to become the entry `name`, which has `current` until then.
    pub(crate) fn announce(
        &self,
        folder: &Folder<'_>,
        name: &str,
        stamp: Stamp,
        current: Option<Stamp>,
    ) -> Result<()> {
        match self.place {
            Place::Attribute => Ok(()),
            Place::Sidecar if stamp.expires_at().is_none() && current.is_none() => Ok(()),
            // The stamp of what is there now holds until the value is replaced, also if that never happens.
            Place::Sidecar => self.write_sidecar(folder, name, &Stamps::before(stamp, current)),
        }
    }

    /// Puts `stamp` beside the entry `name` as it is, whose file is open.
    pub(crate) fn set(
        &self,
        folder: &Folder<'_>,
        name: &str,
        file: &OwnedFd,
        stamp: Stamp,
    ) -> Result<()> {
        match self.place {
            Place::Sidecar => self.write_sidecar(folder, name, &Stamps::one(stamp)),
            Place::Attribute => {
                set_attribute(file, stamp)?;
                self.sync(file)
            }
        }
    }

    /// Takes away what stood beside the entry `name`, which is gone.
    pub(crate) fn remove(&self, folder: &Folder<'_>, name: &str) -> Result<()> {
        if self.place == Place::Attribute {
            return Ok(());
        }
        match folder.unlink(&sidecar::name_for(name), AtFlags::empty()) {
            Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(()),
            removed => removed,
        }
    }

    fn write_sidecar(&self, folder: &Folder<'_>, name: &str, stamps: &Stamps) -> Result<()> {
        let staged = Staged::write(folder, &stamps.encode(), self.mode, |file| self.sync(file))?;
        staged.replace(&sidecar::name_for(name))
    }

    fn sync(&self, file: &OwnedFd) -> Result<()> {
        match self.synced {
            true => rustix::fs::fsync(file),
            false => Ok(()),
        }
    }
}

fn set_attribute(file: &OwnedFd, stamp: Stamp) -> Result<()> {
    let bytes = Stamps::one(stamp).encode();
    rustix::fs::fsetxattr(file, ATTRIBUTE, &bytes, XattrFlags::empty())
}
