//! Errors of DynamoDB: the kind, the outcome, and the advice. No imitation of it has permissions or a bound of
//! capacity, so the proxy answers as its documentation says that it does.

use std::process::Command;

use driver_dynamodb::{DynamoDbDriver, DynamoDbOptions};
use session_core::{Driver, DriverExt, ErrorKind, Outcome, RetryPolicy, WriteOptions};
use test_support::{HttpFault, HttpProxy};

use crate::support::{DYNALITE, key, new_table, open, options};

/// An answer in JSON in DynamoDB's place.
pub(crate) fn json(status: u16, body: &str) -> HttpFault {
    let name = "content-type".parse().unwrap();
    HttpFault::answer(status, &[(name, "application/x-amz-json-1.0")], body)
}

/// An error as DynamoDB answers it.
pub(crate) fn answer(status: u16, code: &str, message: &str) -> HttpFault {
    let namespace = "com.amazonaws.dynamodb.v20120810";
    let body = serde_json::json!({ "__type": format!("{namespace}#{code}"), "message": message });
    json(status, &body.to_string())
}

#[test_support::test]
async fn each_error_of_dynamodb_has_its_kind_and_outcome() {
    use ErrorKind::*;
    use Outcome::*;
    let proxy = HttpProxy::start(&DYNALITE.url());
    let options = options(proxy.url()).with_retry(RetryPolicy::never());
    let driver = open(options).await;
    let size = "Item size has exceeded the maximum allowed size";
    let element = "The provided key element does not match the schema";
    let missing = "One or more parameter values were invalid: Missing the key id in the item";
    let type_mismatch = "One or more parameter values were invalid: Type mismatch for key key expected: N actual: S";
    let throughput = "The level of configured provisioned throughput for the table was exceeded. Consider increasing \
                      your provisioning level with the UpdateTable API.";
    let denied = "User: arn:aws:iam::123456789012:user/app is not authorized to perform: dynamodb:PutItem on resource: \
                  arn:aws:dynamodb:us-east-1:123456789012:table/sessions because no identity-based policy allows the \
                  dynamodb:PutItem action";
    for (status, code, message, kind, outcome, advice) in [
        (
            400,
            "ProvisionedThroughputExceededException",
            throughput,
            RateLimited,
            NotApplied,
            "raise it",
        ),
        (
            400,
            "ThrottlingException",
            "Rate exceeded",
            RateLimited,
            NotApplied,
            "throttles",
        ),
        (
            400,
            "RequestLimitExceeded",
            "Throughput exceeds the limit",
            RateLimited,
            NotApplied,
            "throttles",
        ),
        (
            400,
            "ExpiredTokenException",
            "The security token included in the request is expired",
            Unauthorized,
            NotApplied,
            "renew",
        ),
        (
            400,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            Unauthorized,
            NotApplied,
            "does not know",
        ),
        (
            400,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
            Unauthorized,
            NotApplied,
            "does not know",
        ),
        (
            400,
            "InvalidSignatureException",
            "Signature expired",
            Unauthorized,
            NotApplied,
            "clock",
        ),
        (
            400,
            "IncompleteSignatureException",
            "",
            Unauthorized,
            NotApplied,
            "signature",
        ),
        (
            400,
            "AccessDeniedException",
            denied,
            Unauthorized,
            NotApplied,
            "permission",
        ),
        (
            400,
            "ResourceNotFoundException",
            "Requested resource not found",
            InvalidConfig,
            NotApplied,
            "`create_table`",
        ),
        (
            400,
            "ValidationException",
            element,
            InvalidConfig,
            NotApplied,
            "`attributes.key`",
        ),
        (
            400,
            "ValidationException",
            missing,
            InvalidConfig,
            NotApplied,
            "`attributes.key`",
        ),
        (
            400,
            "ValidationException",
            type_mismatch,
            InvalidConfig,
            NotApplied,
            "`attributes.key`",
        ),
        (
            400,
            "ValidationException",
            size,
            TooLarge,
            NotApplied,
            "smaller value",
        ),
        (
            400,
            "ValidationException",
            "Something else",
            Backend,
            NotApplied,
            "refused",
        ),
        (
            400,
            "TransactionConflictException",
            "",
            Unavailable,
            NotApplied,
            "try again",
        ),
        (
            400,
            "ReplicatedWriteConflictException",
            "",
            Unavailable,
            NotApplied,
            "try again",
        ),
        (
            400,
            "UnknownOperationException",
            "",
            Unsupported,
            NotApplied,
            "`endpoint_url`",
        ),
        (
            500,
            "InternalServerError",
            "The request could not be processed",
            Unavailable,
            Unknown,
            "try again",
        ),
        (
            503,
            "ServiceUnavailable",
            "",
            Unavailable,
            Unknown,
            "try again",
        ),
    ] {
        proxy.next(answer(status, code, message));
        let write = WriteOptions::if_absent();
        let error = driver
            .write(&key("k"), "v".into(), write)
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (kind, outcome),
            "{code}: {error:?}"
        );
        assert!(error.to_string().contains(advice), "{code}: {error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.contains(code) && cause.contains(message),
            "{code}: {cause}"
        );

        proxy.next(answer(status, code, message));
        let error = driver.get("k").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (kind, NotApplied),
            "{code}"
        );
    }
    assert_eq!(driver.get("k").await.unwrap(), None);
}

