use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use session_core::{Clock, SystemClock, Timestamp};

/// Where the driver takes the time from.
#[derive(Clone, Debug)]
pub(crate) enum Time {
    System,
    Given(Arc<dyn Clock>),
}

impl Time {
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::System => SystemClock.now(),
            Self::Given(clock) => clock.now(),
        }
    }
}

/// The time of one operation. It is read when it is first needed, and once: no operation sees two times,
/// and one on an entry that never ends does not pay for any.
pub(crate) struct Now<'a> {
    time: &'a Time,
    exact: OnceCell<Timestamp>,
}

impl<'a> Now<'a> {
    #[inline]
    pub(crate) fn of(time: &'a Time) -> Self {
        Self {
            time,
            exact: OnceCell::new(),
        }
    }

    /// The time of something that goes on for longer and keeps to the time at which it began.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            time: &Time::System,
            exact: OnceCell::from(now),
        }
    }

    #[inline]
    pub(crate) fn get(&self) -> Timestamp {
        *self.exact.get_or_init(|| self.time.now())
    }

    /// Whether `moment` has come. Nearly always it lies so far ahead that a rough look at the clock will do,
    /// which takes a fourth of the time of an exact one; that one alone is half the cost of a read.
    #[inline]
    pub(crate) fn has_reached(&self, moment: Timestamp) -> bool {
        if self.exact.get().is_none()
            && matches!(self.time, Time::System)
            && coarse_now().is_some_and(|coarse| coarse.saturating_add(COARSE_MARGIN) < moment)
        {
            return false;
        }
        moment <= self.get()
    }
}

/// How far the coarse clock may lag behind the exact one, with ample room: the kernel moves it with each
/// timer tick, which is every 10 ms at the least.
const COARSE_MARGIN: Duration = Duration::from_secs(1);

/// The time at the last tick, where the system keeps it.
#[cfg(target_os = "linux")]
fn coarse_now() -> Option<Timestamp> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let millis = u64::try_from(time.tv_nsec).ok()? / 1_000_000;
    Some(Timestamp::from_millis(
        seconds.checked_mul(1_000)?.checked_add(millis)?,
    ))
}

#[cfg(not(target_os = "linux"))]
fn coarse_now() -> Option<Timestamp> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_at_and_after_now_are_told_apart() {
        for time in [Time::System, Time::Given(Arc::new(SystemClock))] {
            let start = Timestamp::now();
            let now = Now::of(&time);
            assert!(now.has_reached(start));
            assert!(!now.has_reached(start.saturating_add(Duration::from_secs(60))));
            assert!(!now.has_reached(Timestamp::from_millis(u64::MAX)));
            assert!(now.has_reached(now.get()));
            assert!(!now.has_reached(now.get().saturating_add(Duration::from_millis(1))));
        }
    }

    #[test]
    fn the_coarse_clock_keeps_to_its_margin() {
        for _ in 0..1_000 {
            let exact = Timestamp::now();
            if let Some(coarse) = coarse_now() {
                assert!(coarse.saturating_add(COARSE_MARGIN) > exact);
                assert!(coarse <= Timestamp::now());
            }
        }
    }
}
