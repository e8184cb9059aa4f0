//! The database file and its connections.

use std::fs::{Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags};
use session_core::{Error, ErrorKind};

use crate::config::{SqliteOptions, Synchronous, TableName};
use crate::error::{During, from_sqlite};
use crate::schema;
use crate::statements::Statements;

/// In pages: the log has 16 MiB at most. Many sessions share a page, and the more commits lie between two checkpoints,
/// the less often each page is written to the disk.
const CHECKPOINT_AFTER: u32 = 4_000;

/// In KiB, negative by SQLite's convention.
const CACHE: i32 = -8_192;

/// How often the file may be replaced while it is opened.
const TRIES: u32 = 10;

/// The slot of the connection that writes. The others read.
pub(crate) const WRITER: usize = 0;

/// The connections to one file.
///
/// Each use checks that the file at the path is still the one that was opened. If it was deleted or replaced, all
/// connections are closed before any is opened again, so that no two of them ever use different files.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    in_memory: bool,
    table: TableName,
    pub(crate) statements: Statements,
    synchronous: &'static str,
    mode: u32,
    busy_timeout: Duration,
    slots: Vec<Mutex<Option<Connection>>>,
    opened: Mutex<Option<Opened>>,
}

/// Identifies a file as long as it is open: its device and its number.
type FileId = (u64, u64);

/// The files that the connections use.
#[derive(Clone, Copy, Debug)]
struct Opened {
    database: FileId,
    log: Option<FileId>,
}

impl Database {
    pub(crate) fn new(options: &SqliteOptions, table: TableName) -> Self {
        static DATABASES_IN_MEMORY: AtomicU64 = AtomicU64::new(0);
        let in_memory = options.is_memory();
        let path = match in_memory {
            // Connections of this process that name it share it.
            true => {
                let number = DATABASES_IN_MEMORY.fetch_add(1, Ordering::Relaxed);
                format!("file:/driver-sqlite-{number}?vfs=memdb").into()
            }
            // The working directory of a process may change.
            false => std::path::absolute(&options.path).unwrap_or_else(|_| options.path.clone()),
        };
        let readers = match in_memory {
            true => 1,
            false => options.pool_size,
        };
        Self {
            path,
            in_memory,
            statements: Statements::new(&table),
            table,
            synchronous: match options.synchronous {
                Synchronous::Off => "off",
                Synchronous::Normal => "normal",
                Synchronous::Full => "full",
            },
            mode: options.mode,
            busy_timeout: options.busy_timeout.min(options.timeout),
            slots: std::iter::repeat_with(Mutex::default)
                .take(readers + 1)
                .collect(),
            opened: Mutex::new(None),
        }
    }

