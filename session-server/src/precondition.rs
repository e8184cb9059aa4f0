//! Conditions of changes: entity tags made of versions, and what `If-Match` and `If-None-Match` say of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use session_core::Version;
use sha2::{Digest, Sha256};

use crate::answer::Refusal;

/// As long as a hash is: versions are made shorter by one from here on, for some are the value itself.
const HASHED: usize = 32;

/// What a change asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// Nothing.
    None,
    /// That no item is there.
    Absent,
    /// That the item has this tag.
    Match(Tag),
}

/// A version as an entity tag has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(Vec<u8>);

impl Tag {
    pub(crate) fn of(version: &Version) -> Self {
        let bytes = version.as_bytes();
        match bytes.len() < HASHED {
            true => Self(bytes.to_vec()),
            false => Self(Sha256::digest(bytes).to_vec()),
        }
    }

    /// The version, unless the tag is a hash of it.
    pub(crate) fn version(&self) -> Option<Version> {
        (self.0.len() < HASHED).then(|| Version::from_bytes(&self.0))
    }

    fn read(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?.trim();
        let text = text.strip_prefix('"')?.strip_suffix('"')?;
        URL_SAFE_NO_PAD.decode(text).ok().map(Self)
    }
}

/// Adds the entity tag of `version`.
pub(crate) fn describe(headers: &mut HeaderMap, version: Option<&Version>) {
    let text = version.map(|version| format!("\"{}\"", URL_SAFE_NO_PAD.encode(Tag::of(version).0)));
    if let Some(tag) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(ETAG, tag);
    }
}

impl Precondition {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        match (headers.get(IF_MATCH), headers.get(IF_NONE_MATCH)) {
            (None, None) => Ok(Self::None),
            (Some(tag), None) => match Tag::read(tag) {
                Some(tag) => Ok(Self::Match(tag)),
                None => Err(Refusal::bad_request(
                    "If-Match takes one entity tag of this server",
                )),
            },
            (None, Some(tag)) if tag == "*" => Ok(Self::Absent),
            _ => Err(Refusal::bad_request(
                "a change takes either If-Match with an entity tag, or If-None-Match with `*`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag_of(version: &Version) -> HeaderValue {
        let mut headers = HeaderMap::new();
        describe(&mut headers, Some(version));
        headers.remove(ETAG).unwrap()
    }

    #[test]
    fn a_short_version_is_its_tag_and_a_long_one_is_hashed() {
        for length in [0, 1, 8, 31] {
            let version = Version::from_bytes(&vec![0xff; length]);
            let tag = Tag::read(&tag_of(&version)).unwrap();
            assert_eq!(tag.version(), Some(version));
        }
        for length in [32, 33, 1_000_000] {
            let version = Version::from_bytes(&vec![0xff; length]);
            let tag = Tag::read(&tag_of(&version)).unwrap();
            assert_eq!(tag, Tag::of(&version));
            assert_eq!(tag.version(), None);
            assert!(tag_of(&version).len() < 50);
        }
        let (one, other) = (Version::from_bytes(&[1; 40]), Version::from_bytes(&[2; 40]));
        assert_ne!(Tag::of(&one), Tag::of(&other));
    }

    #[test]
    fn what_is_no_condition_of_a_change_is_refused() {
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
        let tag = Precondition::Match(Tag(vec![7]));
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
