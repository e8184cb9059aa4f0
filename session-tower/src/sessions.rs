//! All sessions of a request, for several session layers.

use session_core::session::Session;

/// The sessions of outer layers, from the outermost in.
#[derive(Clone, Debug, Default)]
pub(crate) struct OuterSessions(Vec<Session>);

impl OuterSessions {
    /// Iterates over these sessions and one more.
    pub(crate) fn with<'a>(&'a self, inner: &'a Session) -> impl Iterator<Item = &'a Session> {
        self.0.iter().chain([inner])
    }

    pub(crate) fn push(&mut self, session: Session) {
        self.0.push(session);
    }
}

/// All sessions of a request, for routes with several session layers whose cookies have different names.
///
/// ```
/// use session_tower::{Error, Sessions};
///
/// async fn dashboard(sessions: Sessions) -> Result<String, Error> {
///     let Some(admin) = sessions.by_cookie("admin") else {
///         return Ok("no admin sessions here".to_owned());
///     };
///     Ok(admin.get("name").await?.unwrap_or_default())
/// }
/// ```
///
/// The [`Session`] extractor returns the session of the innermost layer.
#[derive(Clone, Debug)]
pub struct Sessions(Vec<Session>);

impl Sessions {
    /// Returns the sessions that the layers around a handler have put into the request's extensions.
    pub fn from_extensions(extensions: &http::Extensions) -> Self {
        let mut sessions = extensions
            .get::<OuterSessions>()
            .map(|outer| outer.0.clone())
            .unwrap_or_default();
        sessions.extend(extensions.get::<Session>().cloned());
        Self(sessions)
    }

    /// Returns the session whose cookie has this name.
    pub fn by_cookie(&self, name: &str) -> Option<&Session> {
        self.0
            .iter()
            .find(|session| session.manager().cookie_name() == name)
    }

    /// Iterates over all sessions, from the outermost layer in.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.0.iter()
    }
}

#[cfg(feature = "axum")]
impl<S: Send + Sync> axum_core::extract::FromRequestParts<S> for Sessions {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}
