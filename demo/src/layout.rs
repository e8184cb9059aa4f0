//! The layout of all pages: head, navigation, notice and footer.

use maud::{DOCTYPE, Markup, html};
use session_kit::{Error, Session};

use crate::assets::{ICON, STYLE};
use crate::notice::Notice;
use crate::user::USER;

/// An entry of the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Counter,
    Cart,
    Session,
    Login,
    Logout,
}

impl Section {
    /// Returns the path and the label.
    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Counter => ("/", "Counter"),
            Self::Cart => ("/cart", "Cart"),
            Self::Session => ("/session", "Session"),
            Self::Login => ("/login", "Log in"),
            Self::Logout => ("/logout", "Log out"),
        }
    }
}

/// Renders a page for the visitor of this session, with the user name and the flashed notice.
pub(crate) async fn page(
    session: &Session,
    current: Section,
    title: &str,
    content: Markup,
) -> Result<Markup, Error> {
    let user = session.get(USER).await?;
    let notice = Notice::take(session).await?;
    let account = match user {
        Some(_) => Section::Logout,
        None => Section::Login,
    };
    let header = html! {
        (navigation(&[Section::Counter, Section::Cart, Section::Session, account], Some(current)))
        @if let Some(user) = user {
            p.user { "Logged in as " strong { (user) } }
        }
    };
    let content = html! {
        @if let Some(notice) = notice {
            p.notice.problem[notice.is_error] role=(if notice.is_error { "alert" } else { "status" }) {
                (notice.text)
            }
        }
        (content)
    };
    Ok(document(title, &header, &content))
}

/// Renders a page without a session, for errors.
pub(crate) fn without_session(title: &str, content: &Markup) -> Markup {
    let sections = [Section::Counter, Section::Cart, Section::Session];
    document(title, &navigation(&sections, None), content)
}

fn navigation(sections: &[Section], current: Option<Section>) -> Markup {
    html! {
        nav aria-label="Pages" {
            ul {
                @for section in sections {
                    @let (path, name) = section.link();
                    li { a href=(path) aria-current=[(current == Some(*section)).then_some("page")] { (name) } }
                }
            }
        }
    }
}

fn document(title: &str, header: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – session-kit demo" }
                link rel="icon" type="image/svg+xml" href=(ICON.path());
                link rel="stylesheet" href=(STYLE.path());
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    a.brand href="/" { img src=(ICON.path()) alt="" width="28" height="28"; "session-kit demo" }
                    (header)
                }
                main id="main" {
                    (content)
                }
                footer {
                    p { "This is a demo: nothing is for sale, and the password is public." }
                }
            }
        }
    }
}
