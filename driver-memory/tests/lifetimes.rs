//! When entries expire, and when their memory is freed.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use driver_memory::MemoryDriver;
use futures_util::StreamExt;
use session_core::*;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

#[derive(Clone, Debug)]
struct SharedClock(Arc<ManualClock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

fn with_clock() -> (MemoryDriver, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::now()));
    let driver = MemoryDriver::new().with_clock(SharedClock(Arc::clone(&clock)));
    (driver, clock)
}

fn expiring(clock: &ManualClock, after: Duration) -> Expiry {
    Expiry::At(clock.now().saturating_add(after))
}

fn write(driver: &MemoryDriver, name: &str, expiry: Expiry) {
    let key = Key::new(name).unwrap();
    let options = WriteOptions::default().with_expiry(expiry);
    let _first = driver
        .write_now(&key, Bytes::from_static(b"v"), options)
        .unwrap();
}

fn is_there(driver: &MemoryDriver, name: &str) -> bool {
    driver.read_now(&Key::new(name).unwrap()).unwrap().is_some()
}

/// Waits for what the sweeper does, which it does in real time.
async fn until(what: impl Fn() -> bool) {
    let reached = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached)
        .await
        .unwrap();
}

#[test]
fn lives_of_a_second_of_ten_years_and_of_millennia_expire_on_time() {
    for life in [Duration::from_secs(1), 10 * YEAR, 5_000 * YEAR] {
        let (driver, clock) = with_clock();
        write(&driver, "k", expiring(&clock, life));
        clock.advance(life - Duration::from_millis(1));
        assert!(is_there(&driver, "k"), "{life:?}");
        clock.advance(Duration::from_millis(1));
        assert!(!is_there(&driver, "k"), "{life:?}");
    }
}

#[test]
fn the_longest_life_there_is_does_not_overflow() {
    let driver = MemoryDriver::new().with_ttl(Duration::MAX);
    write(&driver, "default", Expiry::Default);
    write(&driver, "at", Expiry::At(Timestamp::from_millis(u64::MAX)));
    assert!(is_there(&driver, "default") && is_there(&driver, "at"));
}

#[test]
fn the_default_life_is_counted_from_the_write() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(0)));
    let driver = MemoryDriver::new()
        .with_ttl(Duration::from_secs(1))
        .with_clock(SharedClock(Arc::clone(&clock)));
    clock.advance(Duration::from_secs(5));
    write(&driver, "k", Expiry::Default);
    clock.advance(Duration::from_millis(999));
    assert!(is_there(&driver, "k"));
    clock.advance(Duration::from_millis(1));
    assert!(!is_there(&driver, "k"));
}

#[test_support::test]
async fn expired_entries_are_freed_although_nobody_reads_them() {
    let driver = MemoryDriver::new();
    for number in 0..2_000 {
        write(
            &driver,
            &format!("expires{number}"),
            Expiry::after(Duration::from_millis(50)),
        );
        write(&driver, &format!("stays{number}"), Expiry::after(YEAR));
    }
    until(|| driver.entry_count() == 2_000).await;
    assert!((0..2_000).all(|number| is_there(&driver, &format!("stays{number}"))));
}

#[test_support::test]
async fn an_expiry_that_moved_is_swept_at_its_new_time() {
    let (driver, clock) = with_clock();
    let key = |name| Key::new(name).unwrap();
    for name in ["later", "earlier", "never"] {
        write(&driver, name, expiring(&clock, Duration::from_secs(100)));
    }
    driver
        .touch_now(
            &key("later"),
            TouchOptions::to(expiring(&clock, Duration::from_secs(200))),
        )
        .unwrap();
    driver
        .touch_now(
            &key("earlier"),
            TouchOptions::to(expiring(&clock, Duration::from_secs(50))),
        )
        .unwrap();
    driver
        .touch_now(&key("never"), TouchOptions::to(Expiry::Never))
        .unwrap();

    for (seconds, left) in [(50, 2), (149, 2), (1, 1)] {
        clock.advance(Duration::from_secs(seconds));
        until(|| driver.entry_count() == left).await;
    }
    assert!(is_there(&driver, "never"));
}

#[test_support::test]
async fn a_watcher_hears_of_an_expiry_when_it_is_swept() {
    let driver = MemoryDriver::new();
    let mut changes = driver.watch(&Prefix::root()).await.unwrap();
    write(&driver, "k", Expiry::after(Duration::from_millis(20)));
    let kinds = [ChangeKind::Written, ChangeKind::Removed];
    for kind in kinds {
        assert_eq!(changes.next().await.unwrap().unwrap().kind, kind);
    }
}

#[test_support::test]
async fn a_watcher_that_is_too_slow_is_told_so_and_the_stream_ends_with_the_driver() {
    let driver = MemoryDriver::new();
    let mut slow = driver.watch(&Prefix::root()).await.unwrap();
    for number in 0..5_000 {
        write(&driver, &format!("k{number}"), Expiry::Never);
    }
    assert!(slow.next().await.unwrap().is_err());
    assert!(slow.next().await.is_none());
    let mut other = driver.watch(&Prefix::root()).await.unwrap();
    driver.close().await.unwrap();
    assert!(other.next().await.is_none());
}

/// Counts how often somebody looks at the time, which a sweeper does for as long as it runs.
#[derive(Clone, Debug, Default)]
struct CountingClock(Arc<AtomicUsize>);

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::SeqCst);
        Timestamp::now()
    }
}

/// Whether a sweeper that looks at this clock goes on doing so.
async fn goes_on(looks: &AtomicUsize) -> bool {
    let before = looks.load(Ordering::SeqCst);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    looks.load(Ordering::SeqCst) > before
}

#[test_support::test(start_paused = true)]
async fn the_sweeper_ends_when_the_driver_is_closed_or_dropped() {
    for close in [true, false] {
        let clock = CountingClock::default();
        let driver = MemoryDriver::new().with_clock(clock.clone());
        write(&driver, "k", Expiry::after(YEAR));
        assert!(goes_on(&clock.0).await);
        if close {
            driver.close().await.unwrap();
            assert_eq!(
                Arc::strong_count(&clock.0),
                2,
                "the task is gone with its clock"
            );
            let error = driver.put("k", "v").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
        }
        drop(driver);
        assert!(!goes_on(&clock.0).await);
        assert_eq!(Arc::strong_count(&clock.0), 1);
    }
}

#[test]
fn the_sweeper_starts_again_when_its_runtime_has_ended() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let driver = MemoryDriver::new();
    for round in 0..2 {
        runtime().block_on(async {
            write(
                &driver,
                &format!("k{round}"),
                Expiry::after(Duration::from_millis(20)),
            );
            until(|| driver.entry_count() == 0).await;
        });
    }
}

#[test]
fn without_a_runtime_writes_sweep() {
    let (driver, clock) = with_clock();
    for number in 0..5_000 {
        write(
            &driver,
            &format!("expires{number}"),
            expiring(&clock, Duration::from_millis(10)),
        );
    }
    clock.advance(Duration::from_millis(10));
    for number in 0..10_000 {
        write(&driver, &format!("stays{number}"), Expiry::Never);
    }
    assert_eq!(driver.entry_count(), 10_000);
}
