//! The limits on entries and bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::Arc;
use std::time::Duration;

use driver_memory::MemoryDriver;
use session_core::*;

fn key(number: usize) -> Key {
    Key::new(&format!("k{number}")).unwrap()
}

fn expiring(clock: &ManualClock, after: Duration) -> WriteOptions {
    WriteOptions::default().with_expiry(Expiry::At(clock.now().saturating_add(after)))
}

#[derive(Debug)]
struct SharedClock(Arc<ManualClock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

fn with_clock(max_entries: usize) -> (MemoryDriver, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    let driver = MemoryDriver::new()
        .with_max_entries(max_entries)
        .with_clock(SharedClock(Arc::clone(&clock)));
    (driver, clock)
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_many_tasks_never_exceeds_the_bound() {
    const MOST: usize = 1_000;
    let driver = Arc::new(MemoryDriver::new().with_max_entries(MOST));
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let driver = Arc::clone(&driver);
            tokio::spawn(async move {
                let mut written = 0;
                for number in 0..500 {
                    let value = Bytes::from_static(b"v");
                    match driver
                        .write(&key(task * 500 + number), value, WriteOptions::default())
                        .await
                    {
                        Ok(_) => written += 1,
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Unavailable);
                            assert_eq!(error.outcome(), Outcome::NotApplied);
                        }
                    }
                    assert!(driver.entry_count() <= MOST);
                    tokio::task::yield_now().await;
                }
                written
            })
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        written += task.await.unwrap();
    }
    assert_eq!(written, MOST);
    let listed = driver
        .list(ListOptions::default().with_limit(2 * MOST))
        .await
        .unwrap();
    assert_eq!(listed.keys.len(), MOST);
}

#[test_support::test]
async fn a_full_driver_still_overwrites_and_takes_new_ones_once_there_is_room() {
    let driver = MemoryDriver::new().with_max_entries(2);
    driver.put("a", "1").await.unwrap();
    driver.put("b", "1").await.unwrap();
    driver.put("c", "1").await.unwrap_err();
    driver.put("a", "2").await.unwrap();
    assert_eq!(driver.get("a").await.unwrap().unwrap(), "2");
    assert_eq!(driver.get("b").await.unwrap().unwrap(), "1");
    driver.delete("b").await.unwrap();
    driver.put("c", "1").await.unwrap();
    assert_eq!(driver.entry_count(), 2);
}

#[test]
fn expired_entries_make_room_wherever_they_are() {
    let (driver, clock) = with_clock(100);
    for number in 0..100 {
        let after = Duration::from_millis(if number < 10 { 10 } else { 10_000 });
        let _first = driver
            .write_now(&key(number), Bytes::new(), expiring(&clock, after))
            .unwrap();
    }
    let refused = |number| {
        driver
            .write_now(&key(number), Bytes::new(), WriteOptions::default())
            .is_err()
    };
    assert!(refused(200));
    clock.advance(Duration::from_millis(10));
    for number in 200..210 {
        assert!(!refused(number), "{number}");
    }
    assert!(refused(210));
    assert_eq!(driver.entry_count(), 100);
}

#[test]
fn an_expiry_that_is_moved_into_the_past_makes_room_at_once() {
    let (driver, clock) = with_clock(1);
    let _first = driver
        .write_now(&key(1), Bytes::new(), WriteOptions::default())
        .unwrap();
    driver
        .write_now(&key(2), Bytes::new(), WriteOptions::default())
        .unwrap_err();
    assert!(
        driver
            .touch_now(&key(1), TouchOptions::to(Expiry::At(clock.now())))
            .unwrap()
    );
    let _second = driver
        .write_now(&key(2), Bytes::new(), WriteOptions::default())
        .unwrap();
}

#[test_support::test]
async fn clearing_and_closing_leave_no_count_behind() {
    let driver = MemoryDriver::new();
    for number in 0..3_000 {
        driver
            .put(&format!("{}:{number}", number % 2), "v")
            .await
            .unwrap();
    }
    driver.clear(&Prefix::new("1").unwrap()).await.unwrap();
    assert_eq!(driver.entry_count(), 1_500);
    let left = (0..3_000)
        .step_by(2)
        .map(|number| format!("0:{number}v").len());
    assert_eq!(driver.byte_count(), left.sum::<usize>());
    driver.close().await.unwrap();
    assert_eq!((driver.entry_count(), driver.byte_count()), (0, 0));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_values_of_all_sizes_never_exceeds_the_bytes() {
    const MOST: usize = 10_000;
    let driver = Arc::new(MemoryDriver::new().with_max_bytes(MOST));
    let tasks: Vec<_> = (0..16_usize)
        .map(|task| {
            let driver = Arc::clone(&driver);
            tokio::spawn(async move {
                let mut refused = 0;
                for number in 0..2_000_usize {
                    let key = key(number * 7 % 60);
                    let value = Bytes::from(vec![b'v'; (number * 31 + task * 17) % 600]);
                    if let Err(error) = driver.write(&key, value, WriteOptions::default()).await {
                        assert_eq!(error.kind(), ErrorKind::Unavailable);
                        assert_eq!(error.outcome(), Outcome::NotApplied);
                        refused += 1;
                    }
                    assert!(driver.byte_count() <= MOST);
                    if number % 3 == 0 {
                        let _removed = driver.remove_now(&key, RemoveOptions::default()).unwrap();
                    }
                    tokio::task::yield_now().await;
                }
                refused
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        refused += task.await.unwrap();
    }
    assert!(refused > 0);
    let keys = driver.list(ListOptions::default()).await.unwrap().keys;
    let size = |key: &Key| key.as_str().len() + driver.read_now(key).unwrap().unwrap().value.len();
    assert_eq!(keys.iter().map(size).sum::<usize>(), driver.byte_count());
    assert_eq!(keys.len(), driver.entry_count());
}

#[test_support::test]
async fn a_driver_full_of_bytes_refuses_growth_alone() {
    let driver = MemoryDriver::new().with_max_bytes(10);
    driver.put("k", "123456789").await.unwrap();
    let error = driver.put("k", "1234567890").await.unwrap_err();
    assert!(error.to_string().contains("max_bytes"), "{error}");
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "123456789");
    driver.put("l", "").await.unwrap_err();
    driver.put("k", "abcdefghi").await.unwrap();
    driver.put("k", "a").await.unwrap();
    driver.put("l", "1234567").await.unwrap();
    assert_eq!(driver.byte_count(), 10);
}

#[test]
fn expired_entries_make_room_for_bytes() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    let driver = MemoryDriver::new()
        .with_max_bytes(300)
        .with_clock(SharedClock(Arc::clone(&clock)));
    for number in 0..100 {
        let after = Duration::from_millis(if number < 90 { 10 } else { 10_000 });
        let _first = driver
            .write_now(&key(number), Bytes::new(), expiring(&clock, after))
            .unwrap();
    }
    let large = || {
        let value = Bytes::from(vec![b'v'; 200]);
        driver.write_now(&key(95), value, WriteOptions::default())
    };
    large().unwrap_err();
    clock.advance(Duration::from_millis(10));
    let _grown = large().unwrap();
    assert!(driver.byte_count() <= 300);
}
