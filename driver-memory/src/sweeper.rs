use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use session_core::Timestamp;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::now::{Now, Time};
use crate::store::{SHARDS, Store};

/// How long an entry that ended takes up memory at most, in a runtime that is not overloaded. Readers do
/// not see it in that time.
const INTERVAL: Duration = Duration::from_millis(500);

/// How many idle shards a sweep passes before it lets other tasks run.
const SHARDS_AT_ONCE: usize = 64;

/// The task that frees the memory of ended entries, owned by the driver: it ends when the driver is
/// closed or dropped.
#[derive(Default)]
pub(crate) struct Sweeper {
    running: Arc<AtomicBool>,
    task: Mutex<Task>,
}

#[derive(Default)]
enum Task {
    #[default]
    NotStarted,
    Started(JoinHandle<()>),
    Stopped,
}

impl Sweeper {
    /// Starts the task if it does not run and a runtime is there to run it. Without one, what ended is
    /// swept by later writes.
    #[inline]
    pub(crate) fn ensure_running(&self, store: &Arc<Store>, time: &Time) {
        if !self.running.load(Ordering::Relaxed) {
            self.start(store, time);
        }
    }

    #[cold]
    fn start(&self, store: &Arc<Store>, time: &Time) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut task = self.task.lock();
        if matches!(*task, Task::Stopped) || self.running.swap(true, Ordering::Relaxed) {
            return;
        }
        let running = RunningMark(Arc::clone(&self.running));
        let (store, time) = (Arc::clone(store), time.clone());
        *task = Task::Started(runtime.spawn(async move {
            let _running = running;
            loop {
                tokio::time::sleep(INTERVAL).await;
                sweep(&store, time.now()).await;
            }
        }));
    }

    /// Ends the task for good and waits until it has ended.
    pub(crate) async fn stop(&self) {
        let task = std::mem::replace(&mut *self.task.lock(), Task::Stopped);
        if let Task::Started(task) = task {
            task.abort();
            let _cancelled = task.await;
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if let Task::Started(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.running.load(Ordering::Relaxed);
        f.debug_struct("Sweeper")
            .field("running", &running)
            .finish()
    }
}

/// Says that no task runs when the task goes away, also when that is because its runtime did: the next
/// write, in whatever runtime, starts another.
struct RunningMark(Arc<AtomicBool>);

impl Drop for RunningMark {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Frees what has ended, step by step, with room for others after each.
async fn sweep(store: &Store, now: Timestamp) {
    for number in 0..SHARDS {
        let mut more = true;
        while more {
            let step = store.sweep_shard(number, &Now::at(now));
            if step.is_some() || number % SHARDS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
            more = step.is_some_and(|step| step.more);
        }
    }
}
