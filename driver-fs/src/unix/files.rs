//! Runs work on files on the runtime's threads for blocking work.

use std::sync::Arc;
use std::time::Duration;

use session_core::worker::ticket;
use session_core::{Outcome, Result};
use tokio::sync::Semaphore;
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

    /// Waits for `ready`, which changes nothing.
    pub(crate) async fn wait_for<T>(self, ready: impl Future<Output = T>) -> Result<T> {
        let waited = timeout_at(self.at, ready).await;
        waited.map_err(|_| timed_out(self.timeout).with_outcome(Outcome::NotApplied))
    }
}

/// Runs a limited number of blocking calls at once, and keeps track of them. Clones share the limit.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    permits: Arc<Semaphore>,
    running: TaskTracker,
}

impl Files {
    /// Runs at most `count` calls at once.
    pub(crate) fn new(count: usize) -> Self {
        let running = TaskTracker::new();
        running.close();
        Self {
            permits: Arc::new(Semaphore::new(count)),
            running,
        }
    }

    /// Runs `work` and waits for its result until `deadline`. If the caller gives up before it begins, it is not done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = deadline.wait_for(permit).await?.map_err(|_| closed())?;
        let (pending, ticket) = ticket();
        self.running.spawn_blocking(move || {
            if let Some(reply) = ticket.begin() {
                let done = work();
                // So that the caller finds a permit when it comes back.
                drop(permit);
                reply.send(done);
            }
        });
        pending.answer(deadline.at, deadline.timeout).await?
    }

    /// Runs a task that [`close`](Self::close) waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    /// Refuses further work, and waits for the work and the tasks that run.
    pub(crate) async fn close(&self) {
        self.permits.close();
        self.running.wait().await;
    }
}
