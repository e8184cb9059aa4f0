//! Bodies: that of a response, and reading that of a request within limits.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, TryStreamExt};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};

use crate::response::Rejection;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// The body of a response: a value, or a streamed listing.
pub struct ResponseBody(UnsyncBoxBody<Bytes, BoxError>);

impl ResponseBody {
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let full = Full::new(bytes.into());
        Self(full.map_err(|never| match never {}).boxed_unsync())
    }

    pub(crate) fn stream<S>(chunks: S) -> Self
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
    {
        Self(StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

/// Reads the body of a request, up to `max_body` bytes and within `timeout`.
pub(crate) async fn read<B>(
    body: B,
    headers: &HeaderMap,
    max_body: usize,
    timeout: Duration,
) -> Result<Bytes, Rejection>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let declared = declared.and_then(|length| length.parse::<u64>().ok());
    if declared.is_some_and(|length| length > max_body as u64) {
        return Err(Rejection::body_too_large(max_body));
    }
    let reading = Limited::new(body, max_body).collect();
    match tokio::time::timeout(timeout, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Rejection::body_too_large(max_body))
        }
        Ok(Err(_)) => Err(Rejection::bad_request("the body is incomplete")),
        Err(_) => Err(Rejection::body_too_slow(timeout)),
    }
}
