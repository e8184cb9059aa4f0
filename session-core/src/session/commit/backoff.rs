use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use super::contended;
use crate::Result;

/// Exponential backoff with jitter until a deadline. The first retry is immediate.
pub(crate) struct Backoff {
    deadline: Instant,
    /// What the error names.
    limit: Duration,
    /// Set after the first failure.
    pauses: Option<Box<ExponentialBackoff>>,
}

impl Backoff {
    pub(crate) fn new(deadline: Instant, limit: Duration) -> Self {
        Self {
            deadline,
            limit,
            pauses: None,
        }
    }

    /// Waits until the next attempt; an error if the deadline has passed.
    pub(crate) async fn wait(&mut self) -> Result<()> {
        self.check()?;
        let Some(pauses) = &mut self.pauses else {
            let pauses = ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(1))
                .with_max_delay(Duration::from_millis(50))
                .without_max_times()
                .with_jitter()
                .build();
            self.pauses = Some(Box::new(pauses));
            return Ok(());
        };
        let pause = pauses.next().unwrap_or(Duration::from_millis(50));
        tokio::time::sleep(pause).await;
        self.check()
    }

    /// An error if the deadline has passed.
    pub(crate) fn check(&self) -> Result<()> {
        if Instant::now() >= self.deadline {
            return Err(contended(self.limit));
        }
        Ok(())
    }
}
