use std::error::Error as StdError;
use std::fmt;

use http_support::{Response, StatusCode};
use session_core::{Error, ErrorKind};

use crate::protocol::Refusal;

pub(crate) const NAME: &str = "cloudflare-kv";

/// Cloudflare's code for a key that has no value.
const NO_KEY: u32 = 10009;

/// Cloudflare's code for a namespace that the account does not have.
const NO_NAMESPACE: u32 = 10013;

/// Cloudflare's codes for malformed credentials, which come with status 400.
const NO_CREDENTIALS: [u32; 4] = [6003, 6111, 9103, 9106];

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the driver was closed; open a new one")
}

/// Cloudflare's error codes. Its messages are left out, since some contain keys.
#[derive(Debug)]
struct Codes(Vec<u32>);

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloudflare error codes:")?;
        self.0.iter().try_for_each(|code| write!(f, " {code}"))
    }
}

impl StdError for Codes {}

fn codes(response: &Response) -> Vec<u32> {
    match response.json::<Refusal>() {
        Ok(refusal) => refusal.codes().collect(),
        Err(_) => Vec::new(),
    }
}

/// Whether the response says that the key has no value, rather than that something else is missing.
pub(crate) fn is_missing_key(response: &Response) -> bool {
    response.status() == StatusCode::NOT_FOUND && codes(response).contains(&NO_KEY)
}

/// The error of a response without success.
pub(crate) fn refused(response: &Response) -> Error {
    let codes = codes(response);
    let error = if response.status() == StatusCode::NOT_FOUND && codes.contains(&NO_NAMESPACE) {
        Error::new(
            ErrorKind::InvalidConfig,
            "the account has no such namespace; check `namespace_id` and `account_id`",
        )
    } else if codes.iter().any(|code| NO_CREDENTIALS.contains(code)) {
        Error::new(
            ErrorKind::Unauthorized,
            "Cloudflare cannot parse the credentials; check that they are complete and of the configured kind",
        )
    } else {
        response.error()
    };
    match codes.is_empty() {
        true => error,
        false => error.with_source(Codes(codes)),
    }
}

/// The error of a response that reports success but is incomplete.
pub(crate) fn incomplete(what: &str) -> Error {
    Error::new(
        ErrorKind::Backend,
        format!(
            "the response {what}; check that `api_url` is right and that no proxy changes responses"
        ),
    )
}
