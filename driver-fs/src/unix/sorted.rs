//! Lists the names in one folder by name.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;
use std::vec::IntoIter;

use rustix::fs::{Dir, FileType, FlockOperation, flock};
use rustix::io::{Errno, Result};

use super::directory::Name;

/// How many names are in memory at once.
const STRETCH: usize = 10_000;

/// The names of a folder in their order, for file systems that have no lasting positions in a folder. The position is
/// the last name. Each batch consists of the first names behind it, and reads the whole folder.
///
/// On such file systems a file that is renamed while the folder is read may be missed. Changes take the lock of the
/// folder there, so that none happens meanwhile.
pub(crate) struct Sorted {
    folder: Dir,
    after: String,
    stretch: IntoIter<Found>,
    at_end: bool,
}

/// How often to try to get the lock of a folder, and how long to wait in between.
const TRIES: u32 = 10_000;
const BETWEEN: Duration = Duration::from_micros(50);

struct Found {
    name: String,
    kind: FileType,
}

impl Sorted {
    /// The names behind `after`.
    pub(crate) fn new(folder: Dir, after: &str) -> Self {
        Self {
            folder,
            after: after.to_owned(),
            stretch: Vec::new().into_iter(),
            at_end: false,
        }
    }

    pub(crate) fn next(&mut self) -> Option<Result<Name>> {
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
        let folder = self.folder.fd()?.try_clone_to_owned();
        let folder = folder.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        lock_against_changes(&folder)?;
        let read = self.read_locked();
        flock(&folder, FlockOperation::Unlock)?;
        read
    }

    fn read_locked(&mut self) -> Result<()> {
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

/// Waits for changes to end, but not for longer than a change takes. After that a name may be missed, as by any reader
/// without a lock.
fn lock_against_changes(folder: &OwnedFd) -> Result<()> {
    for _ in 0..TRIES {
        match flock(folder, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => thread::sleep(BETWEEN),
            Err(Errno::INTR) => {}
            locked => return locked,
        }
    }
    Ok(())
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Found {}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name)
    }
}
