//! The files of a database: their modes, and what happens when they are deleted or replaced.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::future::join_all;
use session_core::{Driver, DriverExt, ErrorKind};

use crate::support::{Database, run};

/// The lines that were logged about the file at `path`.
fn logged(path: &Path) -> Vec<String> {
    let log = log().lock().unwrap();
    let all = String::from_utf8_lossy(&log);
    let of_it = all
        .lines()
        .filter(|line| line.contains(&*path.to_string_lossy()));
    of_it.map(str::to_owned).collect()
}

/// Everything that this process has logged, on whatever thread, since this was first called.
fn log() -> &'static Arc<Mutex<Vec<u8>>> {
    static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&log);
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || Shared(Arc::clone(&writer)))
            .init();
        log
    })
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn all_of(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| format!("{}{suffix}", path.display()).into())
}

fn modes(path: &Path) -> [u32; 3] {
    all_of(path).map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777)
}

#[test_support::test]
async fn the_files_are_private_or_as_configured() {
    let database = Database::new().await;
    database.driver.put("k", "v").await.unwrap();
    assert_eq!(modes(&database.path), [0o600; 3]);

    let shared = Database::with(|options| options.mode = 0o664).await;
    shared.driver.put("k", "v").await.unwrap();
    assert_eq!(modes(&shared.path), [0o664; 3]);

    for mode in [0o400, 0o1600] {
        let options = SqliteOptions::new(&database.path).with_mode(mode);
        let error = SqliteDriver::open(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("`mode`"), "{error}");
    }
}

#[test_support::test]
async fn an_existing_file_that_others_may_read_is_reported_and_keeps_its_mode() {
    log();
    let database = Database::new().await;
    assert_eq!(logged(&database.path), Vec::<String>::new());
    fs::set_permissions(&database.path, Permissions::from_mode(0o644)).unwrap();
    let again = SqliteDriver::open(SqliteOptions::new(&database.path))
        .await
        .unwrap();
    let lines = logged(&database.path);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line.contains("WARN") && line.contains("chmod 600"))
    );
    assert_eq!(
        fs::metadata(&database.path).unwrap().permissions().mode() & 0o777,
        0o644
    );
    again.close().await.unwrap();
    let meant = SqliteOptions::new(&database.path).with_mode(0o644);
    SqliteDriver::open(meant)
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    assert_eq!(logged(&database.path).len(), 1);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_deleted_is_created_again_and_keeps_what_is_written_then() {
    log();
    let database = Database::new().await;
    let driver = &database.driver;
    driver.put("before", "v").await.unwrap();
    // All readers are open.
    join_all((0..100).map(|_| driver.get("before"))).await;
    for (turn, leftovers) in [0, 1, 2].into_iter().enumerate() {
        for path in all_of(&database.path).iter().take(3 - leftovers) {
            fs::remove_file(path).unwrap();
        }
        for read in join_all((0..100).map(|_| driver.get("before"))).await {
            assert_eq!(read.unwrap(), None);
        }
        driver.put("after", "v").await.unwrap();
        let other = SqliteDriver::open(SqliteOptions::new(&database.path))
            .await
            .unwrap();
        assert_eq!(other.get("after").await.unwrap().unwrap(), "v");
        other.close().await.unwrap();
        let lines = logged(&database.path);
        assert_eq!(lines.len(), turn + 1, "{lines:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.contains("deleted or replaced"))
        );
    }
    driver.close().await.unwrap();
}

/// A database in the same folder with one entry.
async fn another(folder: &Path, value: &'static str) -> PathBuf {
    let path = folder.join("another.db");
    let driver = SqliteDriver::open(SqliteOptions::new(&path)).await.unwrap();
    driver.put("k", value).await.unwrap();
    driver.close().await.unwrap();
    path
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_connections_ever_use_different_files() {
    let database = Database::with(|options| options.pool_size = 4).await;
    let driver = &database.driver;
    for round in 0..20 {
        driver.put("k", "old").await.unwrap();
        driver.put("old", "old").await.unwrap();
        // Of a fresh driver only some readers are open yet.
        join_all((0..round).map(|_| driver.get("k"))).await;
        let new = another(database.folder.path(), "new").await;
        fs::rename(&new, &database.path).unwrap();
        let reads = join_all((0..40).map(|_| async {
            let value = driver.get("k").await.unwrap().unwrap();
            (value, driver.get("old").await.unwrap())
        }));
        for read in reads.await {
            assert_eq!(read, ("new".into(), None));
        }
        driver.put("mine", "v").await.unwrap();
        let mut foreign = database.connect().await;
        let check: (String,) =
            sqlx::query_as("SELECT group_concat(integrity_check) FROM pragma_integrity_check")
                .fetch_one(&mut foreign)
                .await
                .unwrap();
        assert_eq!(check.0, "ok");
        assert_eq!(
            database
                .rows("SELECT key FROM unstorage ORDER BY key")
                .await,
            ["k", "mine"]
        );
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_waits_for_a_lock_goes_to_the_file_that_is_there_in_the_end() {
    let database = Database::new().await;
    let mut other = database.connect().await;
    run(&mut other, "BEGIN IMMEDIATE").await;
    let driver = Arc::clone(&database.driver);
    let writing = tokio::spawn(async move { driver.put("mine", "v").await });
    tokio::task::yield_now().await;
    let new = another(database.folder.path(), "new").await;
    fs::rename(&new, &database.path).unwrap();
    writing.await.unwrap().unwrap();
    assert_eq!(
        database
            .rows("SELECT key FROM unstorage ORDER BY key")
            .await,
        ["k", "mine"]
    );
}

#[test_support::test]
async fn a_file_that_is_no_database_any_more_is_an_error_until_it_is_one() {
    let database = Database::new().await;
    let driver = &database.driver;
    driver.put("k", "v").await.unwrap();
    let new = another(database.folder.path(), "new").await;
    fs::write(
        database.folder.path().join("text"),
        "no database, ".repeat(1_000),
    )
    .unwrap();
    fs::rename(database.folder.path().join("text"), &database.path).unwrap();
    for _ in 0..3 {
        assert_eq!(
            driver.get("k").await.unwrap_err().kind(),
            ErrorKind::CorruptData
        );
        assert_eq!(
            driver.put("k", "v").await.unwrap_err().kind(),
            ErrorKind::CorruptData
        );
    }
    fs::rename(&new, &database.path).unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "new");
}
