use http_support::{HeaderValue, RequestBuilder, header};
use session_core::{Idempotency, Version};

/// A condition in the form of HTTP headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No condition.
    Always,
    /// The item must be absent.
    Absent,
    /// The item must have this entity tag.
    Tag(HeaderValue),
}

impl Condition {
    /// The condition that the item has `version`; `None` if that is not an entity tag, so that no item can have it.
    pub(crate) fn of(version: &Version) -> Option<Self> {
        let is_tag_byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let quoted = version.as_bytes();
        let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let tag = HeaderValue::from_bytes(quoted).ok()?;
        inner.iter().all(is_tag_byte).then_some(Self::Tag(tag))
    }

    pub(crate) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Always => request,
            Self::Absent => request.header(header::IF_NONE_MATCH, "*"),
            Self::Tag(tag) => request.header(header::IF_MATCH, tag),
        }
    }

    pub(crate) fn repeat(&self) -> Idempotency {
        match self {
            Self::Always => Idempotency::Idempotent,
            Self::Absent | Self::Tag(_) => Idempotency::NonIdempotent,
        }
    }
}
