use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// A short mark that tells two secrets apart in logs of one process, and nothing else about them.
///
/// It is 32 bits of a hash under a key drawn at random when the process starts: the same secret has
/// another fingerprint after a restart and in another process, and no secret can be found from it.
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
