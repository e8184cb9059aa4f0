//! All sessions of a request, for several session layers.

use super::Session;

/// All sessions of a request, for routes with several session layers whose cookies have different names.
///
/// ```
/// use session_core::{Result, session::Sessions};
///
/// async fn dashboard(sessions: Sessions) -> Result<String> {
///     let Some(admin) = sessions.by_cookie("admin") else {
///         return Ok("no admin sessions here".to_owned());
///     };
///     Ok(admin.get("name").await?.unwrap_or_default())
/// }
/// ```
///
/// The [`Session`] extractor returns the session of the innermost layer.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Vec<Session>);

impl Sessions {
    /// Returns the sessions that the layers around a handler have put into the request's extensions.
    pub fn from_extensions(extensions: &http::Extensions) -> Self {
        let only = || extensions.get::<Session>().cloned().map(Self::from);
        let sessions = extensions.get().cloned().or_else(only);
        sessions.unwrap_or_default()
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

    /// Adds the session of a layer within the layers of the others, for authors of integrations.
    ///
    /// Returns false if one of these has the same cookie name, so that the inner layer must do nothing. If it is another
    /// layer, this is logged once.
    pub fn enter(&mut self, session: &Session) -> bool {
        let manager = session.manager();
        let Some(outer) = self.by_cookie(manager.cookie_name()) else {
            self.0.push(session.clone());
            return true;
        };
        if !outer.manager().ptr_eq(manager) {
            manager.inner().warned_of_same_cookie.call_once(|| {
                tracing::warn!(
                    cookie = manager.cookie_name(),
                    "two session layers have the same cookie name; the inner one does nothing"
                );
            });
        }
        false
    }
}

/// The session of the outermost layer.
impl From<Session> for Sessions {
    fn from(session: Session) -> Self {
        Self(vec![session])
    }
}
