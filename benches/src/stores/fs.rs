//! Stores in a folder with one file per session.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driver_fs::{FsDriver, FsOptions};
use session_core::Driver;
use tempfile::TempDir;

use super::contender::{Contender, Operation, Runs, filled, filled_on_threads};
use super::memory::{ByDyn, Session, key_text};
use super::{Backend, CALLERS, Location, SESSIONS, Store, VALUE_LENGTH, folder};

pub(crate) const TITLE: &str = "stores: fs";
pub(crate) const OURS: &str = "driver-fs";
/// The name of the limit.
pub(crate) const BARE: &str = "bare files";

/// The location of the folders.
trait FileSystem: Send + Sync + 'static {
    /// The number of sessions in a folder, of which some are used.
    const SESSIONS: usize;

    fn folder() -> TempDir;
}

struct Disk;

impl FileSystem for Disk {
    const SESSIONS: usize = 100_000;

    fn folder() -> TempDir {
        folder()
    }
}

/// An in-memory file system.
struct Memory;

impl FileSystem for Memory {
    const SESSIONS: usize = SESSIONS;

    fn folder() -> TempDir {
        tempfile::tempdir_in("/dev/shm").expect("Linux has a file system in memory")
    }
}

pub(super) const ON_DISK: Backend = Backend {
    title: TITLE,
    note: "in folders of their own on one disk, nothing synced; 10⁵ sessions in each, of which 10⁴ are picked; what a \
           write costs is the disk's and its file system's",
    location: Location::Folder,
    operations: &Operation::ALL,
    callers: &CALLERS,
    contenders: &[
        ours::<Disk>(),
        bare::<Disk>(),
        spawned::<Disk>(),
        Contender {
            name: "unstorage fs (Node)",
            note: "writes in place, so a reader may see half a value; no conditions, no expiry",
            is_ours: false,
            runs: Runs::InNode("fs", Disk::SESSIONS),
        },
    ],
};

pub(super) const IN_MEMORY: Backend = Backend {
    title: "stores: fs in memory",
    note: "in folders of their own on a `tmpfs`, so that nothing waits for a disk, and what is above the calls of the \
           system shows; it has the extended attributes in which ends stand from Linux 6.6 on",
    location: Location::Folder,
    operations: &Operation::ALL,
    callers: &CALLERS,
    contenders: &[ours::<Memory>(), bare::<Memory>(), spawned::<Memory>()],
};

const fn ours<F: FileSystem>() -> Contender {
    Contender::here::<Folder>(|| {
        Box::pin(async { synced(filled(Folder::open::<F>().await)).await })
    })
}

const fn bare<F: FileSystem>() -> Contender {
    Contender::here::<BareFiles>(|| Box::pin(synced(filled_on_threads(BareFiles::open::<F>()))))
}

const fn spawned<F: FileSystem>() -> Contender {
    Contender::here::<Spawned>(|| {
        Box::pin(synced(filled(Spawned(Arc::new(BareFiles::open::<F>())))))
    })
}

/// Waits until the setup is written to disk, so that it does not affect the measurement.
async fn synced<T>(filled: impl Future<Output = T>) -> T {
    let filled = filled.await;
    let synced = Command::new("sync").status();
    assert!(synced.is_ok_and(|status| status.success()), "sync works");
    filled
}

/// The driver with its defaults.
struct Folder {
    driver: ByDyn,
    _folder: TempDir,
}

impl Folder {
    async fn open<F: FileSystem>() -> Self {
        let folder = F::folder();
        let options = FsOptions::new(folder.path());
        let driver = FsDriver::open(options).await.expect("a folder");
        let driver = ByDyn::new(Arc::new(driver) as Arc<dyn Driver>);
        for session in SESSIONS..F::SESSIONS {
            driver.write(0, &driver.key(session)).await;
        }
        Self {
            driver,
            _folder: folder,
        }
    }
}

impl Store for Folder {
    const NAME: &'static str = OURS;
    const NOTE: &'static str = "its defaults, through `dyn Driver`: atomic, with an end; commits are conditional; what the \
                                system has in memory it reads without a change of threads";
    const IS_OURS: bool = true;

    type Key = Session;

    fn key(&self, session: usize) -> Session {
        self.driver.key(session)
    }

    async fn read(&self, caller: usize, session: &Session) -> usize {
        self.driver.read(caller, session).await
    }

    async fn write(&self, caller: usize, session: &Session) {
        self.driver.write(caller, session).await;
    }

    async fn commit(&self, caller: usize, session: &Session) {
        self.driver.commit(caller, session).await;
    }
}

/// Plain system calls.
struct BareFiles {
    folder: TempDir,
    written: AtomicU64,
}

/// A path and its content.
type File = (PathBuf, String);

impl BareFiles {
    fn open<F: FileSystem>() -> Self {
        let files = Self {
            folder: F::folder(),
            written: AtomicU64::new(0),
        };
        for session in SESSIONS..F::SESSIONS {
            files.put(&files.file(session));
        }
        files
    }

    fn file(&self, session: usize) -> File {
        let path = self.folder.path().join(key_text(session));
        (path, "x".repeat(VALUE_LENGTH))
    }

    fn get(&self, (path, _): &File) -> usize {
        fs::read(path).expect("a session").len()
    }

    fn put(&self, (path, value): &File) {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let name = format!(".unstorage-tmp-1-0a1b2c3d-{number}");
        let temporary = self.folder.path().join(name);
        let mut file = fs::File::create_new(&temporary).expect("a new file");
        file.write_all(value.as_bytes()).expect("a write");
        drop(file);
        fs::rename(&temporary, path).expect("a new name");
    }
}

/// Each caller is a thread.
impl Store for BareFiles {
    const NAME: &'static str = BARE;
    const NOTE: &'static str = "the limit: open, write and rename, or open and read, by callers that are threads of \
                                the system; without tasks, conditions or ends";

    type Key = File;

    fn key(&self, session: usize) -> File {
        self.file(session)
    }

    async fn read(&self, _caller: usize, file: &File) -> usize {
        self.get(file)
    }

    async fn write(&self, _caller: usize, file: &File) {
        self.put(file);
    }

    async fn commit(&self, _caller: usize, file: &File) {
        self.get(file);
        self.put(file);
    }
}

/// The same calls in an async server: each operation is one `spawn_blocking`.
struct Spawned(Arc<BareFiles>);

impl Spawned {
    async fn run<T: Send + 'static>(
        &self,
        file: &Arc<File>,
        work: impl FnOnce(&BareFiles, &File) -> T + Send + 'static,
    ) -> T {
        let (files, file) = (Arc::clone(&self.0), Arc::clone(file));
        let done = tokio::task::spawn_blocking(move || work(&files, &file)).await;
        done.expect("work that comes to its end")
    }
}

impl Store for Spawned {
    const NAME: &'static str = "bare files, spawn_blocking";
    const NOTE: &'static str = "the same calls from tasks, with one `spawn_blocking` per operation";

    type Key = Arc<File>;

    fn key(&self, session: usize) -> Arc<File> {
        Arc::new(self.0.file(session))
    }

    async fn read(&self, _caller: usize, file: &Arc<File>) -> usize {
        self.run(file, BareFiles::get).await
    }

    async fn write(&self, _caller: usize, file: &Arc<File>) {
        self.run(file, BareFiles::put).await;
    }

    async fn commit(&self, _caller: usize, file: &Arc<File>) {
        self.run(file, BareFiles::get).await;
        self.run(file, BareFiles::put).await;
    }
}
