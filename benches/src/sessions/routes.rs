//! The handlers, which are the same for every peer.

use std::hint::black_box;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::stores::VALUE_LENGTH;

/// The name of the small value.
pub(crate) const SMALL: &str = "visits";
/// The names of five values with a total of 1 KiB.
pub(crate) const FIVE: [&str; 5] = ["user", "cart", "notes", "theme", "token"];
const LENGTH: usize = 205;
/// A value with the same size as in the store benchmarks.
const LONG: &str = "profile";

/// How long a handler waits between reading and writing, so that requests overlap.
pub(crate) const WAIT: Duration = Duration::from_millis(5);
/// How long the slow handler waits, so that a logout happens meanwhile.
pub(crate) const SLOW: Duration = Duration::from_millis(30);

/// The session of a peer, as the handlers use it.
pub(crate) trait Handle: FromRequestParts<()> + Send + Sync + 'static {
    /// Whether a session may appear empty while other requests use it.
    const MAY_MISS: bool = false;

    fn get<T: DeserializeOwned + Send>(
        &self,
        name: &'static str,
    ) -> impl Future<Output = Option<T>> + Send;

    fn set<T: Serialize + Send + Sync>(
        &self,
        name: &str,
        value: &T,
    ) -> impl Future<Output = ()> + Send;

    fn destroy(&self) -> impl Future<Output = ()> + Send;

    /// Increments the small value in the safest way that the peer supports.
    fn increment(&self) -> impl Future<Output = ()> + Send {
        async {
            let visits: u64 = self.get(SMALL).await.unwrap_or(0);
            tokio::time::sleep(WAIT).await;
            self.set(SMALL, &(visits + 1)).await;
        }
    }
}

/// Returns an application without sessions.
pub(crate) fn bare() -> Router {
    Router::new().route("/untouched", get(untouched))
}

/// Returns an application for the sessions of a peer, without its layer.
pub(crate) fn app<H: Handle>() -> Router {
    bare()
        .route("/small/read", get(read_small::<H>))
        .route("/small/write", get(write_small::<H>))
        .route("/small/set/{visits}", get(set_small::<H>))
        .route("/small/count", get(count::<H>))
        .route("/long/read", get(read_long::<H>))
        .route("/long/write", get(write_long::<H>))
        .route("/five/seed", get(seed_five::<H>))
        .route("/five/read-one", get(read_one::<H>))
        .route("/five/write-one", get(write_one::<H>))
        .route("/five/read-all", get(read_all::<H>))
        .route("/five/read-all-write-one", get(read_all_write_one::<H>))
        .route("/own/{name}", get(set_own::<H>))
        .route("/own/{name}/is-there", get(own_is_there::<H>))
        .route("/increment", get(increment::<H>))
        .route("/slow", get(slow::<H>))
        .route("/logout", get(logout::<H>))
}

/// Returns one of the five texts.
pub(crate) fn text() -> String {
    "0".repeat(LENGTH)
}

/// Returns a different text with the same length, at almost no cost.
pub(crate) fn next_text(mut text: String) -> String {
    let first = if text.starts_with('0') { "1" } else { "0" };
    text.replace_range(..1, first);
    text
}

async fn untouched() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn read_small<H: Handle>(session: H) -> StatusCode {
    black_box(session.get::<u64>(SMALL).await);
    StatusCode::NO_CONTENT
}

async fn write_small<H: Handle>(session: H) -> StatusCode {
    let visits: u64 = session.get(SMALL).await.unwrap_or(0);
    session.set(SMALL, &(visits + 1)).await;
    StatusCode::NO_CONTENT
}

async fn set_small<H: Handle>(Path(visits): Path<u64>, session: H) -> StatusCode {
    session.set(SMALL, &visits).await;
    StatusCode::NO_CONTENT
}

async fn count<H: Handle>(session: H) -> String {
    session.get::<u64>(SMALL).await.unwrap_or(0).to_string()
}

async fn read_long<H: Handle>(session: H) -> StatusCode {
    let text: Option<String> = session.get(LONG).await;
    let length = text.map(|text| text.len());
    assert!(length == Some(VALUE_LENGTH) || H::MAY_MISS, "{length:?}");
    StatusCode::NO_CONTENT
}

async fn write_long<H: Handle>(session: H) -> StatusCode {
    let text: Option<String> = session.get(LONG).await;
    let text = text.unwrap_or_else(|| "0".repeat(VALUE_LENGTH));
    session.set(LONG, &next_text(text)).await;
    StatusCode::NO_CONTENT
}

async fn seed_five<H: Handle>(session: H) -> StatusCode {
    for name in FIVE {
        session.set(name, &text()).await;
    }
    StatusCode::NO_CONTENT
}

async fn read_one<H: Handle>(session: H) -> StatusCode {
    black_box(session.get::<String>(FIVE[1]).await);
    StatusCode::NO_CONTENT
}

async fn write_one<H: Handle>(session: H) -> StatusCode {
    let old: String = session.get(FIVE[1]).await.unwrap_or_else(text);
    session.set(FIVE[1], &next_text(old)).await;
    StatusCode::NO_CONTENT
}

async fn read_all<H: Handle>(session: H) -> StatusCode {
    for name in FIVE {
        black_box(session.get::<String>(name).await);
    }
    StatusCode::NO_CONTENT
}

async fn read_all_write_one<H: Handle>(session: H) -> StatusCode {
    for name in FIVE {
        black_box(session.get::<String>(name).await);
    }
    write_one(session).await
}

/// Reads, waits, and sets a unique value.
async fn set_own<H: Handle>(Path(name): Path<String>, session: H) -> StatusCode {
    black_box(session.get::<u64>(SMALL).await);
    tokio::time::sleep(WAIT).await;
    session.set(&name, &true).await;
    StatusCode::NO_CONTENT
}

async fn own_is_there<H: Handle>(Path(name): Path<String>, session: H) -> String {
    // Some peers need a `'static` name. Leaking is fine, because there are only fifty names.
    let there = session.get::<bool>(name.leak()).await.is_some();
    there.to_string()
}

async fn increment<H: Handle>(session: H) -> StatusCode {
    session.increment().await;
    StatusCode::NO_CONTENT
}

async fn slow<H: Handle>(session: H) -> StatusCode {
    let visits: u64 = session.get(SMALL).await.unwrap_or(0);
    tokio::time::sleep(SLOW).await;
    session.set(SMALL, &(visits + 1)).await;
    StatusCode::NO_CONTENT
}

async fn logout<H: Handle>(session: H) -> StatusCode {
    session.destroy().await;
    StatusCode::NO_CONTENT
}
