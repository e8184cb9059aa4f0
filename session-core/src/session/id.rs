//! The id of a session.

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
/// The id is all that a visitor needs to use the session. So `Debug` shows a [`Fingerprint`], there is no `Display`, and
/// only [`expose`](Self::expose) returns the text. Upper-case digits are accepted and not converted, as in Astro, since
/// keys are case-sensitive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId([u8; LENGTH]);

impl SessionId {
    /// Creates a new id with the operating system's random number generator.
    pub fn random() -> Self {
        let mut text = [0; LENGTH];
        uuid::Uuid::new_v4().hyphenated().encode_lower(&mut text);
        Self(text)
    }

    /// Returns the id as text, as in the cookie and in the driver.
    pub fn expose(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Returns a short hash that identifies the session in the logs of this process without revealing the id.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }

    /// The key of the session's record.
    pub(crate) fn key(&self) -> Key {
        Key::of_ascii(&self.0)
    }

    /// Parses the text form of a version 4 UUID. The case of its digits is not changed.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text: [u8; LENGTH] = bytes.try_into().ok()?;
        let uuid = uuid::Uuid::try_parse_ascii(&text).ok()?;
        let is_id = uuid.get_version_num() == 4 && uuid.get_variant() == uuid::Variant::RFC4122;
        is_id.then_some(Self(text))
    }
}

impl Hash for SessionId {
    /// Hashes the last 16 digits, which are random.
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
    fn every_position_takes_hexadecimal_digits_and_nothing_else() {
        for position in (0..LENGTH).filter(|at| ![8, 13, 14, 18, 19, 23].contains(at)) {
            for byte in 0..=u8::MAX {
                let mut text = *b"6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";
                text[position] = byte;
                let is_id = SessionId::parse(&text).is_some();
                assert_eq!(is_id, byte.is_ascii_hexdigit(), "{byte} at {position}");
            }
        }
    }

    #[test]
    fn debug_does_not_show_the_id() {
        let id = SessionId::random();
        assert!(!format!("{id:?}").contains(id.expose()));
    }
}
