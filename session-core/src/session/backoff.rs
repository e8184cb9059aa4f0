use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::{Error, ErrorKind, Result};

/// Backoff again until a deadline, at first at once and then after growing, random pauses.
pub(crate) struct Backoff {
    deadline: Duration,
    /// From when the first one failed.
    pauses: Option<Box<(Instant, ExponentialBackoff)>>,
}

impl Backoff {
    pub(crate) fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            pauses: None,
        }
    }

    /// Returns when it is time to try again; an error once the deadline has passed.
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
                    "others changed the session again and again for {:?}; its changes were not written. \
                     Store what changes so often elsewhere, or raise `commit_deadline`",
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
