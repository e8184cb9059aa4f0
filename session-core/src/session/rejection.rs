use std::fmt;

/// Why a cookie that should hold a session is taken as none.
///
/// The visitor then has an empty session; [`SessionEvent::CookieRejected`](super::SessionEvent::CookieRejected) says
/// so to the hook of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CookieRejection {
    /// It is none of ours: cut short, of another shape, or too long.
    Malformed,
    /// It was written by a version of this crate that this one does not know, or in a format that is not accepted.
    UnknownFormat,
    /// It was changed, or sealed with a secret that is not configured, or for a cookie of another name.
    Forged,
    /// Its time is over.
    Expired,
    /// Some of the cookies over which it was split are missing.
    Incomplete,
}

impl fmt::Display for CookieRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is malformed",
            Self::UnknownFormat => "its format is not accepted here",
            Self::Forged => "no configured secret opens it",
            Self::Expired => "its time is over",
            Self::Incomplete => "parts of it are missing",
        })
    }
}
