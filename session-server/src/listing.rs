//! The listing of a base, streamed as a JSON array.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::Response;
use session_core::{Key, Operations, Prefix, Result};
use session_storage::Storage;

use crate::body::{BoxError, ResponseBody};
use crate::response::{self, Rejection};

/// The approximate size of a chunk of a listing.
const CHUNK: usize = 16 * 1_024;

/// The keys below `base` as a JSON array. The first chunk is read before the response starts, so that a failing driver
/// determines the status. Each chunk has the timeout of `operations`.
pub(crate) async fn respond(
    storage: &Storage,
    operations: &Operations,
    base: &Prefix,
) -> Result<Response<ResponseBody>, Rejection> {
    let mut array = JsonArray {
        keys: storage.keys(base.as_str()).boxed(),
        operations: operations.clone(),
        has_items: false,
    };
    let (first, is_last) = array.next_chunk().await?;
    if is_last {
        return Ok(response::success(response::JSON, ResponseBody::full(first)));
    }
    let rest = stream::try_unfold(Some(array), |array| async move {
        let Some(mut array) = array else {
            return Ok::<_, BoxError>(None);
        };
        match array.next_chunk().await {
            Ok((chunk, true)) => Ok(Some((chunk, None))),
            Ok((chunk, false)) => Ok(Some((chunk, Some(array)))),
            Err(error) => {
                tracing::error!(
                    kind = ?error.kind(),
                    error = &error as &dyn std::error::Error,
                    "a listing failed after it had started"
                );
                Err(error.into())
            }
        }
    });
    let chunks = stream::iter([Ok(first)]).chain(rest);
    Ok(response::success(
        response::JSON,
        ResponseBody::stream(chunks),
    ))
}

/// A JSON array of keys, written in chunks.
struct JsonArray {
    keys: BoxStream<'static, Result<Key>>,
    operations: Operations,
    has_items: bool,
}

impl JsonArray {
    /// The next chunk, and whether it is the last one.
    async fn next_chunk(&mut self) -> Result<(Bytes, bool)> {
        let operations = self.operations.clone();
        operations.read("list", self.read_chunk()).await
    }

    async fn read_chunk(&mut self) -> Result<(Bytes, bool)> {
        let mut chunk = Vec::with_capacity(CHUNK + 256);
        if !self.has_items {
            chunk.push(b'[');
        }
        while chunk.len() < CHUNK {
            let Some(key) = self.keys.try_next().await? else {
                chunk.push(b']');
                return Ok((chunk.into(), true));
            };
            if self.has_items {
                chunk.push(b',');
            }
            self.has_items = true;
            let name = serde_json::Value::String(key.as_str().replace(':', "/"));
            chunk.extend_from_slice(name.to_string().as_bytes());
        }
        Ok((chunk.into(), false))
    }
}
