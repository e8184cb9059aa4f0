//! Growth of stores in folders.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use driver_fs::{FsDriver, FsOptions};
use tempfile::TempDir;

use super::subject::{self, Candidate, Subject, key, value};

pub(super) const CANDIDATES: [Candidate; 2] = [
    Candidate {
        name: "driver-fs",
        is_ours: true,
        open: || Box::pin(Ours::open()),
    },
    Candidate {
        name: "bare files",
        is_ours: false,
        open: || {
            Box::pin(async {
                let folder = crate::stores::folder();
                Box::new(BareFiles { folder }) as Box<dyn Subject>
            })
        },
    },
];

/// Shorter than the default, so that a run does not have to wait for it.
const SWEEP: Duration = Duration::from_millis(200);

struct Ours {
    driver: FsDriver,
    folder: TempDir,
}

impl Ours {
    async fn open() -> Box<dyn Subject> {
        let folder = crate::stores::folder();
        let options = FsOptions::new(folder.path()).with_sweep_interval(SWEEP);
        let driver = FsDriver::open(options).await.expect("a folder");
        Box::new(Self { driver, folder })
    }
}

#[async_trait]
impl Subject for Ours {
    fn bytes(&self) -> i64 {
        allocated(self.folder.path())
    }

    async fn write(&mut self, session: usize, end: Instant) {
        subject::write(&self.driver, session, end).await;
    }

    async fn read(&mut self, session: usize) {
        subject::read(&self.driver, session).await;
    }

    async fn list(&mut self) -> Option<usize> {
        Some(subject::list(&self.driver).await)
    }
}

/// Plain files without expiry.
struct BareFiles {
    folder: TempDir,
}

impl BareFiles {
    fn path(&self, session: usize) -> PathBuf {
        self.folder.path().join(key(session))
    }
}

#[async_trait]
impl Subject for BareFiles {
    fn bytes(&self) -> i64 {
        allocated(self.folder.path())
    }

    async fn write(&mut self, session: usize, _end: Instant) {
        let temporary = self.folder.path().join(".unstorage-tmp-1-0a1b2c3d-1");
        let mut file = fs::File::create_new(&temporary).expect("a new file");
        file.write_all(&value()).expect("a write");
        drop(file);
        fs::rename(&temporary, self.path(session)).expect("a new name");
    }

    async fn read(&mut self, session: usize) {
        std::hint::black_box(fs::read(self.path(session)).expect("a session"));
    }

    async fn list(&mut self) -> Option<usize> {
        let names = fs::read_dir(self.folder.path()).expect("a folder");
        let names = names.map(|name| name.expect("a name").file_name());
        Some(names.collect::<Vec<_>>().len())
    }
}

/// Returns the disk space of the folder and its files, in bytes.
fn allocated(folder: &Path) -> i64 {
    let of = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512);
    let files = fs::read_dir(folder).expect("a folder");
    let files = files.map(|file| of(&file.expect("a name").path()));
    let bytes = of(folder) + files.sum::<u64>();
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
