//! The operations on entries, as blocking calls.

use std::os::fd::OwnedFd;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{AtFlags, FileType, fstat};
use rustix::io::Errno;
use session_core::{
    ConflictState, Entry, Error, Key, Metadata, Outcome, RemoveOutcome, Result, Timestamp, Version,
    WriteCondition, WriteOutcome,
};

#[cfg(target_os = "linux")]
use super::at_once::AtOnce;
use super::content::{self, Content};
use super::directory::Order;
use super::error::{
    above_entries, below_an_entry, from_errno, not_a_file, too_large, unstable_folder,
};
use super::expiry::{Expiries, ExpiryPlace, read_attribute};
use super::expiry_tag::{ExpiryTag, ExpiryTags};
use super::folder::{Folder, FolderLookup, Root};
use super::lock::{Held, Lock, lock, not_opened};
use super::path::EntryPath;
use super::staged::Staged;
use crate::config::Durability;

/// How often an operation begins again because others created or removed its files and folders meanwhile.
const TRIES: u32 = 1_000;

/// A value without a matching tag is accepted once its file has been unchanged for so long, since a foreign writer may
/// write it in place, step by step.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// The entries in a root folder. Its methods block, so they are called on threads for blocking work only.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) root: Root,
    pub(crate) expiries: Expiries,
    pub(crate) durability: Durability,
    #[cfg(target_os = "linux")]
    pub(crate) at_once: Option<AtOnce>,
}

/// The result of an operation that needs the lock of an entry.
pub(crate) enum Attempt<T> {
    Done(T),
    /// Another process holds the lock. Nothing was done.
    Busy,
}

/// What was found for a key.
pub(crate) enum Found {
    Nothing,
    Entry(Entry),
    /// A value that a foreign writer may be about to change.
    Unstable {
        value: Bytes,
        /// Whether the file says that it has not changed for long. Only an empty value is unstable then: some file
        /// systems empty a file first and then set its time.
        is_old: bool,
    },
}

/// The result of one try to make a change.
enum Step<T> {
    Done(T),
    Busy,
    /// Others were faster, so it has to be tried again.
    Again,
}

impl Store {
    /// In which order to read folders. File systems without extended attributes may have no lasting positions either.
    pub(crate) fn order(&self) -> Order {
        match self.expiries.place {
            ExpiryPlace::Attribute => Order::Any,
            ExpiryPlace::Sidecar => Order::Names,
        }
    }

