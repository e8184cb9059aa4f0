use std::fmt;

use zeroize::Zeroizing;

/// The minimum number of bytes in a secret: 32, as RFC 7518 requires for HS256, and the length of the derived key.
pub const SHORTEST_SECRET: usize = 32;

/// A secret that cookies are sealed or signed with.
///
/// It is a string of at least [`SHORTEST_SECRET`] bytes, such as the output of `openssl rand -base64 32`. `Debug` does
/// not show it, and it is wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(Zeroizing::new(secret.into_bytes()))
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(Zeroizing::new(secret.as_bytes().to_vec()))
    }
}

impl From<Vec<u8>> for Secret {
    fn from(secret: Vec<u8>) -> Self {
        Self(Zeroizing::new(secret))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
