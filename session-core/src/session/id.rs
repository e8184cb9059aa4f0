use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::{Error, ErrorKind, Fingerprint, Key, Result};

const LENGTH: usize = 36;

/// The id of a session: a version 4 UUID in text form, and a secret.
///
/// ```
/// use session_core::session::SessionId;
///
/// let id: SessionId = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d".parse()?;
/// assert_eq!(id.expose(), "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d");
/// assert!("../etc/passwd".parse::<SessionId>().is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// Whoever has the id has the session, so `Debug` shows a [`Fingerprint`], there is no `Display`, and the
/// text comes out by [`expose`](Self::expose) only. Upper-case digits are accepted and kept, as Astro
/// does: the key in the store is case-sensitive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId([u8; LENGTH]);

impl SessionId {
    /// A new id from the operating system's random number generator.
    pub fn random() -> Self {
        let mut text = [0; LENGTH];
        uuid::Uuid::new_v4().hyphenated().encode_lower(&mut text);
        Self(text)
    }

    /// The id as text, as it stands in the cookie and in the store.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A mark that identifies the session in logs of this process without giving the id away.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// The key of the session's record, below the driver's base.
    pub(crate) fn key(&self) -> Result<Key> {
        Ok(Key::from_normalised(self.expose()))
    }

    /// A number that differs between most sessions, since ids are random.
    pub(crate) fn spread(&self) -> u32 {
        // An odd number without a pattern, which spreads what differs over the upper half.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let last = self
            .0
            .last_chunk()
            .map_or(0, |last| u64::from_le_bytes(*last));
        (last.wrapping_mul(SPREAD) >> 32) as u32
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text: [u8; LENGTH] = bytes.try_into().ok()?;
        let dashes = [text[8], text[13], text[18], text[23]] == *b"----";
        let version = text[14] == b'4';
        let variant = matches!(text[19], b'8' | b'9' | b'a' | b'b' | b'A' | b'B');
        let mut digits = text;
        (digits[8], digits[13], digits[18], digits[23]) = (b'0', b'0', b'0', b'0');
        // Eight at a time, some of the last again.
        let (words, _) = digits.as_chunks::<8>();
        let all_digits = words.iter().chain(digits.last_chunk::<8>()).all(are_digits);
        (dashes && version && variant && all_digits).then_some(Self(text))
    }
}

/// Whether all of these are hexadecimal digits.
#[inline]
fn are_digits(text: &[u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let text = u64::from_ne_bytes(*text);
    // Of bytes below 0x80, so that no sum carries into the next.
    let low = text & !HIGHS;
    // The high bit of each byte that is not below `first`.
    let from = |bytes: u64, first: u8| bytes + ONES * u64::from(0x80 - first);
    let decimal = from(low, b'0') & !from(low, b'9' + 1);
    let lower = low | (ONES * 0x20);
    let letter = from(lower, b'a') & !from(lower, b'f' + 1);
    (decimal | letter) & !text & HIGHS == HIGHS
}

impl Hash for SessionId {
    /// Of the digits that are random, as many as tell sessions apart.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let last = self.0.last_chunk().copied().unwrap_or_default();
        state.write_u128(u128::from_le_bytes(last));
    }
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes()).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidKey,
                "a session id is a version 4 UUID in its text form of 36 characters",
            )
        })
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_id_is_a_valid_one() {
        let id = SessionId::random();
        assert_eq!(SessionId::from_str(id.expose()).unwrap(), id);
        assert_ne!(id, SessionId::random());
    }

    #[test]
    fn only_version_4_uuids_are_ids() {
        for text in [
            "",
            "6f1c2d34-5e6f-1a7b-8c9d-0e1f2a3b4c5d",
            "6f1c2d34-5e6f-4a7b-cc9d-0e1f2a3b4c5d",
            "6f1c2d345e6f4a7b8c9d0e1f2a3b4c5d0000",
            "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d0",
            "zf1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
        ] {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
        assert!(
            "6F1C2D34-5E6F-4A7B-8C9D-0E1F2A3B4C5D"
                .parse::<SessionId>()
                .is_ok()
        );
    }

    #[test]
    fn every_place_takes_hexadecimal_digits_and_nothing_else() {
        for place in (0..LENGTH).filter(|place| ![8, 13, 14, 18, 19, 23].contains(place)) {
            for byte in 0..=u8::MAX {
                let mut text = *b"6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";
                text[place] = byte;
                let is_id = SessionId::parse(&text).is_some();
                assert_eq!(is_id, byte.is_ascii_hexdigit(), "{byte} at {place}");
            }
        }
    }

    #[test]
    fn debug_does_not_show_the_id() {
        let id = SessionId::random();
        assert!(!format!("{id:?}").contains(id.expose()));
    }
}
