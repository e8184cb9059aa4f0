//! What stays under the id of a session that has moved to another id.
//!
//! A tombstone is one JavaScript number: `0e`, then a digit for its [`MoveKind`], then the store key of each successor.
//! Each byte of a key is three decimal digits, and keys are separated by `000`. The number is zero, so Astro and
//! unstorage read a tombstone as "no session".

use smallvec::SmallVec;

use super::SessionId;
use crate::Bytes;

/// Two logins at once leave two successors; more are not recorded.
const MOST_SUCCESSORS: usize = 4;
const PREFIX: &[u8] = b"0e";
const SEPARATOR: &str = "000";

/// Why a session has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MoveKind {
    /// By `regenerate`. Requests with the old id see an empty session.
    Regenerated,
    /// By `rotate`. Requests with the old id follow it to the new id.
    Rotated,
}

/// The mark of a session that has moved, which names what it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tombstone {
    pub(crate) kind: MoveKind,
    pub(crate) successors: SmallVec<[SessionId; 1]>,
}

impl Tombstone {
    pub(crate) fn new(kind: MoveKind, successor: SessionId) -> Self {
        Self {
            kind,
            successors: SmallVec::from_slice(&[successor]),
        }
    }

    /// The same tombstone with one more successor, if it has room for one.
    pub(crate) fn with_successor(&self, successor: SessionId) -> Option<Self> {
        if self.successors.len() >= MOST_SUCCESSORS {
            return None;
        }
        let mut more = self.clone();
        more.successors.push(successor);
        Some(more)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut text = String::from("0e");
        text.push(match self.kind {
            MoveKind::Regenerated => '1',
            MoveKind::Rotated => '2',
        });
        for (index, successor) in self.successors.iter().enumerate() {
            if index > 0 {
                text.push_str(SEPARATOR);
            }
            for byte in successor.expose().bytes() {
                text.push_str(&format!("{byte:03}"));
            }
        }
        Bytes::from(text)
    }

    /// Parses a stored text; `None` if it is not a tombstone.
    ///
    /// Successors that are not session ids are left out.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, digits) = bytes.strip_prefix(PREFIX)?.split_first()?;
        let kind = match kind {
            b'1' => MoveKind::Regenerated,
            b'2' => MoveKind::Rotated,
            _ => return None,
        };
        let mut keys = Vec::new();
        for digits in digits.chunks(SEPARATOR.len()) {
            // At most four keys of 36 bytes.
            if keys.len() > 256 || !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            keys.push(std::str::from_utf8(digits).ok()?.parse::<u8>().ok()?);
        }
        let successors = keys.split(|byte| *byte == 0).filter_map(SessionId::parse);
        Some(Self {
            kind,
            successors: successors.take(MOST_SUCCESSORS).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_is_read_back_with_its_successors() {
        for kind in [MoveKind::Regenerated, MoveKind::Rotated] {
            let one = Tombstone::new(kind, SessionId::random());
            let two = one.with_successor(SessionId::random()).unwrap();
            for tombstone in [one, two] {
                assert_eq!(Tombstone::parse(&tombstone.encode()), Some(tombstone));
            }
        }
    }

    #[test]
    fn a_tombstone_is_a_number_that_is_zero() {
        let mut tombstone = Tombstone::new(MoveKind::Rotated, SessionId::random());
        while let Some(more) = tombstone.with_successor(SessionId::random()) {
            tombstone = more;
        }
        let text = tombstone.encode();
        let number: f64 = std::str::from_utf8(&text).unwrap().parse().unwrap();
        assert!(number == 0.0);
        assert_eq!(Tombstone::parse(&text).unwrap().successors.len(), 4);
    }

    #[test]
    fn other_texts_are_no_tombstones() {
        for text in [
            "", "0", "null", "0e", "0e3", "0e1x", "0e1999", "0e1+01", "[[]]",
        ] {
            assert_eq!(Tombstone::parse(text.as_bytes()), None, "{text}");
        }
        let long = format!("0e1{}", "048".repeat(100_000));
        assert_eq!(Tombstone::parse(long.as_bytes()), None);
        assert!(Tombstone::parse(b"0e1").unwrap().successors.is_empty());
    }
}
