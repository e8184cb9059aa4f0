use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;
use std::vec::IntoIter;

use rustix::fs::{Dir, FileType, FlockOperation, flock};
use rustix::io::{Errno, Result};

use crate::directory::Name;

/// How many names are held at once.
const STRETCH: usize = 10_000;

/// The names of a folder in their order, for file systems on which no position in a folder can be kept. The position
/// is the last name, and each stretch is the least of all names behind it: the folder is read once for each.
///
/// On such file systems a name that is given anew may also be passed over while a folder is read, so nobody changes it
/// meanwhile: changes take the lock of the folder there.
pub(crate) struct Sorted {
    folder: Dir,
    after: String,
    stretch: IntoIter<Found>,
    at_end: bool,
}

/// How often the lock of a folder is tried for, and how long is waited in between.
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

/// Waits for those who are at it, and no longer than a change takes: then some may be passed over, as by any reader
/// who takes no lock.
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
