use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// A short hash that identifies a secret in the logs of one process without revealing it.
///
/// It is 32 bits of a hash with a random key, which is generated when the process starts. The same secret has another
/// fingerprint after a restart and in another process. The secret cannot be computed from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u32);

impl Fingerprint {
    /// The fingerprint of `secret` in this process.
    pub fn of(secret: &[u8]) -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        let hash = KEY.get_or_init(RandomState::new).hash_one(secret);
        Self((hash >> 32) as u32)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:08x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
