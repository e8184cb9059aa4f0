//! Drivers that keep a change from their listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use conformance_tests::Subject;
use driver_memory::MemoryDriver;
use session_core::*;

/// What the driver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    None,
    KeepsTouchesToItself,
    KeepsBatchesToItself,
    KeepsConditionalRemovalsToItself,
    KeepsClearsToItself,
    KeepsTheChangesOfOthersToItself,
    ListensToTheLastOnly,
    ReadsAnotherEntry,
}

/// A memory driver that others use too.
struct Wrong {
    shared: Arc<MemoryDriver>,
    habit: Habit,
    is_muted: Arc<AtomicBool>,
    listeners: parking_lot::Mutex<Vec<Arc<AtomicBool>>>,
    /// Whether the driver that the listeners are told by is this one.
    is_first: bool,
}

/// Passes on what it hears, unless it is muted.
struct Ear {
    listener: Arc<dyn InvalidationListener>,
    is_muted: Arc<AtomicBool>,
    is_replaced: Arc<AtomicBool>,
}

impl InvalidationListener for Ear {
    fn invalidate(&self, key: &Key) {
        let is_silent = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        if !is_silent(&self.is_muted) && !is_silent(&self.is_replaced) {
            self.listener.invalidate(key);
        }
    }

    fn invalidate_all(&self) {
        self.listener.invalidate_all();
    }
}

impl Wrong {
    async fn muted<T>(&self, habit: Habit, change: impl Future<Output = T>) -> T {
        let has_it = habit != Habit::None && self.habit == habit;
        let by_others = self.habit == Habit::KeepsTheChangesOfOthersToItself && !self.is_first;
        self.is_muted.store(has_it || by_others, Ordering::SeqCst);
        let outcome = change.await;
        self.is_muted.store(false, Ordering::SeqCst);
        outcome
    }
}

#[async_trait]
impl Driver for Wrong {
    delegate_driver!(this => this.shared, except write, remove, touch, write_many, remove_many, clear, listen, read_tracked, close);

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.shared.write(key, value, options);
        self.muted(Habit::None, write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let habit = match options.if_version {
            Some(_) => Habit::KeepsConditionalRemovalsToItself,
            None => Habit::None,
        };
        self.muted(habit, self.shared.remove(key, options)).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = self.shared.touch(key, options);
        self.muted(Habit::KeepsTouchesToItself, touch).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let write = self.shared.write_many(writes);
        self.muted(Habit::KeepsBatchesToItself, write).await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let remove = self.shared.remove_many(keys);
        self.muted(Habit::KeepsBatchesToItself, remove).await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let clear = self.shared.clear(prefix);
        self.muted(Habit::KeepsClearsToItself, clear).await
    }

    async fn listen(&self, listener: Arc<dyn InvalidationListener>) -> Result<()> {
        let is_replaced = Arc::new(AtomicBool::new(false));
        let earlier = {
            let mut listeners = self.listeners.lock();
            let earlier = listeners.clone();
            listeners.push(is_replaced.clone());
            earlier
        };
        if self.habit == Habit::ListensToTheLastOnly {
            for earlier in earlier {
                earlier.store(true, Ordering::SeqCst);
            }
        }
        let is_muted = self.is_muted.clone();
        let ear = Ear {
            listener,
            is_muted,
            is_replaced,
        };
        self.shared.listen(Arc::new(ear)).await
    }

    async fn read_tracked(&self, key: &Key) -> Result<Option<Entry>> {
        let entry = self.shared.read_tracked(key).await?;
        Ok(match self.habit {
            Habit::ReadsAnotherEntry => entry.map(|_| Entry::new("another")),
            _ => entry,
        })
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// The cases that fail. Each runs alone, since what is muted is muted for all.
async fn failed_with(habit: Habit) -> Vec<&'static str> {
    let names = conformance_tests::case_names()
        .filter(|name| name.contains("listener") || name.contains("tracked"));
    let names: Vec<&str> = names.collect();
    assert_eq!(names.len(), 6);
    let mut failed = Vec::new();
    for name in names {
        let shared = Arc::new(MemoryDriver::new());
        let is_muted = Arc::new(AtomicBool::new(false));
        let opened = Arc::new(AtomicUsize::new(0));
        let open = move || {
            let driver = Wrong {
                shared: Arc::clone(&shared),
                habit,
                is_muted: Arc::clone(&is_muted),
                listeners: parking_lot::Mutex::default(),
                is_first: opened.fetch_add(1, Ordering::SeqCst) == 0,
            };
            async move { Subject::new(driver).with_shared_backend() }
        };
        let report = conformance_tests::run_only(&[name], open).await;
        if report.failed().next().is_some() {
            failed.push(name);
        }
    }
    failed
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_listeners_do_not_hear_of_is_found() {
    assert_eq!(failed_with(Habit::None).await, Vec::<&str>::new());
    for (habit, case) in [
        (Habit::KeepsTouchesToItself, "every_method"),
        (Habit::KeepsBatchesToItself, "every_method"),
        (Habit::KeepsConditionalRemovalsToItself, "every_method"),
        (Habit::KeepsClearsToItself, "every_method"),
        (Habit::KeepsTheChangesOfOthersToItself, "another_driver"),
        (Habit::ListensToTheLastOnly, "each_listener"),
        (Habit::ReadsAnotherEntry, "a_tracked_read"),
    ] {
        let failed = failed_with(habit).await;
        let is_found = failed.iter().any(|name| name.contains(case));
        assert!(is_found, "{habit:?}: {failed:?}");
    }
}
