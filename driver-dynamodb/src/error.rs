use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use http_body_util::LengthLimitError;
use session_core::{Error, ErrorKind, Outcome};

/// What a request was to do, which decides what its failure leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum During {
    /// It changes nothing.
    Reading,
    /// It changes something.
    Writing,
}

/// What DynamoDB answered instead of doing what it was asked to. Unlike the SDK's errors it holds no item: those show
/// up whole in their `Debug`, the value included.
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

/// A chain of causes as text, since the causes themselves may show what they were about.
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

/// Turns what the SDK tells into this project's error.
pub(crate) fn from_sdk<E>(error: SdkError<E, HttpResponse>, during: During) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let error = match &error {
        // The SDK takes what it cannot read for a refusal without a reason.
        SdkError::ServiceError(answer) if answer.raw().status().is_success() => {
            unintelligible(answer.raw(), &error)
        }
        SdkError::ServiceError(refusal) => {
            let request_id = refusal.err().meta().request_id();
            refused(refusal.err(), refusal.raw(), request_id)
        }
        SdkError::ResponseError(_) if find::<LengthLimitError>(&error).is_some() => {
            too_long(&error)
        }
        SdkError::ResponseError(answer) => unintelligible(answer.raw(), &error),
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
    during.tells(error)
}

impl During {
    /// What is known of the outcome after `error`.
    fn tells(self, error: Error) -> Error {
        match self {
            Self::Reading => error.with_outcome(Outcome::NotApplied),
            Self::Writing => error,
        }
    }
}

fn unsent(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "the request could not be made of what is configured; see the cause, and the options `region`, \
         `endpoint_url` and `profile`",
    )
    .with_source(Causes::of(error))
}

fn without_credentials(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::Unauthorized,
        "no credentials for AWS could be had; give this process a role, set `AWS_ACCESS_KEY_ID` and \
         `AWS_SECRET_ACCESS_KEY`, or name a `profile`",
    )
    .with_source(Causes::of(error))
}

fn timed_out(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        "DynamoDB did not answer within `timeout`; is it overloaded, or the network in between?",
    )
    .with_source(Causes::of(error))
}

/// The deadline of the operation came before the answer.
pub(crate) fn out_of_time(during: During) -> Error {
    let error = Error::new(
        ErrorKind::TimedOut,
        "DynamoDB did not answer within `timeout`; is it overloaded, or the network in between?",
    );
    during.tells(error)
}

/// No connection came about, so nothing was sent.
fn out_of_reach(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "DynamoDB cannot be reached; see the network, and the options `region` and `endpoint_url`",
    )
    .with_outcome(Outcome::NotApplied)
    .with_source(Causes::of(error))
}

fn broken(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection to DynamoDB broke before the answer had come",
    )
    .with_source(Causes::of(error))
}

fn too_long(error: &(dyn StdError + 'static)) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "the answer is longer than any of DynamoDB's; see `endpoint_url` and what stands in between",
    )
    .with_outcome(Outcome::Unknown)
    .with_source(Causes::of(error))
}

