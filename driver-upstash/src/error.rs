use http_support::{Response, StatusCode};
use session_core::{Error, ErrorKind, Outcome};

use crate::reply::{Failure, Refused};

/// Converts an error of the database, which did not apply the command.
///
/// An error without a code comes from a gateway in front of it, which may have sent the command and lost the reply.
pub(crate) fn refused(error: &Refused) -> Error {
    let (kind, message) = describe(&error.0);
    if kind == ErrorKind::Backend && code_of(&error.0) == NO_CODE {
        return Error::new(
            ErrorKind::Unavailable,
            "the gateway got no reply from the database; check that the database is running",
        )
        .with_outcome(Outcome::Unknown);
    }
    // The message is left out, since the database quotes arguments in some.
    let code = code_of(&error.0);
    Error::new(kind, format!("{message} ({code})")).with_outcome(Outcome::NotApplied)
}

/// The error of a response without success.
pub(crate) fn failed(response: &Response) -> Error {
    match response.json::<Failure>() {
        Ok(failure) if response.status() == StatusCode::BAD_REQUEST => {
            refused(&Refused(failure.error))
        }
        _ => response.error(),
    }
}

const NO_CODE: &str = "no code";

/// The first word of an error, which is its code.
fn code_of(text: &str) -> &str {
    let code = text.split(' ').next().unwrap_or_default();
    match !code.is_empty() && code.len() <= 16 && code.bytes().all(|byte| byte.is_ascii_uppercase())
    {
        true => code,
        false => NO_CODE,
    }
}

fn describe(text: &str) -> (ErrorKind, &'static str) {
    let says = |part: &str| text.contains(part);
    match code_of(text) {
        "WRONGPASS" | "NOAUTH" => (
            ErrorKind::Unauthorized,
            "the database refused the `token`; copy the REST token from its console",
        ),
        "NOPERM" => (
            ErrorKind::Unauthorized,
            "the `token` lacks the permission; use the REST token that is not read-only",
        ),
        "WRONGTYPE" => (
            ErrorKind::CorruptData,
            "the value of the key is not a string, so another program wrote it; it was left unchanged",
        ),
        "OOM" => (
            ErrorKind::Unavailable,
            "the database is full; free space, or enable eviction",
        ),
        "READONLY" | "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => (
            ErrorKind::Unavailable,
            "the database cannot process the command now",
        ),
        _ if says("max request size") => (
            ErrorKind::TooLarge,
            "the value exceeds the maximum request size of the database",
        ),
        _ if says("max requests limit")
            || says("max daily request limit")
            || says("rate limit") =>
        {
            (
                ErrorKind::RateLimited,
                "the request limit of the database's plan is reached",
            )
        }
        _ => (ErrorKind::Backend, "the database refused the command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kinds_and_messages_are_not_repeated() {
        for (text, kind) in [
            (
                "WRONGPASS invalid or missing auth token",
                ErrorKind::Unauthorized,
            ),
            ("NOPERM this user secret", ErrorKind::Unauthorized),
            ("WRONGTYPE Operation against a key", ErrorKind::CorruptData),
            ("OOM command not allowed", ErrorKind::Unavailable),
            (
                "ERR max request size exceeded. Limit: 1048576 bytes",
                ErrorKind::TooLarge,
            ),
            (
                "ERR max daily request limit exceeded.",
                ErrorKind::RateLimited,
            ),
            ("ERR unknown command 'secret'", ErrorKind::Backend),
        ] {
            let error = refused(&Refused(text.to_owned()));
            assert_eq!(
                (error.kind(), error.outcome()),
                (kind, Outcome::NotApplied),
                "{text}"
            );
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_outcome_of_a_gateway_error_is_unknown() {
        for text in ["secret", "", "Connection is closed: secret"] {
            let error = refused(&Refused(text.to_owned()));
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
            assert_eq!(error.outcome(), Outcome::Unknown, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
