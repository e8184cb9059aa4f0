use std::fmt;
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
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text: [u8; LENGTH] = bytes.try_into().ok()?;
        let dashes = [text[8], text[13], text[18], text[23]] == *b"----";
        let version = text[14] == b'4';
        let variant = matches!(text[19], b'8' | b'9' | b'a' | b'b' | b'A' | b'B');
        // A dash is no digit, so that all else is.
        let digits = text
            .iter()
            .map(|byte| u8::from(byte.is_ascii_hexdigit()))
            .sum::<u8>();
        let valid = dashes && version && variant && digits == 32;
        valid.then_some(Self(text))
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
    fn debug_does_not_show_the_id() {
        let id = SessionId::random();
        assert!(!format!("{id:?}").contains(id.expose()));
    }
}