/// An answer came and makes no sense: it was cut off, or is none of DynamoDB's.
fn unintelligible(response: &HttpResponse, error: &(dyn StdError + 'static)) -> Error {
    let status = response.status().as_u16();
    let error = match status {
        200..300 => Error::new(
            ErrorKind::Unavailable,
            "the answer was cut off or is none of DynamoDB's; see `endpoint_url` and what stands in between",
        ),
        _ => of_status(status, "something that is not DynamoDB"),
    }
    .with_source(Causes::of(error));
    with_wait(error, response)
}

/// By the status alone: there are proxies and load balancers that answer in DynamoDB's place.
fn of_status(status: u16, who: &str) -> Error {
    let told = |advice: &str| format!("{who} answered with the status {status}; {advice}");
    let unexpected = Error::new(ErrorKind::Backend, told("see `endpoint_url`"));
    match status {
        429 => Error::new(ErrorKind::RateLimited, told("wait before the next request")),
        401 | 403 => Error::new(
            ErrorKind::Unauthorized,
            told("see the credentials, and what stands in between"),
        ),
        500.. => Error::new(ErrorKind::Unavailable, told("it may pass")),
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
    let told = error.message().unwrap_or_default();
    let mut refusal = match describe(code, told) {
        Some((kind, message)) => Error::new(kind, message).with_outcome(Outcome::NotApplied),
        None if status >= 500 => Error::new(
            ErrorKind::Unavailable,
            "DynamoDB failed inside; it may pass",
        ),
        None => Error::new(
            ErrorKind::Backend,
            "DynamoDB refused the request; see the cause",
        )
        .with_outcome(Outcome::NotApplied),
    };
    refusal = refusal.with_source(Refusal {
        code: code.to_owned(),
        message: without_values(told),
        request_id: request_id.map(str::to_owned),
    });
    with_wait(refusal, response)
}

/// What DynamoDB tells of a request of the wrong shape quotes it, keys included.
fn without_values(message: &str) -> Option<String> {
    let quotes = message.contains("validation error") || message.contains("Value '");
    (!quotes && !message.is_empty()).then(|| message.to_owned())
}

/// The kinds of the errors that certainly changed nothing, with what to do.
fn describe(code: &str, message: &str) -> Option<(ErrorKind, &'static str)> {
    Some(match code {
        "ProvisionedThroughputExceededException" => (
            ErrorKind::RateLimited,
            "the table's capacity, or that of one of its partitions, is used up; raise it, or switch to on-demand \
             billing",
        ),
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "LimitExceededException" => (
            ErrorKind::RateLimited,
            "DynamoDB asks to slow down; wait, and see the limits of the account and of the table's on-demand \
             throughput",
        ),
        "TransactionConflictException"
        | "ReplicatedWriteConflictException"
        | "TransactionInProgressException" => (
            ErrorKind::Unavailable,
            "a transaction, or a write in another region, has the item just now; try again",
        ),
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => (
            ErrorKind::Unauthorized,
            "the credentials have expired; renew them, or leave `credentials` out so that they are renewed",
        ),
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "AuthFailure"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken" => (
            ErrorKind::Unauthorized,
            "AWS does not know the credentials; see which ones this process has, and whether they are for this \
             partition of AWS",
        ),
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignatureException"
        | "IncompleteSignature"
        | "RequestTimeTooSkewed" => (
            ErrorKind::Unauthorized,
            "AWS refuses the signature; see the secret access key, and whether the clock of this machine is right",
        ),
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => (
            ErrorKind::Unauthorized,
            "the credentials lack a permission, which the cause names; the driver needs `dynamodb:GetItem`, \
             `PutItem`, `UpdateItem`, `DeleteItem`, `BatchGetItem`, `BatchWriteItem` and, for listing, `Scan` on the \
             table",
        ),
        "ResourceNotFoundException" => (
            ErrorKind::InvalidConfig,
            "there is no such table, or it is not ready; see `table`, `region` and the account, make the table, or \
             set `create_table`",
        ),
        "ValidationException"
            if message.contains("size has exceeded")
                || message.contains("maximum allowed size") =>
        {
            (
                ErrorKind::TooLarge,
                "the item is longer than DynamoDB takes; store less",
            )
        }
        "ValidationException"
            if message.contains("key element")
                || message.contains("Missing the key")
                || message.contains("Type mismatch for key") =>
        {
            (
                ErrorKind::InvalidConfig,
                "the table has another key: it must have a partition key of type String, named as `attributes.key`, and \
             no sort key; make such a table, or mend `attributes`",
            )
        }
        "UnknownOperationException" => (
            ErrorKind::Unsupported,
            "the server does not know this operation; see whether `endpoint_url` is DynamoDB",
        ),
        _ => return None,
    })
}

/// How long AWS wants callers to wait, where it says so.
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

/// Whether it was while connecting that `error` came about.
fn is_connecting(error: &(dyn StdError + 'static)) -> bool {
    find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

/// The first cause of this type.
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

/// A part of a request lacks what it must have.
pub(crate) fn incomplete(error: BuildError) -> Error {
    Error::new(ErrorKind::Backend, "the request cannot be made")
        .with_outcome(Outcome::NotApplied)
        .with_source(error)
}

/// The driver was closed.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the driver was closed")
}

/// The same error for another entry of a batch that failed as a whole.
pub(crate) fn shared(error: &Error) -> Error {
    let mut shared = Error::new(error.kind(), error.to_string()).with_outcome(error.outcome());
    if let Some(wait) = error.retry_after() {
        shared = shared.with_retry_after(wait);
    }
    shared
}
