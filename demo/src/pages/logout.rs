use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use maud::{Markup, html};
use session_kit::{Error, Session};

use crate::layout::{Section, page};
use crate::notice::Notice;

pub(crate) fn routes() -> Router {
    Router::new().route("/logout", get(ask).post(log_out))
}

/// Following a link must change nothing, so this only asks.
async fn ask(session: Session) -> Result<Markup, Error> {
    let content = html! {
        h1 { "Log out?" }
        @if session.manager().driver().is_some() {
            p { "Your session ends, on the server too: the cart and the visits go with it." }
        } @else {
            p {
                "Your browser forgets the session, and the cart and the visits with it. A copy of the cookie that \
                 somebody kept stays good until it ends."
            }
        }
        form method="post" action="/logout" {
            div.actions {
                button type="submit" { "Log out" }
                a.button.quiet href="/" { "Stay" }
            }
        }
    };
    page(&session, Section::Logout, "Log out", content).await
}

async fn log_out(session: Session) -> Result<Redirect, Error> {
    session.destroy().await?;
    // What comes after `destroy` goes to a new session, under a new id.
    Notice::good("You are logged out.").flash(&session)?;
    Ok(Redirect::to("/login"))
}
