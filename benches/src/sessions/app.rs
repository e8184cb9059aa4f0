use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use tower::{Service, ServiceExt};

use crate::allocations::allocations;

/// The response of an application.
pub(crate) struct Answer {
    pub(crate) success: bool,
    /// The cookies of the response, in the form of a request header. `None` if it sets none.
    pub(crate) cookies: Option<String>,
    pub(crate) body: String,
}

/// The costs of sequential requests.
pub(crate) struct Batch {
    pub(crate) elapsed: Duration,
    pub(crate) allocations: u64,
}

/// An application that is called in process.
#[async_trait(?Send)]
pub(crate) trait App {
    /// Makes one request, possibly concurrent with others.
    async fn call(&self, path: &str, cookies: Option<&str>) -> Answer;

    /// Makes sequential requests and measures only the calls. The requests are built beforehand. The visitors take turns;
    /// without visitors, the requests have no cookies.
    async fn batch(&self, path: &str, visitors: &[String], requests: usize) -> Batch;
}

/// An axum application, called like by a server.
pub(crate) struct AxumApp(Router);

impl AxumApp {
    /// Builds the routes once, like `axum::serve`.
    pub(crate) fn new(app: Router) -> Self {
        Self(app.with_state(()))
    }
}

impl AxumApp {
    /// Like [`App::call`], from any thread.
    pub(crate) async fn answer(&self, path: &str, cookies: Option<&str>) -> Answer {
        let response = self.0.clone().oneshot(request(path, cookies)).await;
        let (head, body) = response.expect("axum does not fail").into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        Answer {
            success: head.status.is_success(),
            cookies: set_cookies(&head.headers),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

#[async_trait(?Send)]
impl App for AxumApp {
    async fn call(&self, path: &str, cookies: Option<&str>) -> Answer {
        self.answer(path, cookies).await
    }

    async fn batch(&self, path: &str, visitors: &[String], requests: usize) -> Batch {
        let requests: Vec<_> = in_turn(visitors)
            .take(requests)
            .map(|cookies| request(path, cookies))
            .collect();
        let mut app = self.0.clone();
        let before = allocations();
        let started = Instant::now();
        for request in requests {
            let response = app.call(request).await.expect("axum does not fail");
            debug_assert!(response.status().is_success());
            drop(std::hint::black_box(response));
        }
        Batch {
            elapsed: started.elapsed(),
            allocations: allocations() - before,
        }
    }
}

/// Repeats the cookies of these visitors. Without visitors, it yields `None`.
pub(crate) fn in_turn(visitors: &[String]) -> impl Iterator<Item = Option<&str>> {
    let nobody = std::iter::repeat_n(None, usize::from(visitors.is_empty()));
    let visitors = visitors.iter().map(|cookies| Some(&**cookies));
    visitors
        .chain(nobody)
        .collect::<Vec<_>>()
        .into_iter()
        .cycle()
}

fn request(path: &str, cookies: Option<&str>) -> Request<Body> {
    let mut request = Request::get(path);
    if let Some(cookies) = cookies {
        request = request.header(COOKIE, cookies);
    }
    request.body(Body::empty()).expect("a request")
}

/// Returns the cookies of a response as a browser sends them back.
fn set_cookies(headers: &HeaderMap) -> Option<String> {
    let cookies: Vec<&str> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .collect();
    (!cookies.is_empty()).then(|| cookies.join("; "))
}
