use std::time::Duration;

use crate::Timestamp;

/// When an entry expires.
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
/// The time is absolute, so that a retry or a cache does not extend it. An entry expires *at* its time: from that
/// millisecond on no reader sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// After the driver's `ttl` option. Never, if the driver has none.
    #[default]
    Default,
    /// Never, whatever the driver's `ttl` is.
    Never,
    /// At this time.
    At(Timestamp),
}

impl Expiry {
    /// `ttl` from now, by the system's clock.
    pub fn after(ttl: Duration) -> Self {
        Self::At(Timestamp::now().saturating_add(ttl))
    }

    /// The time at which an entry written at `now` expires, given the driver's `default_ttl`. `None` means never.
    pub fn resolve(self, default_ttl: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Default => default_ttl.map(|ttl| now.saturating_add(ttl)),
            Self::Never => None,
            Self::At(time) => Some(time),
        }
    }
}
