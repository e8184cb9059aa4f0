//! The lifetime of sessions: timeouts, deadlines, and when a renewal is due.

use std::time::Duration;

use crate::{Expiry, Timestamp};

/// How long a record outlives the last of its values.
///
/// A request that is using the session keeps its record for a moment after the last value has expired.
const SLACK: Duration = Duration::from_secs(60);

/// How long a session lives: without activity, and in total.
///
/// ```
/// use session_core::session::Lifetime;
/// use std::time::Duration;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
///
/// // "Remember me": a month without a visit, a year in total, and the cookie outlives the browser.
/// let lifetime = Lifetime::idle(30 * DAY).with_absolute(365 * DAY).persistent();
/// # let _ = lifetime;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    idle: Timeout,
    absolute: Timeout,
    persistent: bool,
}

/// A timeout of a session, which may replace the configured one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Configured,
    Never,
    After(Duration),
}

impl Lifetime {
    /// The manager's timeouts, counted from now. It is the lifetime of a session that was given no other.
    pub fn configured() -> Self {
        Self {
            idle: Timeout::Configured,
            absolute: Timeout::Configured,
            persistent: false,
        }
    }

    /// A session that expires `idle` after the last request that loaded it.
    ///
    /// The manager's absolute timeout still applies.
    pub fn idle(idle: Duration) -> Self {
        Self {
            idle: Timeout::After(idle),
            absolute: Timeout::Configured,
            persistent: false,
        }
    }

    /// A session without an idle timeout.
    ///
    /// The manager's absolute timeout still applies.
    pub fn never() -> Self {
        Self {
            idle: Timeout::Never,
            absolute: Timeout::Configured,
            persistent: false,
        }
    }

    /// Sets the absolute timeout, counted from when this lifetime is set; `None` is no absolute timeout.
    ///
    /// It replaces the manager's absolute timeout for this session.
    #[must_use]
    pub fn with_absolute(mut self, absolute: impl Into<Option<Duration>>) -> Self {
        self.absolute = absolute.into().map_or(Timeout::Never, Timeout::After);
        self
    }

    /// Makes the cookie outlive the browser, by a Max-Age that lasts as long as the session.
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }
}

/// The lifetime that a record stores in a reserved entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordLifetime {
    /// When the session was created, or when this crate first wrote it if Astro created it.
    pub(crate) created: Timestamp,
    /// When it expires regardless of activity.
    pub(crate) deadline: Option<Timestamp>,
    /// The idle timeout of `set_lifetime`, which replaces the configured one.
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
    /// The lifetime of a session that is created `now`.
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

    /// When a record that is used `now` expires.
    ///
    /// It is the earliest of its idle timeout, its deadline, and the last expiry of its values if all of them expire.
    pub(crate) fn expires_at(
        &self,
        lifetime: Option<&RecordLifetime>,
        last_value_expiry: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let idle = self.idle_of(lifetime).map(|idle| now.saturating_add(idle));
        let deadline = lifetime.and_then(|lifetime| lifetime.deadline);
        let values = last_value_expiry.map(|expiry| expiry.saturating_add(SLACK));
        earlier(earlier(idle, deadline), values)
    }

    /// Whether the expiry of a record should be renewed from `current` to `wanted`.
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

    /// How far an expiry must move before a touch is worth its cost: the configured interval, or else a twentieth of the
    /// idle timeout, at most an hour.
    fn interval(&self, lifetime: Option<&RecordLifetime>) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60 * 60);
        let idle = self.idle_of(lifetime).unwrap_or(Duration::MAX);
        match self.touch_interval {
            // With a longer interval, a session in use could expire.
            Some(interval) => interval.min(idle / 2),
            None => (idle / 20).min(LONGEST),
        }
    }
}

impl RecordLifetime {
    /// Applies the lifetime that `set_lifetime` asked for.
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
        (time, None) | (None, time) => time,
    }
}

/// The expiry to write for a record that expires at `expires_at`; `None` is the driver's `ttl` option.
pub(crate) fn record_expiry(expires_at: Option<Timestamp>) -> Expiry {
    expires_at.map_or(Expiry::Default, Expiry::At)
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
    fn the_earliest_expiry_applies() {
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
        let expiry = Timestamp::from_millis(0).saturating_add(20 * HOUR);
        let later = |minutes: u64| expiry.saturating_add(Duration::from_secs(60 * minutes));
        assert!(!rules().touch_is_due(None, Some(expiry), Some(later(59))));
        assert!(rules().touch_is_due(None, Some(expiry), Some(later(60))));
    }

    #[test]
    fn a_record_without_expiry_is_given_one() {
        let expiry = Timestamp::from_millis(1);
        assert!(rules().touch_is_due(None, None, Some(expiry)));
        assert!(!rules().touch_is_due(None, None, None));
    }
}
