//! Stores in a folder, a file for each session.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driver_fs::{FsDriver, FsOptions};
use session_core::Driver;
use tempfile::TempDir;

use super::contender::{Contender, Runs, filled};
use super::memory::{ByDyn, Session, key_text};
use super::{Backend, SESSIONS, Store, VALUE_LENGTH, folder};

pub(crate) const TITLE: &str = "stores: fs";

/// How many files are in the folder; the sessions that are picked are among them.
const IN_BASE: usize = 100_000;

pub(super) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "in folders of their own on one disk, all files in one folder, nothing synced; 10⁵ of them, but 10⁴ for \
           Node.js",
    contenders: &[
        Contender::here::<Folder>(|| Box::pin(async { filled(Folder::open().await).await })),
        Contender::here::<BareFiles>(|| Box::pin(async { filled(BareFiles::open()).await })),
        Contender {
            name: "unstorage fs-lite (Node)",
            note: "writes in place, so a reader may see half a value; no conditions, no ends",
            is_ours: false,
            runs: Runs::InNode("fs-lite"),
        },
    ],
};

/// The driver with its defaults.
struct Folder {
    driver: ByDyn,
    _folder: TempDir,
}

impl Folder {
    async fn open() -> Self {
        let folder = folder();
        let options = FsOptions::new(folder.path());
        let driver = FsDriver::open(options).await.expect("a folder");
        let driver = ByDyn::new(Arc::new(driver) as Arc<dyn Driver>);
        for session in SESSIONS..IN_BASE {
            driver.write(0, &driver.key(session)).await;
        }
        Self {
            driver,
            _folder: folder,
        }
    }
}

impl Store for Folder {
    const NAME: &'static str = "driver-fs";
    const NOTE: &'static str = "its defaults, through `dyn Driver`: atomic, with an end; commits are conditional";
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

/// The calls of the system, on the threads of the runtime.
struct BareFiles {
    folder: TempDir,
    written: AtomicU64,
}

impl BareFiles {
    fn open() -> Self {
        let files = Self {
            folder: folder(),
            written: AtomicU64::new(0),
        };
        for session in SESSIONS..IN_BASE {
            files.put(&files.key(session));
        }
        files
    }

    fn put(&self, (path, value): &(PathBuf, String)) {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let name = format!(".unstorage-tmp-1-0a1b2c3d-{number}");
        let temporary = self.folder.path().join(name);
        let mut file = fs::File::create_new(&temporary).expect("a new file");
        file.write_all(value.as_bytes()).expect("a write");
        drop(file);
        fs::rename(&temporary, path).expect("a new name");
    }
}

impl Store for BareFiles {
    const NAME: &'static str = "bare files";
    const NOTE: &'static str = "the limit: open, write and rename, or open and read, without any change of threads, \
                                conditions or ends; it blocks the runtime, as no server may";

    type Key = (PathBuf, String);

    fn key(&self, session: usize) -> Self::Key {
        let path = self.folder.path().join(key_text(session));
        (path, "x".repeat(VALUE_LENGTH))
    }

    async fn read(&self, _caller: usize, (path, _): &Self::Key) -> usize {
        fs::read(path).expect("a session").len()
    }

    async fn write(&self, _caller: usize, key: &Self::Key) {
        self.put(key);
    }

    async fn commit(&self, _caller: usize, key: &Self::Key) {
        fs::read(&key.0).expect("a session");
        self.put(key);
    }
}
