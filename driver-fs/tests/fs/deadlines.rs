//! Every call ends by its timeout, and a change that its caller gave up is not made later.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::fs::{FlockOperation, flock};
use session_core::{Driver, DriverExt, Error, Expiry, Outcome, RemoveOptions, TouchOptions, Write};

use crate::support::{Folder, key};

const TIMEOUT: Duration = Duration::from_secs(1);
const CALLERS: usize = 32;

async fn in_time<T>(started: Instant, call: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(TIMEOUT * 10, call).await;
    let done = done.expect("a call did not end");
    assert!(started.elapsed() < TIMEOUT + Duration::from_secs(1));
    done
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beside_a_held_lock_end_in_time_and_change_nothing_later() {
    let folder = Folder::with(|options| options.timeout = TIMEOUT).await;
    let driver = &folder.driver;
    driver.put("k", "old").await.unwrap();
    let held = std::fs::File::open(folder.base.join("k")).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();

    let started = Instant::now();
    let k = key("k");
    let writes = (0..CALLERS).map(|_| in_time(started, driver.put("k", "new")));
    let batch = (0..CALLERS).map(|_| Write::new(k.clone(), "new"));
    let batch = in_time(started, driver.write_many(batch.collect()));
    let removal = in_time(started, driver.remove(&k, RemoveOptions::default()));
    let touch = TouchOptions::to(Expiry::after(TIMEOUT));
    let touch = in_time(started, driver.touch(&k, touch));
    let (writes, batch, removal, touch) = tokio::join!(join_all(writes), batch, removal, touch);
    let mut errors: Vec<Error> = writes.into_iter().map(Result::unwrap_err).collect();
    errors.extend(batch.into_iter().map(Result::unwrap_err));
    errors.extend([removal.unwrap_err(), touch.unwrap_err()]);
    for error in errors {
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
        assert_eq!(error.driver(), Some("fs"));
    }

    let dropped = (0..CALLERS).map(|_| async {
        let write = driver.put("k", "new");
        tokio::time::timeout(TIMEOUT / 10, write).await.unwrap_err();
    });
    join_all(dropped).await;
    // An attempt that had begun when its caller went away ends long before this call, which waits for the lock.
    let last = driver.put("k", "new").await.unwrap_err();
    assert_eq!(last.outcome(), Outcome::NotApplied, "{last}");
    drop(held);
    // It has its turn after everything else.
    let entry = driver.read(&k).await.unwrap().unwrap();
    assert_eq!((&*entry.value, entry.expires_at), (&b"old"[..], None));
    driver.put("k", "last").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "last");
}
