//! A process that is killed at any moment.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use driver_fs::{Durability, FsDriver, FsOptions};
use session_core::{Driver, DriverExt, ListOptions};
use test_support::kills::{
    Acknowledged, Random, check_survivors, kill_at_random, write_until_killed,
};
use tokio::runtime::{Builder, Runtime};

/// Folders that are written to side by side, and how often the writer of each is killed.
const FOLDERS: usize = 6;
const KILLS: usize = 50;

/// Set for the processes that this test starts, which are this same program.
const FOLDER: &str = "DRIVER_FS_TEST_KILLED_FOLDER";

async fn open(base: &Path) -> FsDriver {
    let options = FsOptions::new(base).with_durability(Durability::Data);
    FsDriver::open(options).await.unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test_support::test(limit = 300)]
fn nothing_acknowledged_is_lost_or_torn_by_three_hundred_kills() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        runtime().block_on(async { write_until_killed(&open(Path::new(&folder)).await).await });
    }
    let seed = Random::seed();
    std::thread::scope(|scope| {
        for task in 0..FOLDERS {
            let join = test_support::limit::join();
            scope.spawn(move || {
                join();
                kill_again_and_again(Random::for_task(seed, task));
            });
        }
    });
}

fn kill_again_and_again(mut random: Random) {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    for _ in 0..KILLS {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "kills::nothing_acknowledged_is_lost_or_torn_by_three_hundred_kills";
        command.args(["--exact", name, "--nocapture"]);
        kill_at_random(
            command.env(FOLDER, folder.path()),
            &mut random,
            &mut acknowledged,
        );
        runtime().block_on(async {
            let driver = open(folder.path()).await;
            check_survivors(&driver, &mut acknowledged, &random).await;
            // What the killed writers left behind is seen by nobody.
            let page = driver.list(ListOptions::default()).await.unwrap();
            assert!(
                page.keys
                    .iter()
                    .all(|key| key.as_str().starts_with("killed:")),
                "{random}"
            );
            driver.put("after", "v").await.unwrap();
            driver.delete("after").await.unwrap();
            driver.close().await.unwrap();
        });
    }
    assert!(!acknowledged.is_empty());
}
