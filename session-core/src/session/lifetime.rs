use std::time::Duration;

use crate::{Expiry, Timestamp};

/// How long a record outlives the last of its values.
///
/// A value that ends is still in the record for a moment, so the record does not vanish under a request
/// that is just using it.
const SLACK: Duration = Duration::from_secs(60);

/// How long a session lives: without activity, and in all.
///
/// ```
/// use session_core::session::Lifetime;
/// use std::time::Duration;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///
/// // "Remember me": a month without a visit, a year in all, and the cookie outlives the browser.
/// let lifetime = Lifetime::idle(30 * DAY).with_absolute(365 * DAY).persistent();
/// # let _ = lifetime;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    idle: Timeout,
    absolute: Timeout,
    persistent: bool,
}

/// A timeout of a session, where it may have one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Configured,
    Never,
    After(Duration),
}

impl Lifetime {
    /// A session that lives as long as the store says, from now on: what a session has that was given no
    /// lifetime.
    pub fn configured() -> Self {
        Self {
            idle: Timeout::Configured,
            absolute: Timeout::Configured,
            persistent: false,
        }
    }

    /// A session that ends `idle` after the last request that loaded it. The store's absolute timeout goes on
    /// to hold.
    pub fn idle(idle: Duration) -> Self {
        Self {
            idle: Timeout::After(idle),
            absolute: Timeout::Configured,
            persistent: false,
        }
    }

    /// A session that does not end for want of activity. The store's absolute timeout goes on to hold.
    pub fn never() -> Self {
        Self {
            idle: Timeout::Never,
            absolute: Timeout::Configured,
            persistent: false,
        }
    }

    /// Ends the session `absolute` from when this lifetime is set, whatever its activity; `None` takes it out of
    /// the store's absolute timeout.
    #[must_use]
    pub fn with_absolute(mut self, absolute: impl Into<Option<Duration>>) -> Self {
        self.absolute = absolute.into().map_or(Timeout::Never, Timeout::After);
        self
    }

    /// Gives the cookie a Max-Age for as long as the session lives, so that it outlives the browser.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }
}

/// What a record keeps of its own lifetime, in a reserved entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordLifetime {
    /// When the session began; when we first wrote it, if Astro began it.
    pub(crate) created: Timestamp,
    /// When it ends, whatever its activity.
    pub(crate) deadline: Option<Timestamp>,
    /// The idle timeout that `set_lifetime` gave it, in place of the configured one.
    pub(crate) idle: Timeout,
    /// Whether its cookie outlives the browser.
    pub(crate) persistent: bool,
}

/// The configured lifetimes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LifetimeRules {
    pub(crate) idle: Option<Duration>,
    pub(crate) absolute: Option<Duration>,
    pub(crate) touch_interval: Option<Duration>,
}

impl LifetimeRules {
    /// The lifetime of a session that begins `now`.
    pub(crate) fn begin(&self, now: Timestamp) -> RecordLifetime {
        RecordLifetime {
            created: now,
            deadline: self.absolute.map(|absolute| now.saturating_add(absolute)),
            idle: Timeout::Configured,
            persistent: false,
        }
    }

    fn idle_of(&self, lifetime: Option<&RecordLifetime>) -> Option<Duration> {
        match lifetime.map_or(Timeout::Configured, |lifetime| lifetime.idle) {
            Timeout::Configured => self.idle,
            Timeout::Never => None,
            Timeout::After(idle) => Some(idle),
        }
    }

    /// When a record that is used `now` ends: the nearest of its idle timeout, its deadline, and the last
    /// end of its values if all of them have one.
    pub(crate) fn expires_at(
        &self,
        lifetime: Option<&RecordLifetime>,
        last_value_expiry: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let idle = self.idle_of(lifetime).map(|idle| now.saturating_add(idle));
        let deadline = lifetime.and_then(|lifetime| lifetime.deadline);
        let values = last_value_expiry.map(|end| end.saturating_add(SLACK));
        earlier(earlier(idle, deadline), values)
    }

    /// Whether a record that ends at `current` is worth moving to `wanted`.
    pub(crate) fn touch_is_due(
        &self,
        lifetime: Option<&RecordLifetime>,
        current: Option<Timestamp>,
        wanted: Option<Timestamp>,
    ) -> bool {
        match (current, wanted) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(current), Some(wanted)) => {
                let moved = wanted
                    .saturating_since(current)
                    .max(current.saturating_since(wanted));
                moved >= self.interval(lifetime)
            }
        }
    }

    /// How far an end must move before a touch is worth its cost: as configured, or a twentieth of the idle
    /// timeout, and an hour at most.
    fn interval(&self, lifetime: Option<&RecordLifetime>) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60 * 60);
        let idle = self.idle_of(lifetime).unwrap_or(Duration::MAX);
        match self.touch_interval {
            // A longer one would let a session end that is in use.
            Some(interval) => interval.min(idle / 2),
            None => (idle / 20).min(LONGEST),
        }
    }
}

impl RecordLifetime {
    /// This lifetime with what `set_lifetime` asked for.
    pub(crate) fn with(self, asked: &Lifetime, rules: &LifetimeRules, now: Timestamp) -> Self {
        Self {
            created: self.created,
            idle: asked.idle,
            deadline: match asked.absolute {
                Timeout::Configured => rules.begin(now).deadline,
                Timeout::Never => None,
                Timeout::After(absolute) => Some(now.saturating_add(absolute)),
            },
            persistent: asked.persistent,
        }
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (end, None) | (None, end) => end,
    }
}

/// The expiry to write for a record that ends at `end`. One without an end leaves it to the driver's own
/// `ttl` option.
pub(crate) fn record_expiry(end: Option<Timestamp>) -> Expiry {
    end.map_or(Expiry::Default, Expiry::At)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn rules() -> LifetimeRules {
        LifetimeRules {
            idle: Some(20 * HOUR),
            absolute: Some(30 * HOUR),
            touch_interval: None,
        }
    }

    #[test]
    fn the_nearest_end_applies() {
        let start = Timestamp::from_millis(0);
        let lifetime = rules().begin(start);
        let after = |hours: u32| start.saturating_add(HOUR * hours);

        assert_eq!(
            rules().expires_at(Some(&lifetime), None, start),
            Some(after(20))
        );
        assert_eq!(
            rules().expires_at(Some(&lifetime), None, after(15)),
            Some(after(30))
        );
        assert_eq!(
            rules().expires_at(Some(&lifetime), Some(after(1)), start),
            Some(after(1).saturating_add(SLACK))
        );
    }

    #[test]
    fn a_touch_is_due_once_an_interval() {
        let end = Timestamp::from_millis(0).saturating_add(20 * HOUR);
        let later = |minutes: u64| end.saturating_add(Duration::from_secs(60 * minutes));
        assert!(!rules().touch_is_due(None, Some(end), Some(later(59))));
        assert!(rules().touch_is_due(None, Some(end), Some(later(60))));
    }

    #[test]
    fn a_record_without_an_end_is_given_one() {
        let end = Timestamp::from_millis(1);
        assert!(rules().touch_is_due(None, None, Some(end)));
        assert!(!rules().touch_is_due(None, None, None));
    }
}
