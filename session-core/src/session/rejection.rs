use std::fmt;

/// Why a cookie that should contain a session was rejected.
///
/// The visitor then has an empty session. The manager's hook gets a
/// [`SessionEvent::CookieRejected`](super::SessionEvent::CookieRejected).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CookieRejection {
    /// It is not a session cookie: truncated, of another shape, or too long.
    Malformed,
    /// It was written by an unknown version of this crate, or in a format that is not accepted.
    UnknownFormat,
    /// It was changed, sealed with a secret that is not configured, or sealed for a cookie with another name.
    Forged,
    /// It has expired.
    Expired,
    /// Some of the cookies that it was split over are missing.
    Incomplete,
}

impl fmt::Display for CookieRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is malformed",
            Self::UnknownFormat => "its format is not accepted here",
            Self::Forged => "no configured secret opens it",
            Self::Expired => "it has expired",
            Self::Incomplete => "parts of it are missing",
        })
    }
}
