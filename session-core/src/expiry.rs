use std::time::Duration;

use crate::Timestamp;

/// When what is written ends.
///
/// ```
/// use session_core::{Expiry, Timestamp};
/// use std::time::Duration;
///
/// let now = Timestamp::now();
/// let default_ttl = Some(Duration::from_secs(60));
///
/// assert_eq!(Expiry::Never.resolve(default_ttl, now), None);
/// assert_eq!(Expiry::Default.resolve(default_ttl, now), Some(now.saturating_add(Duration::from_secs(60))));
/// ```
///
/// The time is absolute, so that a retry or a cache between does not stretch it. An entry ends
/// *at* its time: from that millisecond on nobody sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// After the driver's own `ttl` option; never, if it has none.
    #[default]
    Default,
    /// Never, whatever the driver's default is.
    Never,
    /// At this time.
    At(Timestamp),
}

impl Expiry {
    /// The expiry that lies `ttl` from now, by the system's clock.
    pub fn after(ttl: Duration) -> Self {
        Self::At(Timestamp::now().saturating_add(ttl))
    }

    /// The time at which a write made `now` ends under a driver's `default_ttl`; `None` is never.
    pub fn resolve(self, default_ttl: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Default => default_ttl.map(|ttl| now.saturating_add(ttl)),
            Self::Never => None,
            Self::At(time) => Some(time),
        }
    }
}
