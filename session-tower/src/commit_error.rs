use std::sync::Arc;

use session_core::Error;

/// The error of a failed commit, in the extensions of the empty response with status 500 that replaces the handler's.
///
/// ```
/// use http::Response;
/// use session_tower::CommitError;
///
/// fn log_failure<B>(response: &Response<B>) {
///     if let Some(CommitError(error)) = response.extensions().get() {
///         eprintln!("a session was not written: {error}");
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CommitError(pub Arc<Error>);