#[test_support::test]
async fn parts_of_a_request_that_dynamodb_quotes_are_not_shown() {
    let proxy = HttpProxy::start(&DYNALITE.url());
    let driver = open(options(proxy.url())).await;
    let quoting =
        "1 validation error detected: Value 'secret-id' at 'key' failed to satisfy constraint";
    proxy.next(answer(400, "ValidationException", quoting));
    let error = driver.get("secret-id").await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("ValidationException"), "{shown}");
    assert!(!shown.contains("secret-id"), "{shown}");
}

#[test_support::test]
async fn responses_of_other_servers_have_their_kind_and_outcome() {
    use ErrorKind::*;
    use Outcome::*;
    let proxy = HttpProxy::start(&DYNALITE.url());
    let options = options(proxy.url()).with_retry(RetryPolicy::never());
    let driver = open(options).await;
    for (fault, kind, outcome) in [
        (HttpFault::html(), Unavailable, Unknown),
        (HttpFault::garbage_json(), Unavailable, Unknown),
        (HttpFault::status(404), Backend, NotApplied),
        (HttpFault::status(403), Unauthorized, NotApplied),
        (HttpFault::status(407), Backend, NotApplied),
        (HttpFault::rate_limited(1), RateLimited, NotApplied),
        (HttpFault::status(502), Unavailable, Unknown),
        (HttpFault::status(504), Unavailable, Unknown),
    ] {
        proxy.next(fault.clone());
        let write = WriteOptions::if_absent();
        let error = driver
            .write(&key("k"), "v".into(), write)
            .await
            .unwrap_err();
        let told = (error.kind(), error.outcome());
        assert_eq!(told, (kind, outcome), "{fault:?}: {error:?}");
    }
}

/// What AWS's tools find in the environment is that of the process, so this runs itself in another one.
#[test_support::test]
async fn missing_credentials_and_a_missing_region_are_reported() {
    const MARK: &str = "WITHOUT_CREDENTIALS";
    if std::env::var_os(MARK).is_none() {
        let folder = env!("CARGO_TARGET_TMPDIR");
        let mut itself = Command::new(std::env::current_exe().unwrap());
        itself
            .args([
                "--exact",
                "errors::missing_credentials_and_a_missing_region_are_reported",
            ])
            .env_clear()
            .env(MARK, "yes")
            .env("HOME", folder)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        let output = itself.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    let nowhere = DynamoDbOptions::new(new_table());
    let error = DynamoDbDriver::open(nowhere.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("`region`"), "{error}");
    let options = nowhere
        .with_region("us-east-1")
        .with_endpoint_url(format!("http://127.0.0.1:{}", test_support::free_port()));
    let driver = open(options).await;
    let error = driver.put("k", "v").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.to_string().contains("`profile`"), "{error}");
}
