use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType};
use rustix::io::Result;

use crate::sorted::Sorted;

/// The names in an open folder, from a position on.
///
/// Names that are no text are left out: they are nobody's keys. What is there throughout comes at least once,
/// however many others come and go meanwhile, and however many there are no more than some are held.
pub(crate) enum Directory {
    /// By the positions of the file system, which stay good while names come and go.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    Positions(Dir),
    Names(Sorted),
}

/// How to go through a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As the file system likes, where that keeps positions.
    Any,
    /// By names: right on every file system, and slow in large folders.
    Names,
}

/// One name in a folder.
pub(crate) struct Name {
    pub(crate) name: String,
    /// What it is, where the folder itself tells.
    pub(crate) kind: FileType,
    /// Behind it: text without `/`; the empty one is the start.
    pub(crate) position: String,
}

impl Directory {
    /// Begins behind `position`, which may be any text.
    pub(crate) fn open(folder: OwnedFd, order: Order, position: &str) -> Result<Self> {
        let mut folder = Dir::new(folder)?;
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        if order == Order::Any {
            // What is no position of ours leads to the start, or to nowhere.
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
