use std::sync::Arc;

use session_core::Error;

/// The error of a failed commit, in the extensions of the empty response with status 500 that replaces the handler's.
///
/// ```
/// use actix_web::HttpResponse;
/// use session_actix::CommitError;
///
/// fn log_failure<B>(response: &HttpResponse<B>) {
///     if let Some(CommitError(error)) = response.extensions().get() {
///         eprintln!("a session was not written: {error}");
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CommitError(pub Arc<Error>);
