//! Flash messages.

use serde::{Deserialize, Serialize};
use session_kit::session::TypedKey;
use session_kit::{Error, Session};

/// A message that is shown once, on the next page.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) is_error: bool,
    pub(crate) text: String,
}

const NOTICE: TypedKey<Notice> = TypedKey::new("notice");

impl Notice {
    pub(crate) fn success(text: impl Into<String>) -> Self {
        Self {
            is_error: false,
            text: text.into(),
        }
    }

    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
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
