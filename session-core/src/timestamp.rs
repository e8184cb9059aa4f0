//! Points in time.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time, in whole milliseconds since the Unix epoch as in JavaScript.
///
/// ```
/// use session_core::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::from_millis(1_000);
/// assert_eq!(start.saturating_add(Duration::from_secs(2)).as_millis(), 3_000);
/// ```
///
/// Arithmetic saturates, so no duration from configuration or stored data can overflow it. Times before 1970 become 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Returns the current time of the system's clock.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Creates the time `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns this time plus `duration`, rounded up to whole milliseconds.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let fraction = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
        let millis = duration.as_secs().saturating_mul(1_000);
        Self(self.0.saturating_add(millis).saturating_add(fraction))
    }

    /// Returns the time since `earlier`; zero if `earlier` is later than this.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Converts to the standard library's type; `None` if the platform cannot represent the time.
    pub fn to_system_time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms since 1970", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_the_longest_duration_saturates() {
        let time = Timestamp::now().saturating_add(Duration::MAX);
        assert_eq!(time.as_millis(), u64::MAX);
    }

    #[test]
    fn fractions_of_a_millisecond_round_up() {
        let time = Timestamp::from_millis(5).saturating_add(Duration::from_micros(1));
        assert_eq!(time.as_millis(), 6);
    }
}
