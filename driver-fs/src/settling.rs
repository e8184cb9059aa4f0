use std::time::Duration;

use bytes::Bytes;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How often a value is read that is believed because it stays the same.
const READS_ALIKE: u32 = 3;

/// How often a file is read at all, which takes a little more than a second; and how often one that keeps changing and
/// is empty again the last time.
const READS: u32 = 26;
const MOST_READS: u32 = 2 * READS;

/// The reads of a file that a foreign writer may be in the middle of: what it empties first and fills then is read
/// again until it stays the same.
#[derive(Default)]
pub(crate) struct Settling {
    reads: u32,
    alike: u32,
    last: Option<Bytes>,
}

impl Settling {
    /// How long to wait before the next read, or `None` if `value` is to be believed.
    pub(crate) fn pause_before_believing(&mut self, value: &Bytes) -> Option<Duration> {
        self.alike = match self.last.as_ref() == Some(value) {
            true => self.alike + 1,
            false => 1,
        };
        let is_alike = self.alike >= READS_ALIKE;
        let is_last = self.reads + 1 >= READS;
        // An empty one says only that the writer has begun; its age decides, within all reads.
        let is_believed = match value.is_empty() {
            true => is_last && is_alike,
            false => is_last || is_alike,
        };
        if is_believed || self.reads + 1 >= MOST_READS {
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
    fn a_value_is_believed_when_it_stays_the_same() {
        let mut settling = Settling::default();
        for unsure in ["ha", "half", "half", "whole", "whole"] {
            assert!(settling.pause_before_believing(&unsure.into()).is_some());
        }
        assert!(settling.pause_before_believing(&"whole".into()).is_none());
    }

    #[test]
    fn an_empty_one_among_others_is_not_believed() {
        let mut settling = Settling::default();
        for number in 1..READS {
            let other = number.to_string().into();
            assert!(settling.pause_before_believing(&other).is_some());
        }
        assert!(settling.pause_before_believing(&Bytes::new()).is_some());
        assert!(settling.pause_before_believing(&"whole".into()).is_none());
    }

    #[test]
    fn an_empty_one_is_waited_for_and_not_for_ever() {
        let mut settling = Settling::default();
        let pauses = std::iter::from_fn(|| settling.pause_before_believing(&Bytes::new()));
        let waited: Duration = pauses.sum();
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
        assert!(waited <= Duration::from_secs(2), "{waited:?}");
    }
}
