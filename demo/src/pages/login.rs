//! Login: an example of `Session::regenerate`, flash messages and lifetimes.

use std::time::Duration;

use axum::Router;
use axum::extract::Form;
use axum::response::Redirect;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use session_kit::session::{Lifetime, TypedKey};
use session_kit::{Error, Session};

use crate::layout::{Section, page};
use crate::notice::Notice;
use crate::user::USER;

/// The password of all users, which the page shows. A real application stores a hash for each user.
const PASSWORD: &str = "open sesame";

/// The name from a failed login, to fill in the form again.
const TYPED_NAME: TypedKey<String> = TypedKey::new("typed-name");

const MAX_NAME_LENGTH: usize = 40;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    /// A checkbox. Browsers only send it if it is checked.
    remember: Option<String>,
}

pub(crate) fn routes() -> Router {
    Router::new().route("/login", get(show).post(log_in))
}

async fn log_in(session: Session, Form(credentials): Form<Credentials>) -> Result<Redirect, Error> {
    let name = credentials.name.trim();
    if let Some(problem) = problem(name, &credentials.password) {
        Notice::error(problem).flash(&session)?;
        session.flash(TYPED_NAME, &name.chars().take(MAX_NAME_LENGTH).collect())?;
        return Ok(Redirect::to("/login"));
    }
    // Prevents session fixation: anyone who knows the id of the anonymous session must not get this one.
    session.regenerate()?;
    session.set(USER, &name.to_owned())?;
    session.set_lifetime(match credentials.remember {
        Some(_) => Lifetime::idle(30 * DAY)
            .with_absolute(365 * DAY)
            .persistent(),
        None => Lifetime::configured(),
    })?;
    Notice::success(format!("Welcome, {name}!")).flash(&session)?;
    Ok(Redirect::to("/login"))
}

fn problem(name: &str, password: &str) -> Option<&'static str> {
    if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH {
        Some("Please enter a name of 1 to 40 characters.")
    } else if password != PASSWORD {
        Some("Wrong password. The password is shown below the field.")
    } else {
        None
    }
}

async fn show(session: Session) -> Result<Markup, Error> {
    match session.get(USER).await? {
        Some(name) => page(&session, Section::Login, "Logged in", logged_in(&name)).await,
        None => {
            let typed = session.take_flash(TYPED_NAME).await?;
            page(&session, Section::Login, "Log in", form(typed)).await
        }
    }
}

fn logged_in(name: &str) -> Markup {
    html! {
        h1 { "Hello, " (name) }
        p {
            "You are logged in. Your session has a new id, and its data is still there, such as "
            a href="/cart" { "your cart" } "."
        }
        div.actions {
            a.button href="/session" { "View the session" }
            a.button.quiet href="/logout" { "Log out" }
        }
    }
}

fn form(typed: Option<String>) -> Markup {
    html! {
        h1 { "Log in" }
        form.card method="post" action="/login" {
            div.field {
                label for="name" { "Name" }
                input id="name" type="text" name="name" value=[typed] autocomplete="username"
                    maxlength=(MAX_NAME_LENGTH) required;
            }
            div.field {
                label for="password" { "Password" }
                input id="password" type="password" name="password" autocomplete="off" required aria-describedby="hint";
                p.hint id="hint" { "This is a demo: use any name. The password is " code { (PASSWORD) } "." }
            }
            div.check {
                input id="remember" type="checkbox" name="remember" value="yes";
                label for="remember" { "Remember me for 30 days, even after the browser is closed" }
            }
            button type="submit" { "Log in" }
        }
    }
}
