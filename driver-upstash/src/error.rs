use http_support::{Answer, StatusCode};
use session_core::{Error, ErrorKind, Outcome};

use crate::reply::{Failure, Refused};

/// What an error of the database means to a caller. It did not do what it refuses; but an error without a code is that
/// of a gateway before it, which may have sent the command on and lost the answer.
pub(crate) fn refused(error: &Refused) -> Error {
    let (kind, message) = describe(&error.0);
    if kind == ErrorKind::Backend && code_of(&error.0) == NO_CODE {
        return Error::new(
            ErrorKind::Unavailable,
            "what stands before the database had no answer of it; is the database running?",
        )
        .with_outcome(Outcome::Unknown);
    }
    // The text is left out, since the database quotes arguments in some.
    let code = code_of(&error.0);
    Error::new(kind, format!("{message} ({code})")).with_outcome(Outcome::NotApplied)
}

/// What an answer means that is no success.
pub(crate) fn failed(answer: &Answer) -> Error {
    match answer.json::<Failure>() {
        Ok(failure) if answer.status() == StatusCode::BAD_REQUEST => {
            refused(&Refused(failure.error))
        }
        _ => answer.error(),
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
            "the database refuses the `token`; take the REST token from its console",
        ),
        "NOPERM" => (
            ErrorKind::Unauthorized,
            "the `token` may not do this; the read-only one will not do",
        ),
        "WRONGTYPE" => (
            ErrorKind::CorruptData,
            "what is stored under the key is no string and was not written by this driver; it was left as it is",
        ),
        "OOM" => (
            ErrorKind::Unavailable,
            "the database is full; make room, or turn its eviction on",
        ),
        "READONLY" | "LOADING" | "BUSY" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => (
            ErrorKind::Unavailable,
            "the database does not serve this now",
        ),
        _ if says("max request size") => (
            ErrorKind::TooLarge,
            "the value is larger than a request to this database may be",
        ),
        _ if says("max requests limit")
            || says("max daily request limit")
            || says("rate limit") =>
        {
            (
                ErrorKind::RateLimited,
                "the database has had as many requests as its plan allows",
            )
        }
        _ => (ErrorKind::Backend, "the database refused the command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_kinds_and_texts_are_not_repeated() {
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
    fn an_error_that_is_not_the_databases_leaves_open_what_was_done() {
        for text in ["secret", "", "Connection is closed: secret"] {
            let error = refused(&Refused(text.to_owned()));
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{text}");
            assert_eq!(error.outcome(), Outcome::Unknown, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
