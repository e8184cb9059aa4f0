use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{AtFlags, FileType, fstat};
use rustix::io::Errno;
use session_core::{
    ConflictState, Entry, Error, Key, Metadata, Outcome, RemoveOutcome, Result, Timestamp, Version,
    WriteCondition, WriteOutcome,
};

use crate::cache::{Cache, Identity};
use crate::config::Durability;
use crate::content::{self, Content};
use crate::directory::Order;
use crate::ends::{Ends, Place};
use crate::error::{above_entries, below_an_entry, from_errno, no_file, restless, too_large};
use crate::folder::{Base, Folder, Way};
use crate::lock::{Held, Lock, lock, not_opened};
use crate::path::EntryPath;
use crate::staged::Staged;
use crate::stamp::Stamp;

/// How often an operation begins anew because others made or removed files and folders under its feet.
const TRIES: u32 = 1_000;

/// What no stamp vouches for is believed once it has been left alone for so long; an empty file for longer, since
/// a writer that is not atomic empties it first.
const SETTLED_AFTER: Duration = Duration::from_millis(20);
const EMPTY_SETTLED_AFTER: Duration = Duration::from_secs(1);

/// The entries below a base. Its methods block, and are called on the threads for files only.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) base: Base,
    pub(crate) ends: Ends,
    pub(crate) durability: Durability,
    pub(crate) cache: Cache,
}

/// What came of an operation that needs the lock of an entry.
pub(crate) enum Attempt<T> {
    Done(T),
    /// Another has the lock; nothing was done.
    Busy,
}

/// What is in the place of an entry.
pub(crate) enum Found {
    Nothing,
    Entry(Entry),
    /// A value that a foreign writer may be in the middle of.
    Unsettled(Bytes),
}

/// How far a change came.
enum Step<T> {
    Done(T),
    Busy,
    /// Others were faster; it has to look again.
    Again,
}

impl Store {
    /// How to go through its folders. File systems without extended attributes may have no lasting positions either.
    pub(crate) fn order(&self) -> Order {
        match self.ends.place {
            Place::Attribute => Order::Any,
            Place::Sidecar => Order::Names,
        }
    }

