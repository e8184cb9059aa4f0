//! Runs work on files on the runtime's threads for blocking work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use session_core::worker::{Jobs, Queue, queue};
use session_core::{Outcome, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use super::error::{closed, timed_out};

/// When an operation has to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// How long the operation had, for messages.
    pub(crate) timeout: Duration,
}

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        Self {
            at: Instant::now() + timeout,
            timeout,
        }
    }

    /// When to stop waiting for a lock: early enough that the caller learns that nothing was changed.
    pub(crate) fn for_locks(self) -> Self {
        const LONGEST_MARGIN: Duration = Duration::from_millis(100);
        Self {
            at: self.at - LONGEST_MARGIN.min(self.timeout / 10),
            ..self
        }
    }

    /// Waits for `ready`, which changes nothing.
    pub(crate) async fn wait_for<T>(self, ready: impl Future<Output = T>) -> Result<T> {
        let waited = timeout_at(self.at, ready).await;
        waited.map_err(|_| timed_out(self.timeout).with_outcome(Outcome::NotApplied))
    }
}

type Work = Box<dyn FnOnce() + Send>;

/// How many calls the queue holds. Further callers wait for a place.
const QUEUE: usize = 1_024;

/// Runs a limited number of blocking calls at once, and keeps track of them. Clones share the limit.
///
/// A thread that has begun takes all calls that are queued, so under load no thread is woken for a single call.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    queue: Queue<Work, ()>,
    jobs: Jobs<Work, ()>,
    threads: Arc<Semaphore>,
    running: TaskTracker,
}

impl Files {
    /// Runs at most `count` calls at once.
    pub(crate) fn new(count: usize) -> Self {
        let (queue, jobs) = queue(QUEUE);
        let running = TaskTracker::new();
        running.close();
        Self {
            queue,
            jobs,
            threads: Arc::new(Semaphore::new(count)),
            running,
        }
    }

    /// Runs `work` and waits for its result until `deadline`. If the caller gives up before it begins, it is not done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, mut receiver) = oneshot::channel();
        let work = Box::new(move || {
            let _the_caller_may_have_gone = sender.send(work());
        });
        let pending = self.queue.submit(work, deadline.at, deadline.timeout);
        let pending = pending.await?;
        if let Ok(thread) = Arc::clone(&self.threads).try_acquire_owned() {
            let (jobs, threads) = (self.jobs.clone(), Arc::clone(&self.threads));
            self.running
                .spawn_blocking(move || work_off(&jobs, &threads, thread));
        }
        pending.answer(deadline.at, deadline.timeout).await?;
        receiver.try_recv().map_err(|_| closed())?
    }

    /// Runs a task that [`close`](Self::close) waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    /// Refuses further work, and waits for the work and the tasks that run.
    pub(crate) async fn close(&self) {
        self.jobs.close();
        self.running.wait().await;
    }
}

/// Runs the queued calls until there are none.
fn work_off(jobs: &Jobs<Work, ()>, threads: &Arc<Semaphore>, thread: OwnedSemaphorePermit) {
    let mut thread = Some(thread);
    loop {
        let Some(job) = jobs.try_recv() else {
            // A caller that submits from now on gets the place. One that has just submitted found none.
            if thread.take().is_none() {
                return;
            }
            continue;
        };
        if thread.is_none() {
            thread = Arc::clone(threads).try_acquire_owned().ok();
        }
        if let Some((work, reply)) = job.begin()
            && catch_unwind(AssertUnwindSafe(work)).is_ok()
        {
            reply.send(());
        }
    }
}
