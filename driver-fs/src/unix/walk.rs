//! Goes through all files of a folder, page by page.

use std::rc::Rc;

use rustix::fs::FileType;
use rustix::io::Errno;
use session_core::{Cursor, Error, ErrorKind, Prefix, Result};

use super::directory::Directory;
use super::error::from_errno;
use super::folder::{Folder, FolderLookup};
use super::ignored::Ignored;
use super::path::is_segment;
use super::store::Store;

/// How many nested folders are kept open. Those above are opened again on the way back.
const OPEN_AT_ONCE: usize = 16;

/// Goes through the files in a folder and its folders, from any position on.
pub(crate) struct Walk<'w> {
    store: &'w Store,
    ignored: &'w Ignored,
    prefix: &'w Prefix,
    /// The current folder, after those that lead to it.
    levels: Vec<Level<'w>>,
}

struct Level<'w> {
    /// The name of the folder; empty for the first one.
    name: String,
    /// Behind the last name that was given or entered.
    position: String,
    open: Option<(Rc<Folder<'w>>, Directory)>,
}

/// A file, or something else that is not a folder.
pub(crate) struct File<'w> {
    pub(crate) folder: Rc<Folder<'w>>,
    pub(crate) name: String,
    /// Its path in the root, with `:` between the names.
    pub(crate) key: String,
}

impl<'w> Walk<'w> {
    /// Begins at `cursor`, or at the start.
    pub(crate) fn new(
        store: &'w Store,
        ignored: &'w Ignored,
        prefix: &'w Prefix,
        cursor: Option<&Cursor>,
    ) -> Result<Self> {
        let levels = match cursor {
            Some(cursor) => parse(cursor.as_str()).ok_or_else(foreign_cursor)?,
            None => vec![Level::new(String::new())],
        };
        Ok(Self {
            store,
            ignored,
            prefix,
            levels,
        })
    }

    /// The position, from which another walk can continue.
    pub(crate) fn cursor(&self) -> Cursor {
        let mut text = String::new();
        for (depth, level) in self.levels.iter().enumerate() {
            if depth > 0 {
                text.push('/');
                text.push_str(&level.name);
                text.push('/');
            }
            text.push_str(&level.position);
        }
        Cursor::new(text)
    }

    /// The next file. Files that are removed meanwhile are skipped.
    pub(crate) fn next(&mut self) -> Result<Option<File<'w>>> {
        loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            if level.open.is_none() {
                let position = level.position.clone();
                let opened = self.open(&position)?;
                let Some(level) = self.levels.last_mut() else {
                    return Ok(None);
                };
                match opened {
                    Some(opened) => level.open = Some(opened),
                    None => {
                        self.levels.pop();
                    }
                }
                continue;
            }
            let Some((folder, directory)) = &mut level.open else {
                continue;
            };
            let Some(found) = directory.next() else {
                self.levels.pop();
                continue;
            };
            let found = found.map_err(from_errno)?;
            let folder = Rc::clone(folder);
            level.position = found.position;
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
                    self.enter(found.name);
                }
                continue;
            }
            if self.ignored.has(&path) {
                continue;
            }
            return Ok(Some(File {
                folder,
                name: found.name,
                key: path.replace('/', ":"),
            }));
        }
    }

    fn enter(&mut self, name: String) {
        self.levels.push(Level::new(name));
        let too_many = self.levels.len().checked_sub(OPEN_AT_ONCE + 1);
        if let Some(level) = too_many.and_then(|above| self.levels.get_mut(above)) {
            level.open = None;
        }
    }

    /// Opens the innermost folder at `position`, unless it was removed.
    fn open(&self, position: &str) -> Result<Option<(Rc<Folder<'w>>, Directory)>> {
        let folders = self.prefix_names().chain(self.names());
        let folder = match self.store.root.find_folder(folders) {
            Ok(FolderLookup::Open(folder)) => folder,
            Ok(FolderLookup::Missing | FolderLookup::Blocked) => return Ok(None),
            // A symbolic link has replaced a folder. No link is followed.
            Err(error) if error.kind() == ErrorKind::InvalidKey && self.levels.len() > 1 => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let directory = match folder.open_self() {
            Ok(opened) => {
                let order = self.store.order();
                Directory::open(opened, order, position).map_err(from_errno)?
            }
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(from_errno(error)),
        };
        Ok(Some((Rc::new(folder), directory)))
    }

    fn prefix_names(&self) -> impl Iterator<Item = &str> {
        self.prefix
            .as_str()
            .split(':')
            .filter(|name| !name.is_empty())
    }

    /// The names of the folders below the prefix.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().skip(1).map(|level| level.name.as_str())
    }

    fn path_of(&self, name: &str) -> String {
        let mut path = String::new();
        for folder in self.prefix_names().chain(self.names()) {
            path.push_str(folder);
            path.push('/');
        }
        path.push_str(name);
        path
    }
}

impl Level<'_> {
    fn new(name: String) -> Self {
        Self {
            name,
            position: String::new(),
            open: None,
        }
    }
}

/// Parses positions with the names of folders between them. An invented cursor cannot lead out of the root.
fn parse<'w>(text: &str) -> Option<Vec<Level<'w>>> {
    let mut parts = text.split('/');
    let mut levels = Vec::new();
    let mut name = "";
    loop {
        let position = parts.next()?;
        levels.push(Level {
            position: position.to_owned(),
            ..Level::new(name.to_owned())
        });
        name = match parts.next() {
            Some(name) if is_segment(name) => name,
            Some(_) => return None,
            None => return Some(levels),
        };
    }
}

fn foreign_cursor() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the cursor was not made by this driver; start without a cursor",
    )
}
