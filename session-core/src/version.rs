//! Versions of stored values, for conditional operations.

use std::fmt;

use bytes::Bytes;

use crate::Fingerprint;

const INLINE: usize = 30;

/// An opaque version of a stored value, which changes with every change of the value.
///
/// ```
/// use session_core::Version;
///
/// let version = Version::from_u64(7);
/// assert_eq!(version, Version::from_bytes(&7_u64.to_be_bytes()));
/// assert_ne!(version, Version::from_u64(8));
/// ```
///
/// A driver makes it from a revision, an entity tag, a cryptographic hash of the value, or the value itself. A
/// non-cryptographic hash is not enough, since visitors control parts of the stored value. Only the driver that made a
/// version may interpret it. `Debug` shows a fingerprint, since a version may contain the value.
#[derive(Clone)]
pub struct Version(Repr);

#[derive(Clone)]
enum Repr {
    /// A variant of its own, since most versions are numbers and eight bytes are cheap to move.
    Number([u8; 8]),
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared(Bytes),
}

impl Version {
    /// Creates a version from a number, such as a revision.
    #[inline]
    pub fn from_u64(number: u64) -> Self {
        Self(Repr::Number(number.to_be_bytes()))
    }

    /// Creates a version from bytes, such as a hash or an entity tag.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut inline = [0; INLINE];
        match (inline.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(target), Ok(len)) => {
                target.copy_from_slice(bytes);
                Self(Repr::Inline { len, bytes: inline })
            }
            _ => Self(Repr::Shared(Bytes::copy_from_slice(bytes))),
        }
    }

    /// Creates a version that is the stored value itself, without copying it.
    pub fn from_value(value: Bytes) -> Self {
        Self(Repr::Shared(value))
    }

    /// Returns the bytes that the version was made from.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Number(bytes) => bytes,
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// Returns the number that was passed to [`Version::from_u64`]; `None` if the version is not a number.
    pub fn to_u64(&self) -> Option<u64> {
        self.as_bytes().try_into().ok().map(u64::from_be_bytes)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Version {}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", Fingerprint::of(self.as_bytes()))
    }
}
