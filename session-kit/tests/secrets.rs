//! No session id and no stored value stands in any log line of ours, at any level.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http::header::{COOKIE, SET_COOKIE};
use parking_lot::Mutex;
use session_kit::config::SessionConfig;
use session_kit::{Error, Session, SessionLayer};
use tower::ServiceExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn visit(session: Session) -> Result<(), Error> {
    session.set("password", "correct horse battery staple")?;
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    tracing::debug!(?session, id = ?session.id(), "the handler logs what it has");
    session.regenerate()
}

async fn wrong_type(session: Session) -> Result<(), Error> {
    session.get::<u32>("password").await?;
    Ok(())
}

async fn logout(session: Session) -> Result<(), Error> {
    session.destroy().await
}

#[test_support::test]
async fn session_ids_and_values_are_in_no_log_line() {
    let captured = Captured::default();
    tracing_subscriber::fmt()
        .with_env_filter("trace")
        // So that the fields of spans are captured too.
        .with_span_events(FmtSpan::FULL)
        .with_writer(captured.clone())
        .init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let config = SessionConfig::new("sqlite").with_option("path", path.to_str().unwrap());
    let sessions = SessionLayer::from_config(&config).await.unwrap();
    let app = Router::new()
        .route("/", get(visit))
        .route("/wrong-type", get(wrong_type))
        .route("/logout", get(logout))
        .layer(sessions.clone());

    let mut secrets = vec!["correct horse".to_owned()];
    let mut cookie = String::new();
    for path in ["/", "/", "/wrong-type", "/", "/logout", "/"] {
        let request = Request::get(path)
            .header(COOKIE, &cookie)
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        if let Some(set) = response.headers().get(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            cookie = pair.to_owned();
            secrets.extend(pair.split_once('=').map(|(_, id)| id.to_owned()));
        }
    }
    secrets.retain(|secret| secret != "deleted");
    assert!(
        secrets.len() >= 4,
        "the cookie changed with each regenerate"
    );
    sessions
        .close(std::time::Duration::from_secs(10))
        .await
        .unwrap();

    let log = String::from_utf8(captured.0.lock().clone()).unwrap();
    assert!(log.contains("operation=\"write\""), "nothing was captured");
    for secret in &secrets {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None);
    }
}
