use std::time::Duration;

use bytes::Bytes;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

/// How often a file is read that others write again and again.
const READS: u32 = 16;

/// The reads of a file that a foreign writer may be in the middle of: what it empties first and fills then is read
/// again until it stays the same.
#[derive(Default)]
pub(crate) struct Settling {
    reads: u32,
    last: Option<Bytes>,
}

impl Settling {
    /// How long to wait before the next read, or `None` if `value` is to be believed.
    pub(crate) fn pause_before_believing(&mut self, value: &Bytes) -> Option<Duration> {
        self.reads += 1;
        let is_same = self.last.as_ref() == Some(value);
        // An empty one says only that the writer has begun; its age decides, within all reads.
        if self.reads >= READS || (is_same && !value.is_empty()) {
            return None;
        }
        self.last = Some(value.clone());
        Some((FIRST_PAUSE * self.reads).min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_believed_when_it_stays_the_same() {
        let mut settling = Settling::default();
        assert!(settling.pause_before_believing(&"ha".into()).is_some());
        assert!(settling.pause_before_believing(&"half".into()).is_some());
        assert!(settling.pause_before_believing(&"half".into()).is_none());
    }

    #[test]
    fn an_empty_one_is_waited_for_and_not_for_ever() {
        let mut settling = Settling::default();
        let pauses = std::iter::from_fn(|| settling.pause_before_believing(&Bytes::new()));
        let waited: Duration = pauses.sum();
        assert!(waited >= Duration::from_millis(100), "{waited:?}");
        assert!(waited <= Duration::from_millis(200), "{waited:?}");
    }
}
