//! Several processes on one folder.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use driver_fs::{FsDriver, FsOptions};
use rustix::fs::{FlockOperation, flock};
use session_core::{Driver, DriverExt, ErrorKind, Outcome, WriteOptions};

use crate::support::{Folder, increment, key};

const PROCESSES: usize = 4;
const CALLERS: usize = 5;
const INCREMENTS: usize = 200;

/// Set for the processes that this test starts, which are this same program.
const FOLDER: &str = "DRIVER_FS_TEST_FOLDER";

#[test]
fn four_processes_lose_none_of_four_thousand_increments() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match std::env::var_os(FOLDER) {
        Some(folder) => runtime.block_on(be_one_of_many(folder.into())),
        None => runtime.block_on(start_many()),
    }
}

async fn start_many() {
    let folder = Folder::new().await;
    folder.driver.put("n", "0").await.unwrap();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "processes::four_processes_lose_none_of_four_thousand_increments",
                ])
                .env(FOLDER, &folder.base)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let count = folder.driver.get("n").await.unwrap().unwrap();
    assert_eq!(count, "4000");
    assert_eq!((PROCESSES * CALLERS * INCREMENTS).to_string(), "4000");
    // Neither locks nor temporary files are left.
    assert_eq!(folder.names(), ["n"]);
}

async fn be_one_of_many(folder: std::path::PathBuf) {
    let driver = FsDriver::open(FsOptions::new(folder)).await.unwrap();
    let n = key("n");
    let callers = (0..CALLERS).map(|_| async {
        for _ in 0..INCREMENTS {
            increment(&driver, &n).await;
        }
    });
    futures_util::future::join_all(callers).await;
    driver.close().await.unwrap();
}

#[test_support::test]
async fn a_held_lock_is_waited_for_and_then_reported() {
    let folder = Folder::new().await;
    folder.driver.put("k", "v").await.unwrap();
    folder.driver.put("other", "v").await.unwrap();
    let held = std::fs::File::open(folder.base.join("k")).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();

    let key = key("k");
    let late = folder
        .driver
        .write(&key, "late".into(), WriteOptions::default());
    let others = async {
        // Meanwhile others go on, and readers too.
        folder.driver.put("other", "new").await.unwrap();
        assert_eq!(folder.driver.get("k").await.unwrap().unwrap(), "v");
    };
    let (error, ()) = tokio::join!(late, others);
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.outcome(), Outcome::NotApplied);

    let write = folder
        .driver
        .write(&key, "new".into(), WriteOptions::default());
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(held);
    };
    let (outcome, ()) = tokio::join!(write, release);
    let _written = outcome.unwrap();
    assert_eq!(folder.driver.get("k").await.unwrap().unwrap(), "new");
}

#[test_support::test]
async fn a_write_makes_a_new_file_and_a_touch_does_not() {
    let folder = Folder::new().await;
    folder.driver.put("k", "v").await.unwrap();
    let inode = || std::fs::metadata(folder.base.join("k")).unwrap().ino();
    let first = inode();
    let touch =
        session_core::TouchOptions::to(session_core::Expiry::after(Duration::from_secs(60)));
    assert!(folder.driver.touch(&key("k"), touch).await.unwrap());
    assert_eq!(inode(), first);
    // Who reads the old file reads all of it.
    let old = std::fs::File::open(folder.base.join("k")).unwrap();
    folder.driver.put("k", "new").await.unwrap();
    assert_ne!(inode(), first);
    assert_eq!(std::io::read_to_string(old).unwrap(), "v");
}
