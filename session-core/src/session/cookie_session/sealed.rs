//! The sealed format: encrypted, and bound to the name of the cookie.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, Generate};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use http::HeaderValue;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::MAX_PARTS;
use super::backing::{Opened, Sealing};
use super::request::{find, part_name};
use super::secret::Secret;
use crate::session::CookieRejection;
use crate::{Bytes, Error, ErrorKind, Result, Timestamp};

const VERSION: u8 = 1;
const PREFIX: &str = "v1.";
const INFO: &[u8] = b"session-kit cookie session v1 XChaCha20-Poly1305";
const NONCE: usize = 24;
const TAG: usize = 16;
/// The length of the time of issue and the expiry.
const TIMES: usize = 16;
/// The maximum size of a cookie in browsers. A longer value is rejected.
const LONGEST_PART: usize = 4096;

pub(super) struct Sealed {
    name: String,
    /// The first one seals, all of them open.
    keys: Vec<XChaCha20Poly1305>,
}

impl Sealed {
    pub(super) fn new(name: &str, secrets: &[Secret]) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            keys: secrets.iter().map(derive).collect::<Result<_>>()?,
        })
    }

    /// Whether a value has the prefix of this format, of any version.
    pub(super) fn recognises(value: &str) -> bool {
        value.strip_prefix('v').is_some_and(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            digits > 0 && rest.as_bytes().get(digits) == Some(&b'.')
        })
    }

    /// The number of characters of a record of this many bytes, without the prefix.
    pub(super) fn length_of(record: usize) -> usize {
        (NONCE + TIMES + record + TAG).saturating_mul(4).div_ceil(3)
    }

    /// Seals a session into the values of `parts` cookies.
    pub(super) fn seal(&self, sealing: &Sealing<'_>, parts: u8) -> Result<Vec<String>> {
        let nonce = XNonce::try_generate().map_err(no_randomness)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(TIMES + sealing.record.len() + TAG));
        plain.extend_from_slice(&sealing.issued.as_millis().to_be_bytes());
        plain.extend_from_slice(&sealing.expires_at.as_millis().to_be_bytes());
        plain.extend_from_slice(sealing.record);
        let key = self.keys.first().ok_or_else(cannot_seal)?;
        key.encrypt_in_place(&nonce, &self.additional_data(parts), &mut *plain)
            .map_err(|_| cannot_seal())?;
        let mut sealed = Vec::with_capacity(NONCE + plain.len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&plain);
        let text = URL_SAFE_NO_PAD.encode(sealed);
        let mut rest = text.as_str();
        let each = text.len().div_ceil(usize::from(parts)).max(1);
        let mut values = Vec::with_capacity(usize::from(parts));
        for part in 0..parts {
            let (value, after) = rest.split_at_checked(each).unwrap_or((rest, ""));
            values.push(match part {
                0 => format!("{PREFIX}{parts}.{value}"),
                _ => value.to_owned(),
            });
            rest = after;
        }
        Ok(values)
    }

    /// Opens the session whose first part is `first`, the value of the cookie itself.
    pub(super) fn open(
        &self,
        first: &str,
        request: &[HeaderValue],
    ) -> Result<Opened, CookieRejection> {
        let rest = first
            .strip_prefix(PREFIX)
            .ok_or(CookieRejection::UnknownFormat)?;
        let (parts, first) = match rest.as_bytes() {
            [digit @ b'1'..=b'9', b'.', ..] => (digit - b'0', rest.get(2..).unwrap_or_default()),
            _ => return Err(CookieRejection::Malformed),
        };
        let text = self.assemble(parts, first, request)?;
        let sealed = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| CookieRejection::Malformed)?;
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE>()
            .ok_or(CookieRejection::Malformed)?;
        let additional = self.additional_data(parts);
        let mut plain = Zeroizing::new(Vec::new());
        let opened = self.keys.iter().any(|key| {
            plain.clear();
            plain.extend_from_slice(body);
            key.decrypt_in_place(&XNonce::from(*nonce), &additional, &mut *plain)
                .is_ok()
        });
        if !opened {
            return Err(CookieRejection::Forged);
        }
        let (issued, rest) = millis(&plain)?;
        let (expires_at, record) = millis(rest)?;
        Ok(Opened {
            issued,
            expires_at: Some(expires_at),
            record: Bytes::copy_from_slice(record),
        })
    }

    /// Joins the parts, if all are there and each has its original length.
    fn assemble(
        &self,
        parts: u8,
        first: &str,
        request: &[HeaderValue],
    ) -> Result<String, CookieRejection> {
        let mut text = String::from(first);
        let mut lengths = vec![first.len()];
        for part in 1..parts.min(MAX_PARTS) {
            let value =
                find(request, &part_name(&self.name, part)).ok_or(CookieRejection::Incomplete)?;
            lengths.push(value.len());
            text.push_str(value);
        }
        let each = text.len().div_ceil(usize::from(parts));
        let last = lengths.pop().unwrap_or_default();
        let as_written = lengths.iter().all(|length| *length == each) && last <= each;
        if !as_written || each > LONGEST_PART {
            return Err(CookieRejection::Malformed);
        }
        Ok(text)
    }

    fn additional_data(&self, parts: u8) -> Vec<u8> {
        let mut data = b"session-kit cookie\0".to_vec();
        data.extend_from_slice(&[VERSION, parts]);
        data.extend_from_slice(self.name.as_bytes());
        data
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").finish_non_exhaustive()
    }
}

fn derive(secret: &Secret) -> Result<XChaCha20Poly1305> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret.bytes())
        .expand(INFO, &mut *key)
        .map_err(|_| cannot_seal())?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

fn millis(bytes: &[u8]) -> Result<(Timestamp, &[u8]), CookieRejection> {
    let (millis, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or(CookieRejection::Malformed)?;
    Ok((Timestamp::from_millis(u64::from_be_bytes(*millis)), rest))
}

fn cannot_seal() -> Error {
    Error::new(
        ErrorKind::Unserializable,
        "the session cannot be encrypted; nothing was changed",
    )
}

fn no_randomness(error: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unserializable,
        "the session cannot be encrypted, since the operating system gives no random numbers; nothing was changed",
    )
    .with_source(error.to_string())
}
