use session_core::Timestamp;
use sha2::{Digest as _, Sha256};

const DIGEST: usize = 16;

/// The length of a stamp as it is stored.
const LENGTH: usize = DIGEST + 8;

/// As many as are stored together at most.
const MOST: usize = 2;

/// The longest that is stored.
pub(crate) const LONGEST: usize = LENGTH * MOST;

/// The end of an entry, bound to the value that it was written for: half a SHA-256 of the value, and the end in
/// milliseconds since 1970.
///
/// Over any other value it says nothing, so what a foreign writer puts into the same file has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    digest: [u8; DIGEST],
    expires_at: Option<Timestamp>,
}

impl Stamp {
    pub(crate) fn new(value: &[u8], expires_at: Option<Timestamp>) -> Self {
        Self {
            digest: digest(value),
            expires_at,
        }
    }

    /// This end for another time.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// What stands beside a value: a stamp, or two where one is for the value to come. It is no more than a claim
/// until a value is held against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamps([Option<Stamp>; MOST]);

impl Stamps {
    pub(crate) fn one(stamp: Stamp) -> Self {
        Self([Some(stamp), None])
    }

    /// `first` goes before what is there for another value.
    pub(crate) fn before(first: Stamp, then: Option<Stamp>) -> Self {
        Self([Some(first), then])
    }

    /// The stamp of `value`, if there is one.
    pub(crate) fn of(&self, value: &[u8]) -> Option<Stamp> {
        if self.0.iter().all(Option::is_none) {
            return None;
        }
        let digest = digest(value);
        let mut stamps = self.0.iter().flatten();
        stamps.find(|stamp| stamp.digest == digest).copied()
    }

    /// Whether there is one for any value.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether an entry with one of these may have ended; its value has to tell.
    pub(crate) fn may_have_ended(&self, now: Timestamp) -> bool {
        self.0.iter().flatten().any(|stamp| stamp.has_ended(now))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LONGEST);
        for stamp in self.0.iter().flatten() {
            bytes.extend_from_slice(&stamp.digest);
            let end = stamp.expires_at.map_or(u64::MAX, Timestamp::as_millis);
            bytes.extend_from_slice(&end.to_be_bytes());
        }
        bytes
    }

    /// What is no stamp of ours is none.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let mut stamps = Self::default();
        for (stamp, bytes) in stamps.0.iter_mut().zip(bytes.chunks_exact(LENGTH)) {
            let (Some(digest), Some(end)) = (bytes.first_chunk(), bytes.last_chunk()) else {
                continue;
            };
            let end = u64::from_be_bytes(*end);
            *stamp = Some(Stamp {
                digest: *digest,
                expires_at: (end != u64::MAX).then(|| Timestamp::from_millis(end)),
            });
        }
        stamps
    }
}

fn digest(value: &[u8]) -> [u8; DIGEST] {
    let whole = Sha256::digest(value);
    let mut half = [0; DIGEST];
    for (byte, of_whole) in half.iter_mut().zip(whole) {
        *byte = of_whole;
    }
    half
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_for_its_value_alone() {
        let end = Some(Timestamp::from_millis(5));
        let stamps = Stamps::one(Stamp::new(b"ours", end));
        let stamps = Stamps::decode(&stamps.encode());
        assert_eq!(stamps.of(b"ours").unwrap().expires_at(), end);
        assert_eq!(stamps.of(b"them"), None);
    }

    #[test]
    fn the_first_of_two_for_one_value_counts() {
        let (new, old) = (
            Stamp::new(b"same", None),
            Stamp::new(b"same", Some(Timestamp::from_millis(5))),
        );
        let stamps = Stamps::decode(&Stamps::before(new, Some(old)).encode());
        assert_eq!(stamps.of(b"same"), Some(new));
    }

    #[test]
    fn what_is_no_stamp_is_none() {
        assert!(Stamps::decode(b"").is_empty());
        assert!(Stamps::decode(b"theirs").is_empty());
        assert_eq!(Stamps::decode(&[0xff; 1_000]).of(b"x"), None);
    }
}
