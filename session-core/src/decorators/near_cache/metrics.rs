use metrics::{Counter, Gauge, counter, gauge};

/// What the cache counts.
pub(super) struct Metrics {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) invalidations: Counter,
    pub(super) staleness: Gauge,
}

impl Metrics {
    pub(super) fn new(driver: &str) -> Self {
        let driver = driver.to_owned();
        Self {
            hits: counter!("session_near_cache_hits_total", "driver" => driver.clone()),
            misses: counter!("session_near_cache_misses_total", "driver" => driver.clone()),
            invalidations: counter!("session_near_cache_invalidations_total", "driver" => driver.clone()),
            staleness: gauge!("session_near_cache_staleness_seconds", "driver" => driver),
        }
    }
}
