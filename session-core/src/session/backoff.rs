use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::{Error, ErrorKind, Result};

/// Exponential backoff with jitter until a deadline. The first retry is immediate.
pub(crate) struct Backoff {
    deadline: Duration,
    /// Set after the first failure.
    pauses: Option<Box<(Instant, ExponentialBackoff)>>,
}

impl Backoff {
    pub(crate) fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            pauses: None,
        }
    }

    /// Waits until the next attempt; an error if the deadline has passed.
    pub(crate) async fn wait(&mut self) -> Result<()> {
        let is_first = self.pauses.is_none();
        let (started, pauses) = &mut **self.pauses.get_or_insert_with(|| {
            let pauses = ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(1))
                .with_max_delay(Duration::from_millis(50))
                .without_max_times()
                .with_jitter()
                .build();
            Box::new((Instant::now(), pauses))
        });
        if started.elapsed() >= self.deadline {
            return Err(Error::new(
                ErrorKind::Contended,
                format!(
                    "other requests kept changing the session for {:?}; its changes were not written. \
                     Store data that changes often elsewhere, or raise `commit_deadline`",
                    self.deadline
                ),
            ));
        }
        if is_first {
            return Ok(());
        }
        let pause = pauses.next().unwrap_or(Duration::from_millis(50));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
