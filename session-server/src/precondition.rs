//! Conditional requests: entity tags made from versions, and the headers `If-Match` and `If-None-Match`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use session_core::Version;
use sha2::{Digest, Sha256};

use crate::response::Rejection;

/// The length of a hash. Versions of this length or more are hashed, because some are as long as the value.
const HASH_LENGTH: usize = 32;

/// The condition of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Unconditional.
    None,
    /// The item must not exist.
    Absent,
    /// The item must have this tag.
    Match(EntityTag),
}

/// An entity tag: a version, or a hash of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag(Vec<u8>);

impl EntityTag {
    pub(crate) fn of(version: &Version) -> Self {
        let bytes = version.as_bytes();
        match bytes.len() < HASH_LENGTH {
            true => Self(bytes.to_vec()),
            false => Self(Sha256::digest(bytes).to_vec()),
        }
    }

    /// The version, unless the tag is a hash of it.
    pub(crate) fn version(&self) -> Option<Version> {
        (self.0.len() < HASH_LENGTH).then(|| Version::from_bytes(&self.0))
    }

    fn read(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?.trim();
        let text = text.strip_prefix('"')?.strip_suffix('"')?;
        URL_SAFE_NO_PAD.decode(text).ok().map(Self)
    }
}

/// Adds the header with the entity tag of `version`.
pub(crate) fn insert_entity_tag(headers: &mut HeaderMap, version: Option<&Version>) {
    let text =
        version.map(|version| format!("\"{}\"", URL_SAFE_NO_PAD.encode(EntityTag::of(version).0)));
    if let Some(tag) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(ETAG, tag);
    }
}

impl Precondition {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        match (headers.get(IF_MATCH), headers.get(IF_NONE_MATCH)) {
            (None, None) => Ok(Self::None),
            (Some(tag), None) => match EntityTag::read(tag) {
                Some(tag) => Ok(Self::Match(tag)),
                None => Err(Rejection::bad_request(
                    "If-Match must have one entity tag of this server",
                )),
            },
            (None, Some(tag)) if tag == "*" => Ok(Self::Absent),
            _ => Err(Rejection::bad_request(
                "a change can have either If-Match with an entity tag, or If-None-Match with `*`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag_of(version: &Version) -> HeaderValue {
        let mut headers = HeaderMap::new();
        insert_entity_tag(&mut headers, Some(version));
        headers.remove(ETAG).unwrap()
    }

    #[test]
    fn a_short_version_is_the_tag_and_a_long_one_is_hashed() {
        for length in [0, 1, 8, 31] {
            let version = Version::from_bytes(&vec![0xff; length]);
            let tag = EntityTag::read(&tag_of(&version)).unwrap();
            assert_eq!(tag.version(), Some(version));
        }
        for length in [32, 33, 1_000_000] {
            let version = Version::from_bytes(&vec![0xff; length]);
            let tag = EntityTag::read(&tag_of(&version)).unwrap();
            assert_eq!(tag, EntityTag::of(&version));
            assert_eq!(tag.version(), None);
            assert!(tag_of(&version).len() < 50);
        }
        let (one, other) = (Version::from_bytes(&[1; 40]), Version::from_bytes(&[2; 40]));
        assert_ne!(EntityTag::of(&one), EntityTag::of(&other));
    }

    #[test]
    fn an_invalid_condition_is_rejected() {
        let of = |pairs: &[(http::HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            Precondition::of(
                &pairs
                    .map(|(name, value)| (name, HeaderValue::from_static(value)))
                    .collect(),
            )
        };
        assert_eq!(of(&[]).unwrap(), Precondition::None);
        assert_eq!(of(&[(IF_NONE_MATCH, "*")]).unwrap(), Precondition::Absent);
        let tag = Precondition::Match(EntityTag(vec![7]));
        assert_eq!(of(&[(IF_MATCH, "\"Bw\"")]).unwrap(), tag);
        for wrong in [
            &[(IF_MATCH, "*")][..],
            &[(IF_MATCH, "Bw")],
            &[(IF_MATCH, "W/\"Bw\"")],
            &[(IF_MATCH, "\"Bw\", \"Bx\"")],
            &[(IF_MATCH, "\"not base64!\"")],
            &[(IF_NONE_MATCH, "\"Bw\"")],
            &[(IF_MATCH, "\"Bw\""), (IF_NONE_MATCH, "*")],
        ] {
            assert_eq!(
                of(wrong).unwrap_err().into_response().status(),
                400,
                "{wrong:?}"
            );
        }
    }
}
