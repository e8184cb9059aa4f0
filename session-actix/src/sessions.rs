//! All sessions of a request, for several session middlewares.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::{Extensions, Payload};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use session_core::session::Session;

/// The sessions of outer middlewares, from the outermost in.
#[derive(Clone, Debug, Default)]
pub(crate) struct OuterSessions(Vec<Session>);

impl OuterSessions {
    pub(crate) fn push(&mut self, session: Session) {
        self.0.push(session);
    }
}

/// All sessions of a request, for routes with several session middlewares whose cookies have different names.
///
/// ```
/// use session_actix::{Error, Sessions};
///
/// async fn dashboard(sessions: Sessions) -> Result<String, Error> {
///     let Some(admin) = sessions.by_cookie("admin") else {
///         return Ok("no admin sessions here".to_owned());
///     };
///     Ok(admin.get("name").await?.unwrap_or_default())
/// }
/// ```
///
/// The [`Session`] extractor returns the session of the innermost middleware.
#[derive(Clone, Debug)]
pub struct Sessions(Vec<Session>);

impl Sessions {
    pub(crate) fn from_extensions(extensions: &Extensions) -> Self {
        let outer = extensions.get::<OuterSessions>();
        let mut sessions = outer.map(|outer| outer.0.clone()).unwrap_or_default();
        sessions.extend(extensions.get::<Session>().cloned());
        Self(sessions)
    }

    /// Returns the session whose cookie has this name.
    pub fn by_cookie(&self, name: &str) -> Option<&Session> {
        self.0
            .iter()
            .find(|session| session.manager().cookie_name() == name)
    }

    /// Iterates over all sessions, from the outermost middleware in.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.0.iter()
    }
}

impl FromRequest for Sessions {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::from_extensions(&request.extensions())))
    }
}