    pub(crate) fn read(&self, key: &Key) -> Result<Found> {
        let path = EntryPath::of(key)?;
        let folder = match self.base.way(path.folders())? {
            Way::Open(folder) => folder,
            Way::Missing | Way::Blocked => return Ok(Found::Nothing),
        };
        let name = path.name();
        if let Some(entry) = self.remembered(key, &folder, name) {
            return Ok(living(entry));
        }
        let file = match folder.open_file(name) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(error) => return Err(not_opened(error)),
        };
        let found = self.look_into(&folder, name, &file)?;
        if let Found::Entry(entry) = &found
            && !self.ends.outlives_the_file()
        {
            let stat = fstat(&file).map_err(from_errno)?;
            self.cache.put(key, entry, &stat);
        }
        Ok(found)
    }

    /// The entry of `key` as it was read before, if its file is still the same.
    fn remembered(&self, key: &Key, folder: &Folder<'_>, name: &str) -> Option<Entry> {
        if !self.cache.has(key) {
            return None;
        }
        let stat = folder.stat(name).ok();
        self.cache.get(key, stat.as_ref().map(Identity::of))
    }

    /// What the open file holds, as an entry.
    fn look_into(&self, folder: &Folder<'_>, name: &str, file: &OwnedFd) -> Result<Found> {
        let value = match content::read(file) {
            Ok(Content::Value(value)) => value,
            Ok(Content::TooLong) => return Err(too_large()),
            Ok(Content::Folder) => return Ok(Found::Nothing),
            Err(Errno::SPIPE) => return Err(no_file()),
            Err(error) => return Err(from_errno(error)),
        };
        let stamps = self.ends.read(folder, name, file).map_err(from_errno)?;
        let version = Version::from_value(value.clone());
        if let Some(stamp) = stamps.of(&value) {
            if stamp.has_ended(Timestamp::now()) {
                return Ok(Found::Nothing);
            }
            let entry = Entry::new(value).with_version(version);
            return Ok(Found::Entry(entry.with_expires_at(stamp.expires_at())));
        }
        let stat = fstat(file).map_err(from_errno)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(no_file());
        }
        let settled_after = match value.is_empty() {
            true => EMPTY_SETTLED_AFTER,
            false => SETTLED_AFTER,
        };
        let age = Timestamp::now().saturating_since(modified_at(&stat));
        let is_whole = usize::try_from(stat.st_size) == Ok(value.len());
        if is_whole && age >= settled_after {
            return Ok(Found::Entry(Entry::new(value).with_version(version)));
        }
        Ok(Found::Unsettled(value))
    }

    pub(crate) fn exists(&self, key: &Key) -> Result<bool> {
        let path = EntryPath::of(key)?;
        match self.base.way(path.folders())? {
            Way::Open(folder) => self.is_living(&folder, path.name()),
            Way::Missing | Way::Blocked => Ok(false),
        }
    }

    /// Whether `name` is a living entry. Its value is looked at only if it may have ended.
    pub(crate) fn is_living(&self, folder: &Folder<'_>, name: &str) -> Result<bool> {
        let file = match folder.open_file(name) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(not_opened(error)),
        };
        let stamps = self.ends.read(folder, name, &file).map_err(from_errno)?;
        if stamps.may_have_ended(Timestamp::now()) {
            let found = self.look_into(folder, name, &file)?;
            return Ok(!matches!(found, Found::Nothing));
        }
        let stat = fstat(&file).map_err(from_errno)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(true),
            FileType::Directory => Ok(false),
            _ => Err(no_file()),
        }
    }

    /// What the file system says of the entry's file.
    pub(crate) fn add_times(&self, key: &Key, metadata: &mut Metadata) -> Result<()> {
        let path = EntryPath::of(key)?;
        if let Way::Open(folder) = self.base.way(path.folders())? {
            match folder.stat(path.name()) {
                Ok(stat) => metadata.modified_at = Some(modified_at(&stat)),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(from_errno(error)),
            }
        }
        Ok(())
    }

    pub(crate) fn write(
        &self,
        key: &Key,
        value: &Bytes,
        expires_at: Option<Timestamp>,
        condition: &WriteCondition,
    ) -> Result<Attempt<WriteOutcome>> {
        let path = EntryPath::of(key)?;
        let stamp = Stamp::new(value, expires_at);
        for _ in 0..TRIES {
            match self.write_once(&path, value, stamp, condition)? {
                Step::Done(outcome) => return Ok(Attempt::Done(outcome)),
                Step::Busy => return Ok(Attempt::Busy),
                Step::Again => {}
            }
        }
        Err(restless())
    }

    fn write_once(
        &self,
        path: &EntryPath<'_>,
        value: &Bytes,
        stamp: Stamp,
        condition: &WriteCondition,
    ) -> Result<Step<WriteOutcome>> {
        let folder = match self.base.way(path.folders())? {
            Way::Open(folder) => folder,
            Way::Missing => {
                self.base.make(path)?;
                return Ok(Step::Again);
            }
            Way::Blocked => return Err(below_an_entry()),
        };
        let name = path.name();
        let held = match lock(&folder, name, self.ends.place)? {
            Lock::Held(held) => held,
            Lock::Busy => return Ok(Step::Busy),
            // One that others left empty is in nobody's way.
            Lock::Folder => {
                return match folder.unlink(name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => Ok(Step::Again),
                    Err(Errno::NOTEMPTY | Errno::EXIST) => Err(above_entries()),
                    Err(error) => Err(from_errno(error)),
                };
            }
        };
        if *condition != WriteCondition::Always {
            let found = self.look_at_held(&folder, name, &held)?;
            if let Some(current) = conflict(condition, found) {
                return Ok(Step::Done(WriteOutcome::Conflict(current)));
            }
        }
        let written = Staged::write(&folder, value, self.ends.mode, |file| {
            self.ends.put_on(file, stamp)
        });
        let mut staged = match written {
            Ok(staged) => staged,
            // The folder, or the base itself, was taken away.
            Err(Errno::NOENT) => {
                self.base.make(path)?;
                return Ok(Step::Again);
            }
            Err(error) => return Err(from_errno(error)),
        };
        let current = self.current_stamp(&folder, name, &held)?;
        let announced = self.ends.announce(&folder, name, stamp, current);
        announced.map_err(from_errno)?;
        let published = match held.file {
            Some(_) => staged.replace(name),
            None => staged.create(name),
        };
        match published {
            Ok(()) => {}
            Err(Errno::EXIST | Errno::NOENT | Errno::ISDIR) => return Ok(Step::Again),
            Err(error) => return Err(from_errno(error)),
        }
        self.sync(&folder)?;
        let version = Some(Version::from_value(value.clone()));
        Ok(Step::Done(WriteOutcome::written(version)))
    }

    /// What the file whose lock is held has beside it, where that must be kept until the file is replaced.
    fn current_stamp(&self, folder: &Folder<'_>, name: &str, held: &Held) -> Result<Option<Stamp>> {
        let Some(file) = held.file.as_ref().filter(|_| self.ends.outlives_the_file()) else {
            return Ok(None);
        };
        let stamps = self.ends.read(folder, name, file).map_err(from_errno)?;
        if stamps.is_empty() {
            return Ok(None);
        }
        match content::read(file).map_err(from_errno)? {
            Content::Value(value) => Ok(stamps.of(&value)),
            Content::TooLong | Content::Folder => Ok(None),
        }
    }

    fn look_at_held(&self, folder: &Folder<'_>, name: &str, held: &Held) -> Result<Found> {
        match &held.file {
            Some(file) => self.look_into(folder, name, file),
            None => Ok(Found::Nothing),
        }
    }

    pub(crate) fn remove(
        &self,
        key: &Key,
        if_version: Option<&Version>,
    ) -> Result<Attempt<RemoveOutcome>> {
        let path = EntryPath::of(key)?;
        let name = path.name();
        let nothing = || match if_version {
            Some(_) => Attempt::Done(RemoveOutcome::Conflict(ConflictState::Absent)),
            None => Attempt::Done(RemoveOutcome::Removed),
        };
        let Way::Open(folder) = self.base.way(path.folders())? else {
            return Ok(nothing());
        };
        let held = match lock(&folder, name, self.ends.place)? {
            Lock::Held(held) if held.file.is_some() => held,
            Lock::Held(_) | Lock::Folder => return Ok(nothing()),
            Lock::Busy => return Ok(Attempt::Busy),
        };
        if let Some(version) = if_version {
            let condition = WriteCondition::IfVersion(version.clone());
            let found = self.look_at_held(&folder, name, &held)?;
            if let Some(current) = conflict(&condition, found) {
                return Ok(Attempt::Done(RemoveOutcome::Conflict(current)));
            }
        }
        self.unlink(&folder, name)?;
        self.sync(&folder)?;
        drop(held);
        self.base.prune(&path);
        Ok(Attempt::Done(RemoveOutcome::Removed))
    }

    /// Removes the file of an entry, whose lock is held, and what stands beside it.
    fn unlink(&self, folder: &Folder<'_>, name: &str) -> Result<()> {
        match folder.unlink(name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(from_errno(error)),
        }
        let removed = self.ends.remove(folder, name).map_err(from_errno);
        removed.map_err(|error| error.with_outcome(Outcome::Unknown))
    }

    pub(crate) fn touch(
        &self,
        key: &Key,
        expires_at: Option<Timestamp>,
        if_version: Option<&Version>,
    ) -> Result<Attempt<bool>> {
        let path = EntryPath::of(key)?;
        let name = path.name();
        let Way::Open(folder) = self.base.way(path.folders())? else {
            return Ok(Attempt::Done(false));
        };
        let held = match lock(&folder, name, self.ends.place)? {
            Lock::Held(held) => held,
            Lock::Folder => return Ok(Attempt::Done(false)),
            Lock::Busy => return Ok(Attempt::Busy),
        };
        let found = self.look_at_held(&folder, name, &held)?;
        let is_expected =
            |value: &Bytes| if_version.is_none_or(|version| version.as_bytes() == value);
        let value = match found {
            Found::Entry(entry) if is_expected(&entry.value) => entry.value,
            // An end for the half of what is being written would be void.
            Found::Unsettled(_) if if_version.is_none() => return Ok(Attempt::Busy),
            Found::Unsettled(value) if is_expected(&value) => value,
            Found::Entry(_) | Found::Unsettled(_) | Found::Nothing => {
                return Ok(Attempt::Done(false));
            }
        };
        if let Some(file) = &held.file {
            let stamp = Stamp::new(&value, expires_at);
            let set = self.ends.set(&folder, name, file, stamp);
            set.map_err(from_errno)?;
        }
        Ok(Attempt::Done(true))
    }

    /// Removes the entry `name` if it has ended, unless another is at it.
    pub(crate) fn remove_ended(&self, folder: &Folder<'_>, name: &str) -> Result<bool> {
        let Lock::Held(held) = lock(folder, name, self.ends.place)? else {
            return Ok(false);
        };
        if held.file.is_none() || !matches!(self.look_at_held(folder, name, &held)?, Found::Nothing)
        {
            return Ok(false);
        }
        self.unlink(folder, name)?;
        Ok(true)
    }

    /// Waits until the names in `folder` are on the disk, where that was asked for. A change that this is for has
    /// been made already.
    fn sync(&self, folder: &Folder<'_>) -> Result<()> {
        if self.durability < Durability::Full {
            return Ok(());
        }
        let synced = folder.sync().map_err(from_errno);
        synced.map_err(|error: Error| error.with_outcome(Outcome::Unknown))
    }
}

