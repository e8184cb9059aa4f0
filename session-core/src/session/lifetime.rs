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
    /// The manager's timeouts. It is the lifetime of a session that was given no other.
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
    /// It replaces the manager's absolute timeout for this session, and is limited by
    /// [`max_lifetime`](super::SessionSettings::max_lifetime) only.
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
    /// Whether the deadline, or that there is none, is that of `set_lifetime` and not the configured one.
    pub(crate) own_deadline: bool,
    /// The idle timeout of `set_lifetime`, which replaces the configured one.
    pub(crate) idle: Timeout,
    /// Whether its cookie outlives the browser.
    pub(crate) persistent: bool,
    /// When it was last renewed, if the driver or the cookie needs that.
    pub(crate) renewed: Option<Timestamp>,
}

/// The configured lifetimes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LifetimeRules {
    pub(crate) idle: Option<Duration>,
    pub(crate) absolute: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) touch_interval: Option<Duration>,
    /// The configured Max-Age of the cookie.
    pub(crate) cookie_max_age: Option<Duration>,
    /// Whether the driver can touch entries and reports when they expire.
    pub(crate) can_touch: bool,
}

impl LifetimeRules {
    /// The lifetime of a session that is created `now`.
    pub(crate) fn begin(&self, now: Timestamp) -> RecordLifetime {
        RecordLifetime {
            created: now,
            deadline: self.absolute.map(|absolute| now.saturating_add(absolute)),
            own_deadline: false,
            idle: Timeout::Configured,
            persistent: false,
            renewed: None,
        }
    }

    /// When a session expires regardless of activity.
    ///
    /// A configured timeout that is lower now than when the session was created holds for it as well.
    pub(crate) fn deadline_of(&self, lifetime: &RecordLifetime) -> Option<Timestamp> {
        let limit = match lifetime.own_deadline {
            true => self.max_lifetime,
            false => self.absolute,
        };
        let limit = limit.map(|limit| lifetime.created.saturating_add(limit));
        earlier(lifetime.deadline, limit)
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
        let deadline = lifetime.and_then(|lifetime| self.deadline_of(lifetime));
        let values = last_value_expiry.map(|expiry| expiry.saturating_add(SLACK));
        earlier(earlier(idle, deadline), values)
    }

    /// Whether the expiry of a record should be renewed from `current` to `wanted`.
    pub(crate) fn touch_is_due(
        &self,
        lifetime: &RecordLifetime,
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
                moved >= self.touch_interval(lifetime)
            }
        }
    }

    /// How far an expiry must move before a touch is worth its cost: the configured interval, or else a twentieth of the
    /// idle timeout, at most an hour.
    fn touch_interval(&self, lifetime: &RecordLifetime) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60 * 60);
        let idle = self.idle_of(Some(lifetime)).unwrap_or(Duration::MAX);
        match self.touch_interval {
            // With a longer interval, a session in use could expire.
            Some(interval) => interval.min(idle / 2),
            None => (idle / 20).min(LONGEST),
        }
    }

    /// How long after a renewal the record is written again with the time of its renewal; `None` if it need not be.
    ///
    /// A driver that cannot touch, or does not report when entries expire, needs that to keep a session that is only read.
    /// So does a cookie with a Max-Age, which only a successful renewal may send again.
    pub(crate) fn stamp_interval(&self, lifetime: &RecordLifetime) -> Option<Duration> {
        let idle = self.idle_of(Some(lifetime));
        let max_age = match (lifetime.persistent, idle, self.deadline_of(lifetime)) {
            (true, None, None) => Some(LONGEST_MAX_AGE),
            // The cookie lasts as long as the record, and is renewed with it.
            (true, _, _) => None,
            (false, _, _) => self.cookie_max_age,
        };
        let cookie = max_age.map(|max_age| max_age / 4);
        let driver = idle.filter(|_| !self.can_touch).map(|idle| idle / 2);
        let due = shorter(cookie, driver)?;
        // One renewal serves both.
        let touch = idle
            .filter(|_| self.can_touch)
            .map(|_| self.touch_interval(lifetime));
        shorter(Some(due), touch)
    }
}

