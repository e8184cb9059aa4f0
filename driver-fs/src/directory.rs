use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType};
use rustix::io::Result;

/// The names in an open folder, from a position on.
///
/// Names that are no text are left out: they are nobody's keys. What is there throughout comes at least once,
/// however many others come and go meanwhile; how much there is does not matter.
pub(crate) struct Directory(imp::Directory);

/// One name in a folder.
pub(crate) struct Name {
    pub(crate) name: String,
    /// What it is, where the folder itself tells.
    pub(crate) kind: FileType,
    /// Behind it.
    pub(crate) position: Position,
}

/// A place between two names of a folder, as text without `/`; the empty one is the start.
pub(crate) type Position = String;

impl Directory {
    /// Begins behind `position`, which may be any text.
    pub(crate) fn open(folder: OwnedFd, position: &str) -> Result<Self> {
        imp::Directory::open(folder, position).map(Self)
    }

    pub(crate) fn next(&mut self) -> Option<Result<Name>> {
        self.0.next()
    }
}

/// The kernel's own positions, which stay good while names come and go.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    target_pointer_width = "64"
))]
mod imp {
    use super::{Dir, Name, OwnedFd, Result};

    pub(super) struct Directory(Dir);

    impl Directory {
        pub(super) fn open(folder: OwnedFd, position: &str) -> Result<Self> {
            let mut folder = Dir::new(folder)?;
            // What is no position of ours leads to the start, or to nowhere.
            match position.parse() {
                Ok(position) if position > 0 => folder.seek(position)?,
                _ => {}
            }
            Ok(Self(folder))
        }

        pub(super) fn next(&mut self) -> Option<Result<Name>> {
            loop {
                let entry = match self.0.read()? {
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
            }
        }
    }
}

/// Elsewhere positions in a folder cannot be kept: the names come in their order, the position is the last one,
/// and each stretch of them is the least of all that are behind it.
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    target_pointer_width = "64"
)))]
mod imp {
    use std::collections::BinaryHeap;
    use std::vec::IntoIter;

    use super::{Dir, FileType, Name, OwnedFd, Result};

    /// How many names are held at once.
    const STRETCH: usize = 10_000;

    pub(super) struct Directory {
        folder: Dir,
        after: String,
        stretch: IntoIter<Found>,
        at_end: bool,
    }

    struct Found {
        name: String,
        kind: FileType,
    }

    impl Directory {
        pub(super) fn open(folder: OwnedFd, position: &str) -> Result<Self> {
            Ok(Self {
                folder: Dir::new(folder)?,
                after: position.to_owned(),
                stretch: Vec::new().into_iter(),
                at_end: false,
            })
        }

        pub(super) fn next(&mut self) -> Option<Result<Name>> {
            loop {
                if let Some(Found { name, kind }) = self.stretch.next() {
                    self.after.clone_from(&name);
                    let position = name.clone();
                    return Some(Ok(Name {
                        name,
                        kind,
                        position,
                    }));
                }
                if self.at_end {
                    return None;
                }
                if let Err(error) = self.read_stretch() {
                    self.at_end = true;
                    return Some(Err(error));
                }
            }
        }

        fn read_stretch(&mut self) -> Result<()> {
            let mut least = BinaryHeap::new();
            self.folder.rewind();
            while let Some(entry) = self.folder.read() {
                let entry = entry?;
                if let Ok(name) = entry.file_name().to_str()
                    && name != "."
                    && name != ".."
                    && name > self.after.as_str()
                {
                    least.push(Found {
                        name: name.to_owned(),
                        kind: entry.file_type(),
                    });
                    if least.len() > STRETCH {
                        least.pop();
                    }
                }
            }
            self.at_end = least.len() < STRETCH;
            self.stretch = least.into_sorted_vec().into_iter();
            Ok(())
        }
    }

    impl PartialEq for Found {
        fn eq(&self, other: &Self) -> bool {
            self.name == other.name
        }
    }

    impl Eq for Found {}

    impl PartialOrd for Found {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Found {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.name.cmp(&other.name)
        }
    }
}
