use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::Response;
use session_core::storage::Storage;
use session_core::{Key, Prefix, Result};

use crate::answer::{self, Refusal};
use crate::body::{BoxError, ResponseBody};

/// How long a piece of a listing is, about.
const PIECE: usize = 16 * 1_024;

/// The keys below `base` as a JSON array. The first piece is read before the answer begins, so that a driver that
/// fails is told by the status.
pub(crate) async fn answer(
    storage: &Storage,
    base: &Prefix,
) -> Result<Response<ResponseBody>, Refusal> {
    let mut array = Array {
        keys: storage.keys(base.as_str()).boxed(),
        begun: false,
    };
    let (first, has_ended) = array.piece().await?;
    if has_ended {
        return Ok(answer::success(answer::JSON, ResponseBody::full(first)));
    }
    let rest = stream::try_unfold(Some(array), |array| async move {
        let Some(mut array) = array else {
            return Ok::<_, BoxError>(None);
        };
        match array.piece().await {
            Ok((piece, true)) => Ok(Some((piece, None))),
            Ok((piece, false)) => Ok(Some((piece, Some(array)))),
            Err(error) => {
                tracing::error!(
                    kind = ?error.kind(),
                    error = &error as &dyn std::error::Error,
                    "a listing broke off"
                );
                Err(error.into())
            }
        }
    });
    let pieces = stream::iter([Ok(first)]).chain(rest);
    Ok(answer::success(answer::JSON, ResponseBody::stream(pieces)))
}

/// A JSON array, written piece by piece.
struct Array {
    keys: BoxStream<'static, Result<Key>>,
    begun: bool,
}

impl Array {
    /// The next piece, and whether it is the last.
    async fn piece(&mut self) -> Result<(Bytes, bool)> {
        let mut piece = Vec::with_capacity(PIECE + 256);
        if !self.begun {
            piece.push(b'[');
        }
        while piece.len() < PIECE {
            let Some(key) = self.keys.try_next().await? else {
                piece.push(b']');
                return Ok((piece.into(), true));
            };
            if self.begun {
                piece.push(b',');
            }
            self.begun = true;
            let name = serde_json::Value::String(key.as_str().replace(':', "/"));
            piece.extend_from_slice(name.to_string().as_bytes());
        }
        Ok((piece.into(), false))
    }
}