/// Browsers cut a Max-Age to 400 days, which is what a cookie without a limit asks for.
pub(crate) const LONGEST_MAX_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

impl RecordLifetime {
    /// Applies the lifetime that `set_lifetime` asked for.
    pub(crate) fn with(self, asked: &Lifetime, rules: &LifetimeRules, now: Timestamp) -> Self {
        Self {
            created: self.created,
            idle: asked.idle,
            deadline: match asked.absolute {
                Timeout::Configured => rules.begin(self.created).deadline,
                Timeout::Never => None,
                Timeout::After(absolute) => Some(now.saturating_add(absolute)),
            },
            own_deadline: asked.absolute != Timeout::Configured,
            persistent: asked.persistent,
            renewed: self.renewed,
        }
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (time, None) | (None, time) => time,
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
            max_lifetime: None,
            touch_interval: None,
            cookie_max_age: None,
            can_touch: true,
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
        let lifetime = rules().begin(Timestamp::from_millis(0));
        let expiry = Timestamp::from_millis(0).saturating_add(20 * HOUR);
        let later = |minutes: u64| expiry.saturating_add(Duration::from_secs(60 * minutes));
        assert!(!rules().touch_is_due(&lifetime, Some(expiry), Some(later(59))));
        assert!(rules().touch_is_due(&lifetime, Some(expiry), Some(later(60))));
    }

    #[test]
    fn a_record_without_expiry_is_given_one() {
        let lifetime = rules().begin(Timestamp::from_millis(0));
        let expiry = Timestamp::from_millis(1);
        assert!(rules().touch_is_due(&lifetime, None, Some(expiry)));
        assert!(!rules().touch_is_due(&lifetime, None, None));
    }

    #[test]
    fn a_configured_limit_that_was_lowered_holds_for_sessions_that_exist() {
        let start = Timestamp::from_millis(0);
        let stored = rules().begin(start);
        let lower = LifetimeRules {
            absolute: Some(8 * HOUR),
            max_lifetime: Some(20 * HOUR),
            ..rules()
        };
        let after = |hours: u32| Some(start.saturating_add(HOUR * hours));
        assert_eq!(lower.deadline_of(&stored), after(8));

        let own = Lifetime::idle(HOUR).with_absolute(15 * HOUR);
        let own = stored.with(&own, &rules(), start);
        assert_eq!(lower.deadline_of(&own), after(15));
        let own = stored.with(
            &Lifetime::idle(HOUR).with_absolute(25 * HOUR),
            &rules(),
            start,
        );
        assert_eq!(lower.deadline_of(&own), after(20));
        let own = stored.with(&Lifetime::idle(HOUR).with_absolute(None), &rules(), start);
        assert_eq!(lower.deadline_of(&own), after(20));
        assert_eq!(rules().deadline_of(&own), None);
    }

    #[test]
    fn a_cookie_with_a_max_age_is_renewed_four_times_within_it() {
        let lifetime = rules().begin(Timestamp::from_millis(0));
        let with = |max_age: u64| {
            let rules = LifetimeRules {
                cookie_max_age: Some(Duration::from_secs(max_age)),
                ..rules()
            };
            rules.stamp_interval(&lifetime)
        };
        assert_eq!(with(1_800), Some(Duration::from_secs(450)));
        assert_eq!(
            with(30 * 24 * 3_600),
            Some(HOUR),
            "with the touch of the record"
        );
        assert_eq!(rules().stamp_interval(&lifetime), None);
    }

    #[test]
    fn a_driver_that_cannot_touch_renews_at_half_of_the_idle_timeout() {
        let rules = LifetimeRules {
            can_touch: false,
            ..rules()
        };
        let lifetime = rules.begin(Timestamp::from_millis(0));
        assert_eq!(rules.stamp_interval(&lifetime), Some(10 * HOUR));
    }
}