    /// Other systems cannot be asked not to block.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn read_at_once(&self, _key: &Key) -> Option<Found> {
        None
    }

    /// Reads an entry that the system has in memory. It does not block.
    #[cfg(target_os = "linux")]
    pub(crate) fn read_at_once(&self, key: &Key) -> Option<Found> {
        let at_once = self.at_once?;
        let path = EntryPath::of(key).ok()?;
        let started = Timestamp::now();
        let file = at_once.open(&self.root, &path)?;
        let value = at_once.read(&file)?;
        let tags = read_attribute(&file).ok()?;
        found(&file, value, tags, started).ok()
    }

    pub(crate) fn read(&self, key: &Key) -> Result<Found> {
        let path = EntryPath::of(key)?;
        let folder = match self.root.find_folder(path.folders())? {
            FolderLookup::Open(folder) => folder,
            FolderLookup::Missing | FolderLookup::Blocked => return Ok(Found::Nothing),
        };
        match folder.open_file(path.name()) {
            Ok(file) => self.read_entry(&folder, path.name(), &file),
            Err(Errno::NOENT) => Ok(Found::Nothing),
            Err(error) => Err(not_opened(error)),
        }
    }

    /// Reads an entry from its open file.
    fn read_entry(&self, folder: &Folder, name: &str, file: &OwnedFd) -> Result<Found> {
        let started = Timestamp::now();
        let value = match content::read(file) {
            Ok(Content::Value(value)) => value,
            Ok(Content::TooLong) => return Err(too_large()),
            Ok(Content::Folder) => return Ok(Found::Nothing),
            Err(Errno::SPIPE) => return Err(not_a_file()),
            Err(error) => return Err(from_errno(error)),
        };
        let tags = self.expiries.read(folder, name, file).map_err(from_errno)?;
        found(file, value, tags, started)
    }

    pub(crate) fn exists(&self, key: &Key) -> Result<bool> {
        let path = EntryPath::of(key)?;
        match self.root.find_folder(path.folders())? {
            FolderLookup::Open(folder) => self.has_entry(&folder, path.name()),
            FolderLookup::Missing | FolderLookup::Blocked => Ok(false),
        }
    }

    /// Whether `name` is an entry that has not expired. Its value is read only if it may have expired.
    pub(crate) fn has_entry(&self, folder: &Folder, name: &str) -> Result<bool> {
        let file = match folder.open_file(name) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(not_opened(error)),
        };
        let tags = self
            .expiries
            .read(folder, name, &file)
            .map_err(from_errno)?;
        if tags.may_be_expired(Timestamp::now()) {
            let found = self.read_entry(folder, name, &file)?;
            return Ok(!matches!(found, Found::Nothing));
        }
        let stat = fstat(&file).map_err(from_errno)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(true),
            FileType::Directory => Ok(false),
            _ => Err(not_a_file()),
        }
    }

    /// Adds what the file system knows of the entry's file.
    pub(crate) fn add_times(&self, key: &Key, metadata: &mut Metadata) -> Result<()> {
        let path = EntryPath::of(key)?;
        if let FolderLookup::Open(folder) = self.root.find_folder(path.folders())? {
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
        let tag = ExpiryTag::new(value, expires_at);
        for _ in 0..TRIES {
            match self.write_once(&path, value, tag, condition)? {
                Step::Done(outcome) => return Ok(Attempt::Done(outcome)),
                Step::Busy => return Ok(Attempt::Busy),
                Step::Again => {}
            }
        }
        Err(unstable_folder())
    }

    fn write_once(
        &self,
        path: &EntryPath<'_>,
        value: &Bytes,
        tag: ExpiryTag,
        condition: &WriteCondition,
    ) -> Result<Step<WriteOutcome>> {
        let folder = match self.root.find_folder(path.folders())? {
            FolderLookup::Open(folder) => folder,
            FolderLookup::Missing => {
                self.root.make(path)?;
                return Ok(Step::Again);
            }
            FolderLookup::Blocked => return Err(below_an_entry()),
        };
        let name = path.name();
        let held = match lock(&folder, name, self.expiries.place)? {
            Lock::Held(held) => held,
            Lock::Busy => return Ok(Step::Busy),
            // An empty folder that others left behind is removed.
            Lock::Folder => {
                return match folder.unlink(name, AtFlags::REMOVEDIR) {
                    Ok(()) | Err(Errno::NOENT) => Ok(Step::Again),
                    Err(Errno::NOTEMPTY | Errno::EXIST) => Err(above_entries()),
                    Err(error) => Err(from_errno(error)),
                };
            }
        };
        if *condition != WriteCondition::Always {
            let found = self.read_held(&folder, name, &held)?;
            if let Some(current) = conflict(condition, found) {
                return Ok(Step::Done(WriteOutcome::Conflict(current)));
            }
        }
        let written = Staged::write(&folder, value, self.expiries.mode, |file| {
            self.expiries.put_on(file, tag)
        });
        let mut staged = match written {
            Ok(staged) => staged,
            // The folder, or the root itself, was removed.
            Err(Errno::NOENT) => {
                self.root.make(path)?;
                return Ok(Step::Again);
            }
            Err(error) => return Err(from_errno(error)),
        };
        let current = self.current_tag(&folder, name, &held)?;
        let announced = self.expiries.prepare(&folder, name, tag, current);
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

    /// The tag of the file whose lock is held, if the tag must be kept until the file is replaced.
    fn current_tag(&self, folder: &Folder, name: &str, held: &Held) -> Result<Option<ExpiryTag>> {
        let Some(file) = held
            .file
            .as_ref()
            .filter(|_| self.expiries.outlives_the_file())
        else {
            return Ok(None);
        };
        let tags = self.expiries.read(folder, name, file).map_err(from_errno)?;
        if tags.is_empty() {
            return Ok(None);
        }
        match content::read(file).map_err(from_errno)? {
            Content::Value(value) => Ok(tags.of(&value)),
            Content::TooLong | Content::Folder => Ok(None),
        }
    }

    fn read_held(&self, folder: &Folder, name: &str, held: &Held) -> Result<Found> {
        match &held.file {
            Some(file) => self.read_entry(folder, name, file),
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
        let FolderLookup::Open(folder) = self.root.find_folder(path.folders())? else {
            return Ok(nothing());
        };
        let held = match lock(&folder, name, self.expiries.place)? {
            Lock::Held(held) if held.file.is_some() => held,
            Lock::Held(_) | Lock::Folder => return Ok(nothing()),
            Lock::Busy => return Ok(Attempt::Busy),
        };
        if let Some(version) = if_version {
            let condition = WriteCondition::IfVersion(version.clone());
            let found = self.read_held(&folder, name, &held)?;
            if let Some(current) = conflict(&condition, found) {
                return Ok(Attempt::Done(RemoveOutcome::Conflict(current)));
            }
        }
        self.unlink(&folder, name)?;
        self.sync(&folder)?;
        drop(held);
        self.root.prune(&path);
        Ok(Attempt::Done(RemoveOutcome::Removed))
    }

    /// Removes the file of an entry, whose lock is held, and its tags.
    fn unlink(&self, folder: &Folder, name: &str) -> Result<()> {
        match folder.unlink(name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(from_errno(error)),
        }
        let removed = self.expiries.remove(folder, name).map_err(from_errno);
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
        let FolderLookup::Open(folder) = self.root.find_folder(path.folders())? else {
            return Ok(Attempt::Done(false));
        };
        let held = match lock(&folder, name, self.expiries.place)? {
            Lock::Held(held) => held,
            Lock::Folder => return Ok(Attempt::Done(false)),
            Lock::Busy => return Ok(Attempt::Busy),
        };
        let found = self.read_held(&folder, name, &held)?;
        let is_expected =
            |value: &Bytes| if_version.is_none_or(|version| version.as_bytes() == value);
        let value = match found {
            Found::Entry(entry) if is_expected(&entry.value) => entry.value,
            // An expiry for a value that is only half written would be ignored.
            Found::Unstable { is_old: false, .. } if if_version.is_none() => {
                return Ok(Attempt::Busy);
            }
            Found::Unstable { value, .. } if is_expected(&value) => value,
            Found::Entry(_) | Found::Unstable { .. } | Found::Nothing => {
                return Ok(Attempt::Done(false));
            }
        };
        if let Some(file) = &held.file {
            let tag = ExpiryTag::new(&value, expires_at);
            let set = self.expiries.set(&folder, name, file, tag);
            set.map_err(from_errno)?;
        }
        Ok(Attempt::Done(true))
    }

    /// Removes the entry `name` if it has expired and nobody holds its lock.
    pub(crate) fn remove_expired(&self, folder: &Folder, name: &str) -> Result<bool> {
        let Lock::Held(held) = lock(folder, name, self.expiries.place)? else {
            return Ok(false);
        };
        if held.file.is_none() || !matches!(self.read_held(folder, name, &held)?, Found::Nothing) {
            return Ok(false);
        }
        self.unlink(folder, name)?;
        Ok(true)
    }

    /// Waits until the names in `folder` are on the disk, if that was asked for. The change itself has been made
    /// already.
    fn sync(&self, folder: &Folder) -> Result<()> {
        if self.durability < Durability::Full {
            return Ok(());
        }
        let synced = folder.sync().map_err(from_errno);
        synced.map_err(|error: Error| error.with_outcome(Outcome::Unknown))
    }
}

/// What a file contains from which `value` was read since `started`.
fn found(file: &OwnedFd, value: Bytes, tags: ExpiryTags, started: Timestamp) -> Result<Found> {
    let version = Version::from_value(value.clone());
    if let Some(tag) = tags.of(&value) {
        if tag.is_expired(Timestamp::now()) {
            return Ok(Found::Nothing);
        }
        let entry = Entry::new(value).with_version(version);
        return Ok(Found::Entry(entry.with_expires_at(tag.expires_at())));
    }
    let stat = fstat(file).map_err(from_errno)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(not_a_file());
    }
    // What changed since the read began may be read only in part. The time of a file from elsewhere may be ahead.
    let (modified, now) = (modified_at(&stat), Timestamp::now());
    let is_stable = modified.saturating_add(STABLE_AFTER) <= started
        || now.saturating_add(STABLE_AFTER) <= modified;
    let is_old = is_stable && usize::try_from(stat.st_size) == Ok(value.len());
    Ok(match is_old && !value.is_empty() {
        true => Found::Entry(Entry::new(value).with_version(version)),
        false => Found::Unstable { value, is_old },
    })
}

/// The conflict with the condition, if there is one.
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
        // The value that it is about to become is not known.
        Found::Unstable { value, .. } => {
            (expected != Some(&value)).then_some(ConflictState::Unknown)
        }
    }
}

pub(crate) fn modified_at(stat: &rustix::fs::Stat) -> Timestamp {
    timestamp(stat.st_mtime, stat.st_mtime_nsec)
}

/// A time of a file. Its fields have other types on other systems.
pub(crate) fn timestamp(seconds: impl Into<i128>, nanos: impl Into<i128>) -> Timestamp {
    let millis = seconds.into() * 1_000 + nanos.into() / 1_000_000;
    Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())
}
