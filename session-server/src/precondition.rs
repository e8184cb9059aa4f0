//! Conditional requests: entity tags made from versions, and the headers `If-Match` and `If-None-Match`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use session_core::{Key, Version};
use sha2::{Digest, Sha256};

use crate::response::Rejection;

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

/// An entity tag: a hash of a version, which may be the stored value itself.
///
/// The key is hashed too, so that equal values of several items are not seen to be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag(Vec<u8>);

impl EntityTag {
    pub(crate) fn of(key: &Key, version: &Version) -> Self {
        let hash = Sha256::new()
            .chain_update((key.as_bytes().len() as u64).to_be_bytes())
            .chain_update(key.as_bytes())
            .chain_update(version.as_bytes());
        Self(hash.finalize().to_vec())
    }

    fn read(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?.trim();
        let text = text.strip_prefix('"')?.strip_suffix('"')?;
        URL_SAFE_NO_PAD.decode(text).ok().map(Self)
    }
}

/// Adds the header with the entity tag of a version of `key`.
pub(crate) fn insert_entity_tag(headers: &mut HeaderMap, key: &Key, version: Option<&Version>) {
    let tag = version.map(|version| URL_SAFE_NO_PAD.encode(EntityTag::of(key, version).0));
    let tag = tag.and_then(|tag| HeaderValue::try_from(format!("\"{tag}\"")).ok());
    if let Some(tag) = tag {
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

    fn tag_of(key: &str, version: &[u8]) -> HeaderValue {
        let key = Key::new(key).unwrap();
        let mut headers = HeaderMap::new();
        insert_entity_tag(&mut headers, &key, Some(&Version::from_bytes(version)));
        headers.remove(ETAG).unwrap()
    }

    #[test]
    fn a_tag_is_a_hash_whatever_the_length_of_the_version() {
        for length in [0, 1, 8, 31, 32, 1_000_000] {
            let version = vec![b'a'; length];
            let tag = tag_of("k", &version);
            assert_eq!(tag.len(), 45);
            let read = EntityTag::read(&tag).unwrap();
            let version = Version::from_bytes(&version);
            assert_eq!(read, EntityTag::of(&Key::new("k").unwrap(), &version));
        }
        assert_ne!(tag_of("k", b"1"), tag_of("k", b"2"));
        assert_ne!(tag_of("k", b"1"), tag_of("other", b"1"));
        assert_ne!(tag_of("k", b"11"), tag_of("k1", b"1"));
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
