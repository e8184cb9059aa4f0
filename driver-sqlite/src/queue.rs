use session_core::worker::{Job, Jobs};
use tokio_util::sync::CancellationToken;

use crate::statements::MAX_BATCH;

/// Waits for a job, and takes all jobs that are queued, up to a batch. An empty batch means that no more will come:
/// after `stop` the queue refuses new jobs and hands out those that it has.
pub(crate) async fn receive<T, R>(jobs: &Jobs<T, R>, stop: &CancellationToken) -> Vec<Job<T, R>> {
    let first = match stop.run_until_cancelled(jobs.recv()).await {
        Some(first) => first,
        None => {
            jobs.close();
            jobs.recv().await
        }
    };
    let mut batch: Vec<_> = first.into_iter().collect();
    if !batch.is_empty() {
        fill(&mut batch, jobs);
    }
    batch
}

/// Adds the jobs that are queued, up to a batch.
pub(crate) fn fill<T, R>(batch: &mut Vec<Job<T, R>>, jobs: &Jobs<T, R>) {
    while batch.len() < MAX_BATCH
        && let Some(job) = jobs.try_recv()
    {
        batch.push(job);
    }
}
