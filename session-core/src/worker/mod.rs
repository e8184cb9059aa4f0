//! Hands work to a task or a thread, and waits for the answer for a limited time.
//!
//! ```
//! use std::time::Duration;
//! use session_core::{Result, worker};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let (queue, jobs) = worker::queue::<u32, u32>(64);
//! let doubling = tokio::spawn(async move {
//!     while let Some(job) = jobs.recv().await {
//!         if let Some((number, reply)) = job.begin() {
//!             reply.send(number * 2);
//!         }
//!     }
//! });
//!
//! assert_eq!(queue.run(21, Duration::from_secs(1)).await?, 42);
//! drop(queue);
//! # doubling.await.unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! Drivers use it where a connection or a file is owned by a worker. It keeps four promises that a channel together
//! with a `oneshot` does not keep:
//!
//! - **No caller is forgotten.** A caller waits for the answer, for the end of the worker, and for its timeout, and the
//!   first of them ends the wait. When the last [`Jobs`] is dropped, every queued job is dropped with it, and a job that
//!   is submitted later is refused.
//! - **A job that its caller gave up before it began is not carried out.** [`Job::begin`] gives nothing then.
//! - **The error says what happened.** Its [`outcome`](crate::Error::outcome) is
//!   [`NotApplied`](crate::Outcome::NotApplied) if the job did not begin, and [`Unknown`](crate::Outcome::Unknown) if
//!   it did.
//! - **The queue is bounded.** A caller that finds it full waits for a place, within the same timeout.
//!
//! A worker that has a queue of its own, such as a pool of threads, uses [`ticket`] alone.

mod queue;
mod ticket;

pub use queue::{Job, Jobs, Queue, queue};
pub use ticket::{Pending, Reply, Ticket, ticket};

/// The tests run under a scheduler that tries orders of the steps of several threads, which needs its own lock.
mod sync {
    #[cfg(test)]
    pub(super) use shuttle::sync::Mutex;
    #[cfg(not(test))]
    pub(super) use std::sync::Mutex;
}
