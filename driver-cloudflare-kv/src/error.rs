use std::error::Error as StdError;
use std::fmt;

use http_support::{Answer, StatusCode};
use session_core::{Error, ErrorKind};

use crate::protocol::Refusal;

pub(crate) const NAME: &str = "cloudflare-kv";

/// Cloudflare's code for a key that has no value.
const NO_KEY: u32 = 10009;

/// Cloudflare's code for a namespace that the account does not have.
const NO_NAMESPACE: u32 = 10013;

/// Cloudflare's codes for credentials that it cannot read, with which it answers 400.
const NO_CREDENTIALS: [u32; 4] = [6003, 6111, 9103, 9106];

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the driver was closed; open another")
}

/// What Cloudflare says by its codes. Its texts are left out, since some repeat keys.
#[derive(Debug)]
struct Codes(Vec<u32>);

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloudflare's codes:")?;
        self.0.iter().try_for_each(|code| write!(f, " {code}"))
    }
}

impl StdError for Codes {}

fn codes(answer: &Answer) -> Vec<u32> {
    match answer.json::<Refusal>() {
        Ok(refusal) => refusal.codes().collect(),
        Err(_) => Vec::new(),
    }
}

/// Whether the answer is that the key has no value, and not that something else is missing.
pub(crate) fn is_missing_key(answer: &Answer) -> bool {
    answer.status() == StatusCode::NOT_FOUND && codes(answer).contains(&NO_KEY)
}

/// The error that an answer other than success is.
pub(crate) fn refused(answer: &Answer) -> Error {
    let codes = codes(answer);
    let error = if answer.status() == StatusCode::NOT_FOUND && codes.contains(&NO_NAMESPACE) {
        Error::new(
            ErrorKind::InvalidConfig,
            "the account has no such namespace; look at `namespace_id` and `account_id`",
        )
    } else if codes.iter().any(|code| NO_CREDENTIALS.contains(code)) {
        Error::new(
            ErrorKind::Unauthorized,
            "Cloudflare cannot read the credentials; are they complete, and of the kind that was configured?",
        )
    } else {
        answer.error()
    };
    match codes.is_empty() {
        true => error,
        false => error.with_source(Codes(codes)),
    }
}

/// The error for an answer of success that does not hold what it must.
pub(crate) fn incomplete(what: &str) -> Error {
    Error::new(
        ErrorKind::Backend,
        format!(
            "the answer {what}; is it Cloudflare's API, and nothing between that changes its answers?"
        ),
    )
}
