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

/// Everybody's, and on the page for everybody to read. A real application keeps a hash for each user.
const PASSWORD: &str = "open sesame";

/// What a visitor typed whose login failed, to be shown in the form again.
const TYPED_NAME: TypedKey<String> = TypedKey::new("typed-name");

const LONGEST_NAME: usize = 40;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    /// A checkbox, which a browser sends only if it is ticked.
    remember: Option<String>,
}

pub(crate) fn routes() -> Router {
    Router::new().route("/login", get(show).post(log_in))
}

async fn log_in(session: Session, Form(credentials): Form<Credentials>) -> Result<Redirect, Error> {
    let name = credentials.name.trim();
    if let Some(problem) = problem(name, &credentials.password) {
        Notice::problem(problem).flash(&session)?;
        session.flash(TYPED_NAME, &name.chars().take(LONGEST_NAME).collect())?;
        return Ok(Redirect::to("/login"));
    }
    // Whoever knew the id of the anonymous session must not come along into this one.
    session.regenerate()?;
    session.set(USER, &name.to_owned())?;
    session.set_lifetime(match credentials.remember {
        Some(_) => Lifetime::idle(30 * DAY)
            .with_absolute(365 * DAY)
            .persistent(),
        None => Lifetime::configured(),
    })?;
    Notice::good(format!("Welcome, {name}!")).flash(&session)?;
    Ok(Redirect::to("/login"))
}

fn problem(name: &str, password: &str) -> Option<&'static str> {
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        Some("Please give a name of at most 40 letters.")
    } else if password != PASSWORD {
        Some("That is not the password. It stands below the field.")
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
            "You are logged in. Your session got a new id on the way, and kept what was in it: "
            a href="/cart" { "your cart" } " for one."
        }
        div.actions {
            a.button href="/session" { "See the session" }
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
                    maxlength=(LONGEST_NAME) required;
            }
            div.field {
                label for="password" { "Password" }
                input id="password" type="password" name="password" autocomplete="off" required aria-describedby="hint";
                p.hint id="hint" { "This is a demo: any name will do, and the password is " code { (PASSWORD) } "." }
            }
            div.check {
                input id="remember" type="checkbox" name="remember" value="yes";
                label for="remember" { "Remember me for 30 days, also when the browser closes" }
            }
            button type="submit" { "Log in" }
        }
    }
}
