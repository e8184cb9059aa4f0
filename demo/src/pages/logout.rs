//! Logout: an example of `Session::destroy`.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use maud::{Markup, html};
use session_kit::{Error, Session};

use crate::layout::{Section, page};
use crate::notice::Notice;

pub(crate) fn routes() -> Router {
    Router::new().route("/logout", get(confirm).post(log_out))
}

/// Asks for confirmation, because a GET request must not change anything.
async fn confirm(session: Session) -> Result<Markup, Error> {
    let content = html! {
        h1 { "Log out?" }
        @if session.manager().driver().is_some() {
            p { "This deletes your session on the server, including the cart and the visits." }
        } @else {
            p {
                "This deletes the session cookie in your browser, including the cart and the visits. A copy of the cookie \
                 stays valid until it expires."
            }
        }
        form method="post" action="/logout" {
            div.actions {
                button type="submit" { "Log out" }
                a.button.quiet href="/" { "Cancel" }
            }
        }
    };
    page(&session, Section::Logout, "Log out", content).await
}

async fn log_out(session: Session) -> Result<Redirect, Error> {
    session.destroy().await?;
    // Changes after `destroy` go to a new session with a new id.
    Notice::success("You are logged out.").flash(&session)?;
    Ok(Redirect::to("/login"))
}
