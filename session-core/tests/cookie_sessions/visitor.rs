//! A site whose sessions are in cookies, and a browser that keeps those.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use session_core::session::{
    CookieOptions, CookieRejection, CookieSessionOptions, Session, SessionEvent, SessionManager,
    SessionManagerBuilder,
};
use session_core::{Error, ManualClock, Result, Timestamp};

/// A secret as a site has one.
pub(crate) const SECRET: &str = "correct horse battery staple, and 32 bytes";
pub(crate) const OTHER_SECRET: &str = "another horse, another battery, and 32 bytes";
pub(crate) const START: u64 = 1_795_298_344_000;

pub(crate) struct Site {
    pub(crate) store: SessionManager,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) rejections: Arc<Mutex<Vec<CookieRejection>>>,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::with(CookieSessionOptions::new([SECRET]), |store| store)
    }

    pub(crate) fn with(
        options: CookieSessionOptions,
        settings: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let rejections: Arc<Mutex<Vec<CookieRejection>>> = Arc::default();
        let heard = Arc::clone(&rejections);
        let builder = SessionManager::in_cookies(options)
            .cookie(CookieOptions::default().with_name("sid"))
            .clock(clock.clone())
            .on_event(move |event| {
                if let SessionEvent::CookieRejected(rejection) = event {
                    heard.lock().push(*rejection);
                }
            });
        Self {
            store: settings(builder).build().unwrap(),
            clock,
            rejections,
        }
    }

    pub(crate) fn take_rejections(&self) -> Vec<CookieRejection> {
        std::mem::take(&mut self.rejections.lock())
    }
}

/// A browser, which keeps one site's cookies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn with(name: &str, value: impl Into<String>) -> Self {
        Self {
            cookies: BTreeMap::from([(name.to_owned(), value.into())]),
        }
    }

    pub(crate) fn value(&self) -> &str {
        &self.cookies["sid"]
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let value = HeaderValue::try_from(pairs.join("; ")).unwrap();
            headers.insert(COOKIE, value);
        }
        headers
    }

    /// A request, after which the browser has the cookies of the response; gives those.
    pub(crate) async fn visit<F, Fut>(&mut self, site: &Site, handler: F) -> Vec<String>
    where
        F: FnOnce(Session) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        self.try_visit(site, handler).await.unwrap()
    }

    /// The same, with the error of the commit.
    pub(crate) async fn try_visit<F, Fut>(&mut self, site: &Site, handler: F) -> Result<Vec<String>>
    where
        F: FnOnce(Session) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let session = site.store.session_from_headers(&self.headers());
        handler(session.clone()).await?;
        let finished = session.commit(http::StatusCode::OK).await;
        let cookies: Vec<String> = finished
            .headers
            .set_cookies()
            .map(|cookie| cookie.to_str().unwrap().to_owned())
            .collect();
        for cookie in &cookies {
            self.keep(cookie);
        }
        match finished.failure {
            Some(failure) => Err(Error::new(
                failure.error().kind(),
                failure.error().to_string(),
            )),
            None => Ok(cookies),
        }
    }

    /// What a browser does with a `Set-Cookie`.
    pub(crate) fn keep(&mut self, cookie: &str) {
        let (name, rest) = cookie.split_once('=').unwrap();
        let value = rest.split(';').next().unwrap();
        if rest.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// What the session holds under `name`.
    pub(crate) async fn read(&self, site: &Site, name: &str) -> Option<String> {
        let session = site.store.session_from_headers(&self.headers());
        session.get::<String>(name).await.unwrap()
    }
}

pub(crate) fn set(name: &'static str, value: impl Into<String>) -> impl FnOnce(Session) -> Done {
    let value = value.into();
    move |session| std::future::ready(session.set(name, &value))
}

pub(crate) type Done = std::future::Ready<Result<(), Error>>;
