//! Goes through all files of a folder, page by page.

use std::rc::Rc;

use rustix::fs::FileType;
use rustix::io::Errno;
use session_core::{Cursor, Error, ErrorKind, Prefix, Result};

use super::directory::Directory;
use super::error::from_errno;
use super::folder::{Folder, FolderLookup};
use super::ignored::Ignored;
use super::path::{MAX_SEGMENTS, is_segment};
use super::store::Store;

/// Goes through the files in a folder and its folders, from any position on. Each folder is opened once, below the one
/// that it is in, and stays open until all in it was given. What is too deep for a key is left out.
pub(crate) struct Walk<'w> {
    store: &'w Store,
    ignored: &'w Ignored,
    /// The names of the folders of the prefix, and of those below.
    names: Vec<String>,
    /// The current folder, after those that lead to it from the prefix.
    levels: Vec<Level>,
}

struct Level {
    /// Behind the last name that was given or entered.
    position: String,
    folder: Rc<Folder>,
    directory: Directory,
}

/// A file, or something else that is not a folder.
pub(crate) struct File {
    pub(crate) folder: Rc<Folder>,
    pub(crate) name: String,
    /// Its path in the root, with `:` between the names.
    pub(crate) key: String,
}

impl<'w> Walk<'w> {
    /// Begins at `cursor`, or at the start.
    pub(crate) fn new(
        store: &'w Store,
        ignored: &'w Ignored,
        prefix: &Prefix,
        cursor: Option<&Cursor>,
    ) -> Result<Self> {
        let names = prefix.as_str().split(':').filter(|name| !name.is_empty());
        let mut walk = Self {
            store,
            ignored,
            names: names.map(str::to_owned).collect(),
            levels: Vec::new(),
        };
        let (start, below) = parse(cursor.map_or("", Cursor::as_str)).ok_or_else(foreign_cursor)?;
        let names = walk.names.iter().map(String::as_str);
        match store.root.find_folder(names)? {
            FolderLookup::Open(folder) => walk.enter(folder, start)?,
            FolderLookup::Missing | FolderLookup::Blocked => false,
        };
        for (name, position) in below {
            if !walk.open(name, position)? {
                break;
            }
        }
        Ok(walk)
    }

    /// The position, from which another walk can continue.
    pub(crate) fn cursor(&self) -> Cursor {
        let mut text = String::new();
        // The first level is the prefix, and the names end with those of the others.
        let of_prefix = (self.names.len() + 1).saturating_sub(self.levels.len());
        for (depth, level) in self.levels.iter().enumerate() {
            if let Some(below) = depth.checked_sub(1)
                && let Some(name) = self.names.get(of_prefix + below)
            {
                text.extend(["/", name, "/"]);
            }
            text.push_str(&level.position);
        }
        Cursor::new(text)
    }

    /// The next file. Files that are removed meanwhile are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<File>> {
        while let Some(level) = self.levels.last_mut() {
            let Some(found) = level.directory.next() else {
                self.levels.pop();
                self.names.pop();
                continue;
            };
            let found = found.map_err(from_errno)?;
            level.position = found.position;
            let folder = Rc::clone(&level.folder);
            let kind = match found.kind {
                FileType::Unknown => match folder.kind(&found.name).map_err(from_errno)? {
                    Some(kind) => kind,
                    None => continue,
                },
                kind => kind,
            };
            let path = self.path_of(&found.name);
            if kind == FileType::Directory {
                if is_segment(&found.name) && !self.ignored.has_folder(&path) {
                    self.open(&found.name, "")?;
                }
            } else if !self.ignored.has(&path) {
                return Ok(Some(File {
                    folder,
                    name: found.name,
                    key: path.replace('/', ":"),
                }));
            }
        }
        Ok(None)
    }

    /// Enters the folder `name` in the current one, unless it was removed, or a symbolic link or a file has replaced it.
    fn open(&mut self, name: &str, position: &str) -> Result<bool> {
        let Some(level) = self.levels.last() else {
            return Ok(false);
        };
        if self.names.len() + 2 > MAX_SEGMENTS {
            return Ok(false);
        }
        match level.folder.open_folder(name) {
            Ok(folder) => {
                let is_there = self.enter(folder, position)?;
                if is_there {
                    self.names.push(name.to_owned());
                }
                Ok(is_there)
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(false),
            Err(error) => Err(from_errno(error)),
        }
    }

    fn enter(&mut self, folder: Folder, position: &str) -> Result<bool> {
        let directory = match folder.open_self() {
            Ok(opened) => Directory::open(opened, self.store.order(), position),
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => Err(error),
        };
        self.levels.push(Level {
            position: position.to_owned(),
            folder: Rc::new(folder),
            directory: directory.map_err(from_errno)?,
        });
        Ok(true)
    }

    fn path_of(&self, name: &str) -> String {
        let mut path = String::new();
        for folder in &self.names {
            path.push_str(folder);
            path.push('/');
        }
        path.push_str(name);
        path
    }
}

/// The position in the first folder, and the names of those below with a position in each. An invented cursor cannot
/// lead out of the root.
fn parse(cursor: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let mut parts = cursor.split('/');
    let start = parts.next()?;
    let mut below = Vec::new();
    while let Some(name) = parts.next() {
        if !is_segment(name) {
            return None;
        }
        below.push((name, parts.next()?));
    }
    Some((start, below))
}

fn foreign_cursor() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the cursor was not made by this driver; start without a cursor",
    )
}
