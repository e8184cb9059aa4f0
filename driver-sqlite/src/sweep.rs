//! Removes expired entries in the background.

use std::sync::Arc;
use std::time::Duration;

use session_core::Error;
use sqlx::sqlite::SqliteArguments;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connection::Slot;
use crate::rows::bind;
use crate::statements::Statements;

/// How many entries one statement removes.
pub(crate) const SWEEP_BATCH: i64 = 256;

/// The shortest pause between two statements of a sweep or a clear.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);

/// Removes expired entries every `interval`, until `stop`. After an error it tries again at the next interval.
pub(crate) async fn sweep_every(
    interval: Duration,
    slot: Arc<Slot>,
    statements: Arc<Statements>,
    stop: CancellationToken,
) {
    loop {
        let turn = async {
            tokio::time::sleep(interval).await;
            if let Err(error) = sweep(&slot, &statements).await {
                tracing::warn!(%error, "sweeping failed; it is tried again after the interval");
            }
        };
        if stop.run_until_cancelled(turn).await.is_none() {
            return;
        }
    }
}

/// Removes all expired entries, batch by batch.
async fn sweep(slot: &Slot, statements: &Statements) -> Result<(), Error> {
    loop {
        let started = Instant::now();
        let removed = {
            let mut arguments = SqliteArguments::default();
            bind(&mut arguments, SWEEP_BATCH)?;
            let mut lease = slot.lock().await;
            let until = lease.locked_until();
            let waits = || Instant::now() < until;
            lease.execute(&statements.sweep, &arguments, waits).await?
        };
        if removed < SWEEP_BATCH.unsigned_abs() {
            return Ok(());
        }
        pause_after_batch(started).await;
    }
}

/// Leaves the connection to others for as long as a batch took.
pub(crate) async fn pause_after_batch(started: Instant) {
    tokio::time::sleep(started.elapsed().max(SHORTEST_PAUSE)).await;
}
