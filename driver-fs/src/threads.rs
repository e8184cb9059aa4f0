use std::collections::VecDeque;
use std::fmt;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use parking_lot::{Condvar, Mutex};
use session_core::{Error, ErrorKind, Outcome, Result};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{oneshot, watch};

use crate::error::{closed, lost};

type Job = Box<dyn FnOnce() + Send>;

/// After how many jobs in a row that came while there was no other a caller is taken to be alone. It then pays to stay
/// awake for a moment, since to be woken takes several times as long as a read.
const LONE_AFTER: u32 = 4;

/// How often a thread looks for the next job of a lone caller before it waits: some 80 µs.
const LOOKS: u32 = 4_096;

/// How often a lone caller lets other tasks run and asks again before it waits.
const YIELDS: u32 = 64;

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
    /// Whether there are jobs, for the thread that looks for them.
    has_jobs: AtomicBool,
    /// How many jobs wait or are being done.
    in_flight: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that wait, and have not been woken.
    idle: usize,
    /// How many jobs in a row came while there was no other.
    lone: u32,
    /// Whether a thread looks for jobs as soon as it has none, before it waits; never more than one.
    looking: bool,
    closed: bool,
}

/// One that counts as in flight until this goes away.
struct InFlight(Arc<Shared>);

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
        let (sender, mut receiver) = oneshot::channel();
        let begins_now = self.push(|in_flight| {
            Box::new(move || {
                if !sender.is_closed() {
                    let done = work();
                    // A caller who is answered comes back before this thread gets any further.
                    drop(in_flight);
                    let _nobody_waits = sender.send(done);
                }
            })
        })?;
        if begins_now {
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
                match receiver.try_recv() {
                    Err(TryRecvError::Empty) => {}
                    received => return received.map_err(|_| lost()),
                }
            }
            if self.0.has_jobs.load(Ordering::Relaxed) {
                // Nobody has begun with it: both are kept on one processor, where they are in each other's way.
                self.0.queue.lock().lone = 0;
            }
        }
        receiver.await.map_err(|_| lost())
    }

    /// Gives whether a thread that is awake begins with it at once.
    fn push(&self, job: impl FnOnce(InFlight) -> Job) -> Result<bool> {
        let Self(shared) = self;
        let mut queue = shared.queue.lock();
        if queue.closed {
            return Err(closed());
        }
        let is_lone = shared.in_flight.fetch_add(1, Ordering::Relaxed) == 0;
        queue.jobs.push_back(job(InFlight(Arc::clone(shared))));
        shared.has_jobs.store(true, Ordering::Relaxed);
        queue.lone = match is_lone {
            true => queue.lone.saturating_add(1),
            false => 0,
        };
        let begins_now = is_lone && queue.looking;
        let wake = !begins_now && queue.idle > 0;
        if wake {
            queue.idle -= 1;
        }
        drop(queue);
        if wake {
            shared.filled.notify_one();
        }
        Ok(begins_now)
    }
}

impl Shared {
    fn work(&self) {
        // Whether it is this thread that looks.
        let mut looks = false;
        let mut queue = self.queue.lock();
        loop {
            let is_lone = queue.lone >= LONE_AFTER;
            if looks && !is_lone {
                (looks, queue.looking) = (false, false);
            }
            if let Some(job) = queue.jobs.pop_front() {
                if queue.jobs.is_empty() {
                    self.has_jobs.store(false, Ordering::Relaxed);
                }
                if is_lone && !queue.looking {
                    (looks, queue.looking) = (true, true);
                }
                drop(queue);
                // Its caller is told that it was lost; the thread goes on with others'.
                let _panicked = catch_unwind(AssertUnwindSafe(job));
                queue = self.queue.lock();
            } else if queue.closed {
                return;
            } else if looks {
                drop(queue);
                let found = self.look();
                queue = self.queue.lock();
                if !found && queue.jobs.is_empty() {
                    queue.lone = 0;
                }
            } else {
                queue.idle += 1;
                self.filled.wait(&mut queue);
            }
        }
    }

    /// Looks for jobs for a short while, and gives whether there are some.
    fn look(&self) -> bool {
        (0..LOOKS).any(|_| {
            spin_loop();
            self.has_jobs.load(Ordering::Relaxed)
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
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
