use std::sync::Arc;

use session_core::Error;

/// Why a response was replaced by an empty one with status 500, in the extensions of that one.
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
