//! Converts errors of the AWS SDK.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use http_body_util::LengthLimitError;
use session_core::{Error, ErrorKind, Outcome};

/// The kind of a request, which decides the outcome of its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum During {
    /// It changes nothing.
    Reading,
    /// It changes something.
    Writing,
}

/// An error response of DynamoDB. Unlike the SDK's errors it contains no item, since these would show the value in their
/// `Debug`.
#[derive(Debug)]
struct Refusal {
    code: String,
    message: Option<String>,
    request_id: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl StdError for Refusal {}

/// A chain of causes as text, since the causes themselves may contain keys and values.
#[derive(Debug)]
struct Causes(String);

impl Causes {
    fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        Self(text)
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Causes {}

/// Converts an error of the SDK.
pub(crate) fn from_sdk<E>(error: SdkError<E, HttpResponse>, during: During) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let error = match &error {
        // The SDK reports a response that it cannot parse as an error without a code.
        SdkError::ServiceError(response) if response.raw().status().is_success() => {
            unparsable(response.raw(), &error)
        }
        SdkError::ServiceError(refusal) => {
            let request_id = refusal.err().meta().request_id();
            refused(refusal.err(), refusal.raw(), request_id)
        }
        SdkError::ResponseError(_) if find::<LengthLimitError>(&error).is_some() => {
            too_long(&error)
        }
        SdkError::ResponseError(response) => unparsable(response.raw(), &error),
        SdkError::ConstructionFailure(_) => unsent(&error),
        SdkError::DispatchFailure(_) if find::<CredentialsError>(&error).is_some() => {
            without_credentials(&error)
        }
        SdkError::TimeoutError(_) => timed_out(&error),
        SdkError::DispatchFailure(failure) => match (is_connecting(&error), failure.is_timeout()) {
            (true, _) => out_of_reach(&error),
            (false, true) => timed_out(&error),
            (false, false) => broken(&error),
        },
        _ => Error::new(ErrorKind::Backend, "the request failed").with_source(Causes::of(&error)),
    };
    during.with_outcome(error)
}

impl During {
    /// Sets the outcome of `error`.
    fn with_outcome(self, error: Error) -> Error {
        match self {
            Self::Reading => error.with_outcome(Outcome::NotApplied),
            Self::Writing => error,
        }
    }
}

fn unsent(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "the request could not be built; check the cause, and the options `region`, `endpoint_url` and `profile`",
    )
    .with_source(Causes::of(error))
}

fn without_credentials(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::Unauthorized,
        "no AWS credentials were found; give this process a role, set `AWS_ACCESS_KEY_ID` and \
         `AWS_SECRET_ACCESS_KEY`, or set `profile`",
    )
    .with_source(Causes::of(error))
}

fn timed_out(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        "DynamoDB did not respond within `timeout`; check the network, or raise `timeout`",
    )
    .with_source(Causes::of(error))
}

/// The error of an operation whose deadline passed before a response.
pub(crate) fn out_of_time(during: During) -> Error {
    let error = Error::new(
        ErrorKind::TimedOut,
        "DynamoDB did not respond within `timeout`; check the network, or raise `timeout`",
    );
    during.with_outcome(error)
}

/// The error of a failed connection, over which nothing was sent.
fn out_of_reach(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "cannot connect to DynamoDB; check the network, and the options `region` and `endpoint_url`",
    )
    .with_outcome(Outcome::NotApplied)
    .with_source(Causes::of(error))
}

fn broken(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection to DynamoDB broke before the response was complete",
    )
    .with_source(Causes::of(error))
}

fn too_long(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "the response is longer than any of DynamoDB; check `endpoint_url` and proxies",
    )
    .with_outcome(Outcome::Unknown)
    .with_source(Causes::of(error))
}

