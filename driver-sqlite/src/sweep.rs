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

/// How long others have between two statements of a sweep or a clear, at least.
const LEAST_GAP: Duration = Duration::from_millis(2);

/// Removes what has ended every `interval`, until `stop`. An error is told and the next turn tries again.
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
                tracing::warn!(%error, "sweeping failed; the next turn tries again");
            }
        };
        if stop.run_until_cancelled(turn).await.is_none() {
            return;
        }
    }
}

/// Removes all that has ended, batch by batch.
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
        gap(started).await;
    }
}

/// Leaves others as much time as a batch took.
pub(crate) async fn gap(started: Instant) {
    tokio::time::sleep(started.elapsed().max(LEAST_GAP)).await;
}
