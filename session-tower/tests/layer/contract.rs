//! What sessions promise to visitors, through axum and over several drivers.

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{Request, Uri};
use http_body_util::BodyExt;
use session_core::session::SessionManager;
use session_tests::{Answer, App, Meeting, act};
use session_tower::{Session, SessionLayer};
use std::sync::Arc;
use tower::ServiceExt;

struct Axum(Router);

impl App for Axum {
    async fn send(&self, request: Request<()>) -> Answer {
        let request = request.map(|()| Body::empty());
        let response = self.0.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

async fn app(manager: SessionManager) -> Axum {
    let meeting = Arc::new(Meeting::default());
    let handler =
        move |session: Session, uri: Uri| async move { act(&session, uri.path(), &meeting).await };
    let routes = Router::new().fallback(any(handler));
    Axum(routes.layer(SessionLayer::from_manager(manager)))
}

session_tests::over_drivers! { #[test_support::test] super::app }
