//! Runs work on files on threads of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use session_core::worker::{Jobs, Queue, queue};
use session_core::{Error, ErrorKind, Outcome, Result};
use tokio::sync::oneshot;
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

    /// When to stop waiting for a lock or a foreign writer: early enough that the caller learns what it was.
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

/// Threads that run blocking calls. They end when the last clone is dropped, or when it is closed.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    queue: Queue<Work, ()>,
    jobs: Jobs<Work, ()>,
    running: TaskTracker,
}

impl Files {
    /// Starts `count` threads.
    pub(crate) fn start(count: usize) -> Result<Self> {
        let (queue, jobs) = queue(QUEUE);
        let running = TaskTracker::new();
        running.close();
        for _ in 0..count {
            let (jobs, running) = (jobs.clone(), running.token());
            let spawned = thread::Builder::new()
                .name("driver-fs".to_owned())
                .spawn(move || {
                    work_off(&jobs);
                    drop(running);
                });
            spawned.map_err(|error| {
                let message =
                    "no thread could be started; raise the limit of threads (`ulimit -u`)";
                Error::new(ErrorKind::Unavailable, message).with_source(error)
            })?;
        }
        Ok(Self {
            queue,
            jobs,
            running,
        })
    }

    /// Runs `work` and waits for its result until `deadline`. If the caller gives up before it begins, it is not done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, mut receiver) = oneshot::channel();
        let work: Work = Box::new(move || {
            let _the_caller_may_have_gone = sender.send(work());
        });
        let pending = self.queue.submit(work, deadline.at, deadline.timeout);
        pending.await?.answer(deadline.at, deadline.timeout).await?;
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

fn work_off(jobs: &Jobs<Work, ()>) {
    while let Some(job) = block_on(jobs.recv()) {
        if let Some((work, reply)) = job.begin()
            && catch_unwind(AssertUnwindSafe(work)).is_ok()
        {
            reply.send(());
        }
    }
}
