use std::time::Duration;

/// How much a near-cache holds, and how old an entry may be.
///
/// ```
/// use session_core::decorators::NearCacheOptions;
/// use std::time::Duration;
///
/// let options = NearCacheOptions::default().with_max_staleness(Duration::from_millis(500));
/// assert_eq!(options.max_bytes, 64 * 1024 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct NearCacheOptions {
    /// How many bytes of keys and values are held. Default: 64 MiB.
    pub max_bytes: u64,
    /// How long ago an entry may have been changed without a read seeing it. In seconds in a configuration. Default: 1 s.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "crate::config::durations::seconds")
    )]
    pub max_staleness: Duration,
}

impl NearCacheOptions {
    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`max_staleness`](Self::max_staleness).
    #[must_use]
    pub fn with_max_staleness(mut self, time: Duration) -> Self {
        self.max_staleness = time;
        self
    }
}

impl Default for NearCacheOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
            max_staleness: Duration::from_secs(1),
        }
    }
}
