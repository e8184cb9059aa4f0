//! What is logged, and how often.

use std::io::{self, Write};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::test::init_service;
use actix_web::{App, web};
use driver_memory::MemoryDriver;
use parking_lot::Mutex;
use session_actix::{Error, Session, SessionMiddleware};
use session_core::Outcome;
use session_core::decorators::Traced;
use session_tests::Probe;
use tracing_subscriber::util::SubscriberInitExt;

use crate::support::Browser;

/// What is logged on this thread from now on at level `WARN` or above.
struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::dispatcher::DefaultGuard,
}

impl Log {
    fn begin() -> Self {
        #[derive(Clone)]
        struct Lines(Arc<Mutex<Vec<u8>>>);

        impl Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let lines = Arc::default();
        let writer = Lines(Arc::clone(&lines));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("warn")
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = subscriber.set_default();
        Self {
            lines,
            _guard: guard,
        }
    }

    fn take(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.lines.lock());
        let text = String::from_utf8(text).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

async fn visits(session: Session) -> Result<String, Error> {
    let n = session
        .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(n.to_string())
}

#[test_support::test(runtime = "actix")]
async fn a_missing_middleware_is_logged_once_and_visitors_learn_of_it_in_debug_builds_only() {
    let app = init_service(App::new().route("/", web::get().to(visits))).await;
    let log = Log::begin();
    for logged in [true, false, false] {
        let answer = Browser::default().get(&app, "/").await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        let hint = answer.body.contains("session middleware");
        assert_eq!(hint, cfg!(debug_assertions), "{}", answer.body);
        assert_eq!(answer.body.is_empty(), !hint);
        let mut lines = log.take();
        lines.retain(|line| line.contains("session_core"));
        assert_eq!(lines.len(), usize::from(logged), "{lines:?}");
        let is_hint = |line: &String| line.contains("ERROR") && line.contains("middleware");
        assert!(lines.iter().all(is_hint), "{lines:?}");
    }
}

#[test_support::test(runtime = "actix")]
async fn two_middlewares_with_one_cookie_name_are_warned_of_once_per_pair() {
    let log = Log::begin();
    for _pair in 0..2 {
        let app = App::new()
            .route("/", web::get().to(visits))
            .wrap(SessionMiddleware::new(MemoryDriver::new()))
            .wrap(SessionMiddleware::new(MemoryDriver::new()));
        let app = init_service(app).await;
        let mut browser = Browser::default();
        for visits in ["1", "2", "3"] {
            assert_eq!(browser.get(&app, "/").await.body, visits);
        }
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("the same cookie name"), "{lines:?}");
    }
}

#[test_support::test(runtime = "actix")]
async fn a_failed_request_writes_one_warning() {
    let probe = Probe::new();
    let app = App::new()
        .route("/", web::get().to(visits))
        .wrap(SessionMiddleware::new(Traced::new(probe.clone())));
    let app = init_service(app).await;
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let log = Log::begin();
    for (operation, what) in [
        ("read", "could not be read"),
        ("write", "could not be written"),
    ] {
        probe.fail(operation, Outcome::NotApplied);
        let answer = browser.get(&app, "/").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        let lines = log.take();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("WARN") && lines[0].contains(what),
            "{lines:?}"
        );
    }
}
