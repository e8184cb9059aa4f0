use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::statements::MAX_BATCH;

/// Waits for jobs and takes all that have queued up, up to a batch. Zero says that no more will come: after
/// `stop` the queue takes no new ones, and gives out those that it has.
pub(crate) async fn receive<T>(
    jobs: &mut Receiver<T>,
    batch: &mut Vec<T>,
    stop: &CancellationToken,
) -> usize {
    if !jobs.is_closed() {
        let receiving = jobs.recv_many(batch, MAX_BATCH);
        if let Some(received) = stop.run_until_cancelled(receiving).await {
            return received;
        }
        jobs.close();
    }
    jobs.recv_many(batch, MAX_BATCH).await
}