fn living(entry: Entry) -> Found {
    match entry.expires_at {
        Some(end) if end <= Timestamp::now() => Found::Nothing,
        _ => Found::Entry(entry),
    }
}

/// What stands against the condition, if anything does.
fn conflict(condition: &WriteCondition, found: Found) -> Option<ConflictState> {
    let expected = match condition {
        WriteCondition::Always => return None,
        WriteCondition::IfAbsent => None,
        WriteCondition::IfVersion(version) => Some(version.as_bytes()),
    };
    match found {
        Found::Nothing => expected.is_some().then_some(ConflictState::Absent),
        Found::Entry(entry) => {
            (expected != Some(&entry.value)).then_some(ConflictState::Present(entry))
        }
        // What it is to become is not known yet.
        Found::Unsettled(value) => (expected != Some(&value)).then_some(ConflictState::Unknown),
    }
}

pub(crate) fn modified_at(stat: &rustix::fs::Stat) -> Timestamp {
    timestamp(stat.st_mtime, stat.st_mtime_nsec)
}

/// A time of a file, whose fields have other types on other systems.
pub(crate) fn timestamp(seconds: impl Into<i128>, nanos: impl Into<i128>) -> Timestamp {
    let millis = seconds.into() * 1_000 + nanos.into() / 1_000_000;
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}
