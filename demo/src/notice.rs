use serde::{Deserialize, Serialize};
use session_kit::session::TypedKey;
use session_kit::{Error, Session};

/// A message for the next page that the visitor sees, and for that one only.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) is_problem: bool,
    pub(crate) text: String,
}

const NOTICE: TypedKey<Notice> = TypedKey::new("notice");

impl Notice {
    pub(crate) fn good(text: impl Into<String>) -> Self {
        Self {
            is_problem: false,
            text: text.into(),
        }
    }

    pub(crate) fn problem(text: impl Into<String>) -> Self {
        Self {
            is_problem: true,
            text: text.into(),
        }
    }

    pub(crate) fn flash(self, session: &Session) -> Result<(), Error> {
        session.flash(NOTICE, &self)
    }

    pub(crate) async fn take(session: &Session) -> Result<Option<Self>, Error> {
        session.take_flash(NOTICE).await
    }
}