/// The error of a response that cannot be parsed: it was cut off, or does not come from DynamoDB.
fn unparsable(response: &HttpResponse, error: &(dyn StdError + 'static)) -> Error {
    let status = response.status().as_u16();
    let error = match status {
        200..300 => Error::new(
            ErrorKind::Unavailable,
            "the response was cut off or does not come from DynamoDB; check `endpoint_url` and proxies",
        ),
        _ => of_status(status, "a server that is not DynamoDB"),
    }
    .with_source(Causes::of(error));
    with_wait(error, response)
}

/// The error of a status alone, since proxies and load balancers may respond instead of DynamoDB.
fn of_status(status: u16, who: &str) -> Error {
    let message = |advice: &str| format!("{who} responded with status {status}; {advice}");
    let unexpected = Error::new(ErrorKind::Backend, message("check `endpoint_url`"));
    match status {
        429 => Error::new(
            ErrorKind::RateLimited,
            message("wait before the next request"),
        ),
        401 | 403 => Error::new(
            ErrorKind::Unauthorized,
            message("check the credentials and proxies"),
        ),
        500.. => Error::new(ErrorKind::Unavailable, message("try again")),
        400..500 => unexpected.with_outcome(Outcome::NotApplied),
        _ => unexpected,
    }
}

fn refused(
    error: &impl ProvideErrorMetadata,
    response: &HttpResponse,
    request_id: Option<&str>,
) -> Error {
    let status = response.status().as_u16();
    let Some(code) = error.code() else {
        return with_wait(of_status(status, "the server"), response);
    };
    let text = error.message().unwrap_or_default();
    let mut refusal = match describe(code, text) {
        Some((kind, message)) => Error::new(kind, message).with_outcome(Outcome::NotApplied),
        None if status >= 500 => Error::new(
            ErrorKind::Unavailable,
            "DynamoDB had an internal error; try again",
        ),
        None => Error::new(
            ErrorKind::Backend,
            "DynamoDB refused the request; check the cause",
        )
        .with_outcome(Outcome::NotApplied),
    };
    refusal = refusal.with_source(Refusal {
        code: code.to_owned(),
        message: without_values(text),
        request_id: request_id.map(str::to_owned),
    });
    with_wait(refusal, response)
}

/// The message of DynamoDB, unless it quotes the request, keys included.
fn without_values(message: &str) -> Option<String> {
    let quotes = message.contains("validation error") || message.contains("Value '");
    (!quotes && !message.is_empty()).then(|| message.to_owned())
}

/// The kind and message of an error after which the request was certainly not applied.
fn describe(code: &str, message: &str) -> Option<(ErrorKind, &'static str)> {
    Some(match code {
        "ProvisionedThroughputExceededException" => (
            ErrorKind::RateLimited,
            "the capacity of the table or of a partition is exhausted; raise it, or switch to on-demand billing",
        ),
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "LimitExceededException" => (
            ErrorKind::RateLimited,
            "DynamoDB throttles requests; wait, and check the limits of the account and of the table's on-demand \
             throughput",
        ),
        "TransactionConflictException"
        | "ReplicatedWriteConflictException"
        | "TransactionInProgressException" => (
            ErrorKind::Unavailable,
            "a transaction or a write in another region uses the item; try again",
        ),
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => (
            ErrorKind::Unauthorized,
            "the credentials have expired; renew them, or remove `credentials` so that they are renewed automatically",
        ),
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "AuthFailure"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken" => (
            ErrorKind::Unauthorized,
            "AWS does not know the credentials; check which ones this process uses, and that they are for this \
             partition of AWS",
        ),
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignatureException"
        | "IncompleteSignature"
        | "RequestTimeTooSkewed" => (
            ErrorKind::Unauthorized,
            "AWS refused the signature; check the secret access key and the clock of this machine",
        ),
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => (
            ErrorKind::Unauthorized,
            "the credentials lack the permission that the cause names; the driver needs `dynamodb:GetItem`, \
             `PutItem`, `UpdateItem`, `DeleteItem`, `BatchGetItem`, `BatchWriteItem` and, for listing, `Scan` on the \
             table",
        ),
        "ResourceNotFoundException" => (
            ErrorKind::InvalidConfig,
            "the table does not exist or is not active; check `table`, `region` and the account, create the table, or \
             set `create_table`",
        ),
        "ValidationException"
            if message.contains("size has exceeded")
                || message.contains("maximum allowed size") =>
        {
            (
                ErrorKind::TooLarge,
                "the item exceeds DynamoDB's limit; use a smaller value",
            )
        }
        "ValidationException"
            if message.contains("key element")
                || message.contains("Missing the key")
                || message.contains("Type mismatch for key") =>
        {
            (
                ErrorKind::InvalidConfig,
                "the table has the wrong key: it must have a partition key of type String, named as `attributes.key`, and \
             no sort key; create such a table, or correct `attributes`",
            )
        }
        "UnknownOperationException" => (
            ErrorKind::Unsupported,
            "the server does not support this operation; check that `endpoint_url` is DynamoDB",
        ),
        _ => return None,
    })
}

/// Adds the time that AWS asks callers to wait, if it does.
fn with_wait(error: Error, response: &HttpResponse) -> Error {
    let headers = response.headers();
    let millis = headers.get("x-amz-retry-after").and_then(number);
    let seconds = headers.get("retry-after").and_then(number);
    match (millis, seconds) {
        (Some(millis), _) => error.with_retry_after(Duration::from_millis(millis)),
        (None, Some(seconds)) => error.with_retry_after(Duration::from_secs(seconds)),
        (None, None) => error,
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Whether `error` occurred while connecting.
fn is_connecting(error: &(dyn StdError + 'static)) -> bool {
    find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

/// The first cause of a type.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The error of a request that cannot be built.
pub(crate) fn incomplete(error: BuildError) -> Error {
    Error::new(ErrorKind::Backend, "the request cannot be built")
        .with_outcome(Outcome::NotApplied)
        .with_source(error)
}

/// The error of an operation after a close.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the driver was closed; open a new one")
}

/// Copies an error for another entry of a batch that failed as a whole.
pub(crate) fn shared(error: &Error) -> Error {
    let mut shared = Error::new(error.kind(), error.to_string()).with_outcome(error.outcome());
    if let Some(wait) = error.retry_after() {
        shared = shared.with_retry_after(wait);
    }
    shared
}
