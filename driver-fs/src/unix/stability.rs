//! Waits until a foreign writer has finished a value.

use std::time::Duration;

use bytes::Bytes;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How many equal reads in a row make a value stable.
const READS_ALIKE: u32 = 3;

/// How often a file is read at most, which takes a little more than a second; and how often if it keeps changing and
/// is empty in the end.
const READS: u32 = 26;
const MOST_READS: u32 = 2 * READS;

/// Reads a file until its value is stable, since a foreign writer empties a file before it writes the value.
#[derive(Default)]
pub(crate) struct StabilityCheck {
    reads: u32,
    alike: u32,
    last: Option<Bytes>,
}

impl StabilityCheck {
    /// How long to wait before the next read, or `None` if `value` is accepted.
    pub(crate) fn pause_before_next_read(&mut self, value: &Bytes) -> Option<Duration> {
        self.alike = match self.last.as_ref() == Some(value) {
            true => self.alike + 1,
            false => 1,
        };
        let is_alike = self.alike >= READS_ALIKE;
        let is_last = self.reads + 1 >= READS;
        // An empty value means that the writer has only begun. It is accepted by its age, within all reads.
        let is_accepted = match value.is_empty() {
            true => is_last && is_alike,
            false => is_last || is_alike,
        };
        if is_accepted || self.reads + 1 >= MOST_READS {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.reads.min(10));
        self.reads += 1;
        self.last = Some(value.clone());
        Some(pause.min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_accepted_when_it_stays_the_same() {
        let mut stability = StabilityCheck::default();
        for unsure in ["ha", "half", "half", "whole", "whole"] {
            assert!(stability.pause_before_next_read(&unsure.into()).is_some());
        }
        assert!(stability.pause_before_next_read(&"whole".into()).is_none());
    }

    #[test]
    fn an_empty_value_among_others_is_not_accepted() {
        let mut stability = StabilityCheck::default();
        for number in 1..READS {
            let other = number.to_string().into();
            assert!(stability.pause_before_next_read(&other).is_some());
        }
        assert!(stability.pause_before_next_read(&Bytes::new()).is_some());
        assert!(stability.pause_before_next_read(&"whole".into()).is_none());
    }

    #[test]
    fn an_empty_value_is_accepted_after_a_while() {
        let mut stability = StabilityCheck::default();
        let pauses = std::iter::from_fn(|| stability.pause_before_next_read(&Bytes::new()));
        let waited: Duration = pauses.sum();
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
        assert!(waited <= Duration::from_secs(2), "{waited:?}");
    }
}
