//! A counter of visits: an example of `Session::save` inside a handler.

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};
use maud::{Markup, html};
use session_kit::session::TypedKey;
use session_kit::{Error, Session};

use crate::layout::{Section, page};

const VISITS: TypedKey<u32> = TypedKey::new("visits");

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(show))
        .route("/counter/reset", post(reset))
}

async fn show(session: Session) -> Result<Markup, Error> {
    session
        .update(VISITS, |visits| visits.unwrap_or(0) + 1)
        .await?;
    // The layer would save the session after this handler. Saving it now makes the number final: if two requests
    // count at the same time, each gets a different number.
    session.save().await?;
    let visits = session.get_or_default(VISITS).await?;

    let content = html! {
        h1 { "Counter" }
        p.lead { "You have been here" }
        p.count { strong id="visits" { (visits) } (if visits == 1 { " time" } else { " times" }) }
        p {
            "Reload the page, open it in several tabs, or restart the server: no visit is lost, and each visit gets its \
             own number."
        }
        form method="post" action="/counter/reset" {
            div.actions {
                a.button href="/" { "Visit again" }
                button.quiet type="submit" { "Reset the counter" }
            }
        }
    };
    page(&session, Section::Counter, "Counter", content).await
}

async fn reset(session: Session) -> Result<Redirect, Error> {
    session.set(VISITS, &0)?;
    Ok(Redirect::to("/"))
}
