//! Faults that are made on the driver's own threads.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{Driver, DriverExt, ErrorKind, Outcome};

use super::files::Deadline;
use crate::{FsDriver, FsOptions};

const TIMEOUT: Duration = Duration::from_millis(500);

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_behind_work_that_hangs_end_in_time_and_are_not_made_later() {
    let folder = tempfile::tempdir().unwrap();
    let options = FsOptions::new(folder.path())
        .with_timeout(TIMEOUT)
        .with_sweep_interval(None);
    let driver = FsDriver::open(options).await.unwrap();
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let hanging = (0..16).map(|_| {
        let wait = Arc::clone(&wait);
        driver.files.run(Deadline::after(TIMEOUT), move || {
            let _opened = wait.lock().map(|wait| wait.recv());
            Ok(())
        })
    });
    let hanging = join_all(hanging).await;
    let error = hanging.into_iter().next().unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);

    let started = Instant::now();
    let names: Vec<_> = (0..100).map(|caller| format!("k{caller}")).collect();
    let writes = join_all(names.iter().map(|name| driver.put(name, "v")));
    let writes = tokio::time::timeout(TIMEOUT * 20, writes).await;
    for error in writes.expect("a call did not end") {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    let read = tokio::time::timeout(TIMEOUT * 20, driver.get("k0")).await;
    let error = read.expect("a read did not end").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let close = tokio::time::timeout(TIMEOUT * 20, driver.close()).await;
    let error = close.expect("closing did not end").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(started.elapsed() < TIMEOUT * 3 + Duration::from_secs(1));

    drop(open);
    driver.close().await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_or_write_waits_for_a_listing() {
    let folder = tempfile::tempdir().unwrap();
    let options = FsOptions::new(folder.path()).with_sweep_interval(None);
    let driver = FsDriver::open(options).await.unwrap();
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let hanging = (0..8).map(|_| {
        let wait = Arc::clone(&wait);
        driver.walkers.run(Deadline::after(TIMEOUT), move || {
            let _opened = wait.lock().map(|wait| wait.recv());
            Ok(())
        })
    });
    join_all(hanging).await;
    driver.put("k", "v").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    let key = session_core::Key::new("k").unwrap();
    assert!(driver.exists(&key).await.unwrap());
    assert!(driver.metadata(&key).await.unwrap().is_some());
    driver.delete("k").await.unwrap();
    drop(open);
    driver.close().await.unwrap();
}
