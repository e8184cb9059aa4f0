//! The stored form of an expiry.

use session_core::Timestamp;
use sha2::{Digest as _, Sha256};

const DIGEST: usize = 16;

/// The length of a stored tag.
const LENGTH: usize = DIGEST + 8;

/// How many tags are stored together at most.
const MOST: usize = 2;

/// The longest stored form.
pub(crate) const LONGEST: usize = LENGTH * MOST;

/// The expiry of an entry, bound to its value: half a SHA-256 of the value, and the expiry in milliseconds since 1970.
///
/// It is ignored for any other value, so a value that a foreign writer puts into the same file has no expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpiryTag {
    digest: [u8; DIGEST],
    expires_at: Option<Timestamp>,
}

impl ExpiryTag {
    pub(crate) fn new(value: &[u8], expires_at: Option<Timestamp>) -> Self {
        Self {
            digest: digest(value),
            expires_at,
        }
    }

    /// The expiry.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// The tags of an entry: one, or two if one of them is for a value that is about to be written. A tag counts only if
/// it matches the value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExpiryTags([Option<ExpiryTag>; MOST]);

impl ExpiryTags {
    pub(crate) fn one(tag: ExpiryTag) -> Self {
        Self([Some(tag), None])
    }

    /// `first` is for the value that is about to be written, and `then` for the current one.
    pub(crate) fn before(first: ExpiryTag, then: Option<ExpiryTag>) -> Self {
        Self([Some(first), then])
    }

    /// The tag of `value`, if there is one.
    pub(crate) fn of(&self, value: &[u8]) -> Option<ExpiryTag> {
        if self.0.iter().all(Option::is_none) {
            return None;
        }
        let digest = digest(value);
        let mut tags = self.0.iter().flatten();
        tags.find(|tag| tag.digest == digest).copied()
    }

    /// Whether there is no tag, for any value.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether one of these tags is expired. Whether the entry is depends on its value.
    pub(crate) fn may_be_expired(&self, now: Timestamp) -> bool {
        self.0.iter().flatten().any(|tag| tag.is_expired(now))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LONGEST);
        for tag in self.0.iter().flatten() {
            bytes.extend_from_slice(&tag.digest);
            let expires_at = tag.expires_at.map_or(u64::MAX, Timestamp::as_millis);
            bytes.extend_from_slice(&expires_at.to_be_bytes());
        }
        bytes
    }

    /// Bytes that this driver did not write give no tags.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let mut tags = Self::default();
        for (tag, bytes) in tags.0.iter_mut().zip(bytes.chunks_exact(LENGTH)) {
            let (Some(digest), Some(expires_at)) = (bytes.first_chunk(), bytes.last_chunk()) else {
                continue;
            };
            let expires_at = u64::from_be_bytes(*expires_at);
            *tag = Some(ExpiryTag {
                digest: *digest,
                expires_at: (expires_at != u64::MAX).then(|| Timestamp::from_millis(expires_at)),
            });
        }
        tags
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
    fn a_tag_holds_only_for_its_value() {
        let expires_at = Some(Timestamp::from_millis(5));
        let tags = ExpiryTags::one(ExpiryTag::new(b"ours", expires_at));
        let tags = ExpiryTags::decode(&tags.encode());
        assert_eq!(tags.of(b"ours").unwrap().expires_at(), expires_at);
        assert_eq!(tags.of(b"them"), None);
    }

    #[test]
    fn the_first_of_two_for_one_value_counts() {
        let (new, old) = (
            ExpiryTag::new(b"same", None),
            ExpiryTag::new(b"same", Some(Timestamp::from_millis(5))),
        );
        let tags = ExpiryTags::decode(&ExpiryTags::before(new, Some(old)).encode());
        assert_eq!(tags.of(b"same"), Some(new));
    }

    #[test]
    fn other_bytes_give_no_tag() {
        assert!(ExpiryTags::decode(b"").is_empty());
        assert!(ExpiryTags::decode(b"theirs").is_empty());
        assert_eq!(ExpiryTags::decode(&[0xff; 1_000]).of(b"x"), None);
    }
}
