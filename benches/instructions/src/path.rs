use std::hint::black_box;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use clap::ValueEnum;
use driver_memory::MemoryDriver;
use http::{Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use session_tower::{Session, SessionLayer};
use tokio::runtime::Runtime;
use tower::layer::util::Identity;
use tower::{Service, ServiceExt};

/// A code path of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// A request to an application without sessions: the baseline of the others.
    Identity,
    /// A request with a session cookie that does not use its session.
    Untouched,
    /// A request that reads one small value.
    Read,
    /// A request that reads and writes one small value.
    ReadWrite,
    /// A request that reads one of five values with a total of 1 KiB.
    ReadOneOfFive,
    /// A request that reads and writes one of five values with a total of 1 KiB.
    ReadWriteOneOfFive,
}

const SMALL: &str = "visits";
const FIVE: [&str; 5] = ["user", "cart", "notes", "theme", "token"];
const LENGTH: usize = 205;

impl Path {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Untouched => "untouched",
            Self::Read => "read",
            Self::ReadWrite => "read-write",
            Self::ReadOneOfFive => "read-one-of-five",
            Self::ReadWriteOneOfFive => "read-write-one-of-five",
        }
    }

    const fn uri(self) -> &'static str {
        match self {
            Self::Identity | Self::Untouched => "/untouched",
            Self::Read => "/read",
            Self::ReadWrite => "/write",
            Self::ReadOneOfFive => "/five/read",
            Self::ReadWriteOneOfFive => "/five/write",
        }
    }

    fn app(self) -> Router {
        let untouched = Router::new().route("/untouched", get(untouched));
        if self == Self::Identity {
            return untouched.layer(Identity::new()).with_state(());
        }
        let app = untouched
            .route("/read", get(read))
            .route("/write", get(write))
            .route("/five/seed", get(seed_five))
            .route("/five/read", get(read_one_of_five))
            .route("/five/write", get(write_one_of_five))
            .layer(SessionLayer::new(Arc::new(MemoryDriver::new())));
        // Like a server, builds the routes once.
        app.with_state(())
    }
}

/// Makes requests while `keep_going` returns `true`.
pub fn run_while(path: Path, keep_going: impl Fn() -> bool) {
    let runtime = runtime();
    let mut app = path.app();
    let cookie = runtime.block_on(cookie(path, &app));
    while keep_going() {
        let requests = (0..COUNTED).map(|_| request(path.uri(), Some(&cookie)));
        let requests = requests.collect();
        runtime.block_on(call_all(&mut app, requests));
    }
}

fn runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().expect("a runtime")
}

/// Runs some requests to warm up, and then the counted requests.
pub fn run(path: Path) {
    const WARM_UP: usize = 20;
    let runtime = runtime();
    let mut app = path.app();
    let cookie = runtime.block_on(cookie(path, &app));
    let requests = |count: usize| -> Vec<_> {
        let request = |_| request(path.uri(), Some(&cookie));
        (0..count).map(request).collect()
    };
    runtime.block_on(call_all(&mut app, requests(WARM_UP)));
    let mut counted = Some(requests(COUNTED));
    counted_by_callgrind(&mut || {
        if let Some(requests) = counted.take() {
            runtime.block_on(call_all(&mut app, requests));
        }
    });
}

/// The name of [`counted_by_callgrind`]. Callgrind counts the instructions of this function and everything that it calls.
pub const COUNTED_FUNCTION: &str = "*counted_by_callgrind*";
/// The number of counted requests.
pub const COUNTED: usize = 100;

/// It uses a dynamic call, so that no inner closure has this name in its own.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut()) {
    work();
}

async fn call_all(app: &mut Router, requests: Vec<Request<Body>>) {
    for request in requests {
        let response = app.call(request).await.expect("axum does not fail");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }
}

fn request(uri: &str, cookie: Option<&str>) -> Request<Body> {
    let mut request = Request::get(uri);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    request.body(Body::empty()).expect("a valid request")
}

/// Returns the cookie of a stored session, or one of the same length for an application without sessions.
async fn cookie(path: Path, app: &Router) -> String {
    let seed = match path {
        Path::Identity => return "astro-session=00000000-0000-4000-8000-000000000000".to_owned(),
        Path::Untouched | Path::Read | Path::ReadWrite => "/write",
        Path::ReadOneOfFive | Path::ReadWriteOneOfFive => "/five/seed",
    };
    let response = app.clone().oneshot(request(seed, None)).await;
    let response = response.expect("axum does not fail");
    let cookie = response.headers().get(header::SET_COOKIE);
    let cookie = cookie.and_then(|cookie| cookie.to_str().ok());
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    pair.expect("a new session has a cookie").to_owned()
}

type Handled = Result<StatusCode, session_core::Error>;

async fn untouched() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn read(session: Session) -> Handled {
    black_box(session.get::<u64>(SMALL).await?);
    Ok(StatusCode::NO_CONTENT)
}

async fn write(session: Session) -> Handled {
    let visits: u64 = session.get(SMALL).await?.unwrap_or(0);
    session.set(SMALL, &(visits + 1))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn seed_five(session: Session) -> Handled {
    for name in FIVE {
        session.set(name, &text())?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn read_one_of_five(session: Session) -> Handled {
    black_box(session.get::<String>(FIVE[1]).await?);
    Ok(StatusCode::NO_CONTENT)
}

async fn write_one_of_five(session: Session) -> Handled {
    let mut text = session.get(FIVE[1]).await?.unwrap_or_else(text);
    let first = if text.starts_with('0') { "1" } else { "0" };
    text.replace_range(..1, first);
    session.set(FIVE[1], &text)?;
    Ok(StatusCode::NO_CONTENT)
}

fn text() -> String {
    "0".repeat(LENGTH)
}
