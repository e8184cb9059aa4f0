//! Counts how often something happens, to raise an alarm when it happens often.

use std::time::Duration;

use parking_lot::Mutex;

use crate::Timestamp;

const WINDOW: Duration = Duration::from_secs(60);
const OFTEN: u32 = 10;

/// Notices ten cases within a minute.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    started: Option<Timestamp>,
    count: u32,
}

impl Alarm {
    /// Counts one case. Returns how many there were in this minute when there were ten, once a minute.
    pub(crate) fn count(&self, now: Timestamp) -> Option<u32> {
        let mut window = self.0.lock();
        let is_over = |started| now.saturating_since(started) >= WINDOW || now < started;
        if window.started.is_none_or(is_over) {
            *window = Window {
                started: Some(now),
                count: 0,
            };
        }
        window.count = window.count.saturating_add(1);
        (window.count == OFTEN).then_some(window.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_cases_in_a_minute_raise_one_alarm() {
        let alarm = Alarm::default();
        let start = Timestamp::from_millis(1_000_000);
        let raised = |from: Timestamp, cases: usize| {
            (0..cases).filter(|_| alarm.count(from).is_some()).count()
        };
        assert_eq!(raised(start, 9), 0);
        let later = start.saturating_add(WINDOW);
        assert_eq!(raised(later, 9), 0);
        assert_eq!(raised(later, 90), 1);
    }
}
