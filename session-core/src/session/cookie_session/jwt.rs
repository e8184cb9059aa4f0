//! The format of the npm package `astro-session`: a JSON Web Token (RFC 7519), signed with HS256.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::backing::{Opened, Sealing};
use super::jwt_record::{self, Payload};
use super::secret::Secret;
use crate::session::CookieRejection;
use crate::{Error, ErrorKind, Result, Timestamp};

type HmacSha256 = Hmac<Sha256>;

/// `{"alg":"HS256","typ":"JWT"}`, as every writer of HS256 has it.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// The maximum size of a cookie in browsers. A longer value is rejected.
const LONGEST: usize = 4096;

pub(super) struct Jwt {
    /// The first one signs, all of them verify.
    keys: Vec<HmacSha256>,
}

/// The relevant header fields. A token with unknown critical fields must be rejected (RFC 7515, section 4.1.11).
#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde_json::Value>,
}

impl Jwt {
    pub(super) fn new(secrets: &[Secret]) -> Result<Self> {
        let keys = secrets
            .iter()
            .map(|secret| HmacSha256::new_from_slice(secret.bytes()))
            .collect::<Result<_, _>>()
            .map_err(|error| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "a `secret` cannot be used with HS256; give another",
                )
                .with_source(error.to_string())
            })?;
        Ok(Self { keys })
    }

    /// Whether a value begins as a JSON object in base64.
    pub(super) fn recognises(value: &str) -> bool {
        value.starts_with("eyJ")
    }

    pub(super) fn seal(&self, sealing: &Sealing<'_>) -> Result<String> {
        let payload = jwt_record::payload_of(sealing)?;
        let json = serde_json::to_vec(&payload).map_err(jwt_record::unserializable)?;
        let mut token = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(json));
        if let Some(key) = self.keys.first() {
            let mut mac = key.clone();
            mac.update(token.as_bytes());
            let tag = mac.finalize().into_bytes();
            token.push('.');
            URL_SAFE_NO_PAD.encode_string(tag, &mut token);
        }
        Ok(token)
    }

    pub(super) fn open(&self, token: &str, now: Timestamp) -> Result<Opened, CookieRejection> {
        if token.len() > LONGEST {
            return Err(CookieRejection::Malformed);
        }
        let (signed, tag) = token.rsplit_once('.').ok_or(CookieRejection::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(CookieRejection::Malformed)?;
        let tag = decode(tag)?;
        // HS256 is always computed, regardless of the algorithm in the header, and compared in constant time.
        let is_ours = self.keys.iter().any(|key| {
            let mut mac = key.clone();
            mac.update(signed.as_bytes());
            mac.verify_slice(&tag).is_ok()
        });
        if !is_ours {
            return Err(CookieRejection::Forged);
        }
        let header: Header = parse(&decode(header)?)?;
        if header.alg != "HS256" || header.crit.is_some() {
            return Err(CookieRejection::UnknownFormat);
        }
        let payload: Payload = parse(&jwt_record::without_half_pairs(&decode(payload)?))?;
        jwt_record::open(payload, now)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, CookieRejection> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| CookieRejection::Malformed)
}

fn parse<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, CookieRejection> {
    serde_json::from_slice(json).map_err(|_| CookieRejection::Malformed)
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").finish_non_exhaustive()
    }
}
