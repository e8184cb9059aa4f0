//! Lists the names in one folder.

use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType};
use rustix::io::Result;

use super::sorted::Sorted;

/// The names in an open folder, from a position on.
///
/// Names that are not UTF-8 are left out, since no key has them. A name that is there throughout is given at least
/// once, whatever is added or removed meanwhile, and the number of names in memory is limited.
pub(crate) enum Directory {
    /// By the positions of the file system, which stay valid when names are added or removed.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    Positions(Dir),
    Names(Sorted),
}

/// How to go through a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// In the order of the file system, if it has lasting positions.
    Any,
    /// By name. This works on every file system, and is slow for large folders.
    Names,
}

/// One name in a folder.
pub(crate) struct Name {
    pub(crate) name: String,
    /// The type of the file, if the folder itself tells it.
    pub(crate) kind: FileType,
    /// The position behind the name: text without `/`. The empty text is the start.
    pub(crate) position: String,
}

impl Directory {
    /// Begins behind `position`, which may be any text.
    pub(crate) fn open(folder: OwnedFd, order: Order, position: &str) -> Result<Self> {
        let mut folder = Dir::new(folder)?;
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        if order == Order::Any {
            // A position that this driver did not give leads to the start, or to nowhere.
            match position.parse() {
                Ok(position) if position > 0 => folder.seek(position)?,
                _ => folder.rewind(),
            }
            return Ok(Self::Positions(folder));
        }
        folder.rewind();
        Ok(Self::Names(Sorted::new(folder, position)))
    }

    pub(crate) fn next(&mut self) -> Option<Result<Name>> {
        match self {
            #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
            Self::Positions(folder) => loop {
                let entry = match folder.read()? {
                    Ok(entry) => entry,
                    Err(error) => return Some(Err(error)),
                };
                if let Ok(name) = entry.file_name().to_str()
                    && name != "."
                    && name != ".."
                {
                    return Some(Ok(Name {
                        name: name.to_owned(),
                        kind: entry.file_type(),
                        position: entry.offset().to_string(),
                    }));
                }
            },
            Self::Names(sorted) => sorted.next(),
        }
    }
}
