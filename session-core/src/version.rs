use std::fmt;

use bytes::Bytes;

use crate::Fingerprint;

const INLINE: usize = 30;

/// An opaque mark of a stored value, which changes whenever anybody changes that value.
///
/// ```
/// use session_core::Version;
///
/// let version = Version::from_u64(7);
/// assert_eq!(version, Version::from_bytes(&7_u64.to_be_bytes()));
/// assert_ne!(version, Version::from_u64(8));
/// ```
///
/// A driver makes it from what its backend has: a revision, an entity tag, a cryptographic hash of
/// the value, or the value itself. A plain hash will not do, since visitors choose parts of what a
/// session stores. Only the driver that made a version may interpret it. `Debug` shows a
/// fingerprint, since a version may hold the value.
#[derive(Clone)]
pub struct Version(Repr);

#[derive(Clone)]
enum Repr {
    /// Apart from the other short ones, since most versions are numbers and eight bytes are quick to move.
    Number([u8; 8]),
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared(Bytes),
}

impl Version {
    /// A version that is a number, such as a revision.
    #[inline]
    pub fn from_u64(number: u64) -> Self {
        Self(Repr::Number(number.to_be_bytes()))
    }

    /// A version that is a short run of bytes, such as a hash or an entity tag.
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

    /// A version that is the stored value itself, shared and not copied.
    pub fn from_value(value: Bytes) -> Self {
        Self(Repr::Shared(value))
    }

    /// The bytes that the version was made from.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Number(bytes) => bytes,
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The number that [`Version::from_u64`] made this from, or `None` if it cannot be one.
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
