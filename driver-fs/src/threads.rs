use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use session_core::{Error, ErrorKind, Outcome, Result};
use tokio::sync::{oneshot, watch};

use crate::error::{closed, lost};

type Job = Box<dyn FnOnce() + Send>;

/// The threads on which all work on files is done, so that none of it keeps the runtime waiting. They end when
/// this is closed or dropped, after what they were given until then.
pub(crate) struct FileThreads {
    queue: FileQueue,
    /// Closed once every thread has ended.
    running: watch::Sender<()>,
}

/// Where work for the threads is put, for those who may outlive them.
#[derive(Clone, Default)]
pub(crate) struct FileQueue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that wait, and have not been woken.
    idle: usize,
    closed: bool,
}

impl FileThreads {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let threads = Self {
            queue: FileQueue::default(),
            running: watch::Sender::new(()),
        };
        for _ in 0..count {
            let shared = Arc::clone(&threads.queue.0);
            threads.spawn("session-files", move || shared.work())?;
        }
        Ok(threads)
    }

    /// Starts a thread that counts as one of these.
    pub(crate) fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let running = self.running.subscribe();
        let work = move || {
            let _running = running;
            work();
        };
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
        spawned.map(drop).map_err(|error| {
            let message =
                "no thread could be started for work on files; see the limits of this process";
            Error::new(ErrorKind::Unavailable, message)
                .with_outcome(Outcome::NotApplied)
                .with_source(error)
        })
    }

    pub(crate) fn queue(&self) -> &FileQueue {
        &self.queue
    }

    /// Takes no more work.
    pub(crate) fn stop(&self) {
        self.queue.0.queue.lock().closed = true;
        self.queue.0.filled.notify_all();
    }

    /// Waits until every thread has ended, after [`stop`](Self::stop).
    pub(crate) async fn ended(&self) {
        self.running.closed().await;
    }
}

impl FileQueue {
    /// Does `work` on one of the threads. It is done also if nobody waits for it any more, once it has begun.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.push(Box::new(move || {
            if !sender.is_closed() {
                let _nobody_waits = sender.send(work());
            }
        }))?;
        receiver.await.map_err(|_| lost())
    }

    fn push(&self, job: Job) -> Result<()> {
        let mut queue = self.0.queue.lock();
        if queue.closed {
            return Err(closed());
        }
        queue.jobs.push_back(job);
        let wake = queue.idle > 0;
        if wake {
            queue.idle -= 1;
        }
        drop(queue);
        if wake {
            self.0.filled.notify_one();
        }
        Ok(())
    }
}

impl Shared {
    fn work(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // Its caller is told that it was lost; the thread goes on with others'.
                let _panicked = catch_unwind(AssertUnwindSafe(job));
                queue = self.queue.lock();
            } else if queue.closed {
                return;
            } else {
                queue.idle += 1;
                self.filled.wait(&mut queue);
            }
        }
    }
}

impl Drop for FileThreads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for FileThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileThreads").finish_non_exhaustive()
    }
}
