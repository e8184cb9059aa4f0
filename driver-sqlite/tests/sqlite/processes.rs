//! Several processes on one file.

// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::process::{Command, Stdio};

use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{Driver, DriverExt};

use crate::support::{Database, increment, key};

const PROCESSES: usize = 4;
const CALLERS: usize = 5;
const INCREMENTS: usize = 50;

/// Set for the processes that this test starts, which are this same program.
const FILE: &str = "DRIVER_SQLITE_TEST_FILE";

#[test_support::test(limit = 300)]
fn conditions_hold_between_processes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match std::env::var_os(FILE) {
        Some(file) => runtime.block_on(be_one_of_many(file.into())),
        None => runtime.block_on(start_many()),
    }
}

async fn start_many() {
    let database = Database::new().await;
    database.driver.put("n", "0").await.unwrap();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "processes::conditions_hold_between_processes"])
                .env(FILE, &database.path)
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
    let count = database.driver.get("n").await.unwrap().unwrap();
    assert_eq!(count, (PROCESSES * CALLERS * INCREMENTS).to_string());
}

async fn be_one_of_many(file: std::path::PathBuf) {
    let driver = SqliteDriver::open(SqliteOptions::new(file)).await.unwrap();
    let n = key("n");
    let callers = (0..CALLERS).map(|_| async {
        for _ in 0..INCREMENTS {
            increment(&driver, &n).await;
        }
    });
    futures_util::future::join_all(callers).await;
    driver.close().await.unwrap();
}