    /// How many connections there are.
    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    /// The connection in `slot`, to the file that is at the path now.
    pub(crate) fn connection(
        &self,
        slot: usize,
    ) -> Result<MappedMutexGuard<'_, Connection>, Error> {
        let Some(slot) = self.slots.get(slot) else {
            return Err(unstable());
        };
        for _ in 0..TRIES {
            let mut held = slot.lock();
            if self.is_current() {
                if held.is_none() {
                    *held = Some(self.connect()?);
                }
                // The file may have been replaced while it was opened.
                if self.is_current()
                    && let Ok(connection) = MutexGuard::try_map(held, Option::as_mut)
                {
                    return Ok(connection);
                }
                continue;
            }
            drop(held);
            self.open()?;
        }
        Err(unstable())
    }

    /// Whether the connections use the file that is at the path now.
    pub(crate) fn is_current(&self) -> bool {
        let opened = *self.opened.lock();
        opened.is_some_and(|opened| self.in_memory || file_id(&self.path) == Some(opened.database))
    }

    /// Opens the file, and creates it if it is missing. Before that it closes all connections.
    pub(crate) fn open(&self) -> Result<(), Error> {
        let mut slots: Vec<_> = self.slots.iter().map(Mutex::lock).collect();
        if self.is_current() {
            return Ok(());
        }
        for slot in &mut slots {
            **slot = None;
        }
        if let Some(before) = self.opened.lock().take() {
            tracing::warn!(
                path = %self.path.display(),
                "the database file was deleted or replaced while it was in use; the file that is at its path now is \
                 used from now on"
            );
            self.remove_log_of(before);
        }
        if !self.in_memory {
            self.create()
                .map_err(|error| not_created(&self.path, error))?;
        }
        let database = file_id(&self.path);
        let connection = self.connect()?;
        schema::prepare(&connection, &self.table, self.in_memory, self.busy_timeout)?;
        if let Some(slot) = slots.first_mut() {
            **slot = Some(connection);
        }
        let log = self.beside("-wal");
        *self.opened.lock() = Some(Opened {
            database: database.unwrap_or_default(),
            log: file_id(&log),
        });
        for path in [&self.path, &log, &self.beside("-shm")] {
            self.check_mode(path);
        }
        Ok(())
    }

    /// Closes the connection in `slot`.
    pub(crate) fn close(&self, slot: usize) {
        if let Some(slot) = self.slots.get(slot) {
            *slot.lock() = None;
        }
    }

    fn connect(&self) -> Result<Connection, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let flags = match self.in_memory {
            true => flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_CREATE,
            false => flags,
        };
        let connect = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(self.busy_timeout)?;
            connection.execute_batch(&format!(
                "PRAGMA synchronous={};PRAGMA cache_size={CACHE};PRAGMA wal_autocheckpoint={CHECKPOINT_AFTER}",
                self.synchronous
            ))?;
            connection.set_prepared_statement_cache_capacity(32);
            Ok(connection)
        };
        connect().map_err(|error| from_sqlite(error, During::Reading))
    }

    /// Creates the file with its mode if it is missing. SQLite gives the files beside it the same mode.
    fn create(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, self.mode);
        match options.open(&self.path) {
            // The umask of the process may have removed bits.
            #[cfg(unix)]
            Ok(file) => {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(self.mode);
                file.set_permissions(mode)
            }
            #[cfg(not(unix))]
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Warns if users may read the file who could not if this driver had created it.
    fn check_mode(&self, path: &Path) {
        #[cfg(unix)]
        if let Ok(file) = path.metadata() {
            let mode = std::os::unix::fs::MetadataExt::mode(&file) & 0o777;
            if mode & 0o044 & !self.mode != 0 {
                tracing::warn!(
                    path = %path.display(),
                    "other users may read this file, which contains session ids (its mode is {mode:o}); run `chmod \
                     {:o}` on it, or set `mode`",
                    self.mode
                );
            }
        }
    }

    /// The log of a file that was replaced must not be taken for that of its successor.
    fn remove_log_of(&self, before: Opened) {
        let log = self.beside("-wal");
        if before.log.is_some() && file_id(&log) == before.log {
            for path in [log, self.beside("-shm")] {
                let _maybe_removed_already = std::fs::remove_file(path);
            }
        }
    }

    /// The path of a file that SQLite keeps beside the database.
    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

/// The file at `path`, if there is one.
#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let file: Metadata = path.metadata().ok()?;
    Some((file.dev(), file.ino()))
}

/// Elsewhere an open file can be neither deleted nor replaced.
#[cfg(not(unix))]
fn file_id(path: &Path) -> Option<FileId> {
    let _exists: Metadata = path.metadata().ok()?;
    Some((0, 0))
}

fn not_created(path: &Path, error: io::Error) -> Error {
    let (kind, message) = match path.parent() {
        Some(folder) if !folder.is_dir() => (
            ErrorKind::InvalidConfig,
            format!(
                "the folder `{}` of the database does not exist; create it, or fix `path`",
                folder.display()
            ),
        ),
        _ => (
            ErrorKind::Unavailable,
            format!(
                "the database file `{}` cannot be created; make its folder writable for this process, or fix `path`",
                path.display()
            ),
        ),
    };
    Error::new(kind, message).with_source(error)
}

fn unstable() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the database file was replaced again and again; check who replaces it",
    )
}
