use maud::{DOCTYPE, Markup, html};
use session_kit::{Error, Session};

use crate::assets::{ICON, STYLE};
use crate::notice::Notice;
use crate::user::USER;

/// The entries of the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Counter,
    Cart,
    Session,
    Account,
}

/// An entry, where it leads, and what it is called.
type Link = (Section, (&'static str, &'static str));

const COUNTER: Link = (Section::Counter, ("/", "Counter"));
const CART: Link = (Section::Cart, ("/cart", "Cart"));
const SESSION: Link = (Section::Session, ("/session", "Session"));

/// A page of the visitor with this session: with the name in the navigation, and with the flashed notice.
pub(crate) async fn page(
    session: &Session,
    section: Section,
    title: &str,
    content: Markup,
) -> Result<Markup, Error> {
    let user = session.get(USER).await?;
    let notice = Notice::take(session).await?;
    let account = match user {
        Some(_) => ("/logout", "Log out"),
        None => ("/login", "Log in"),
    };
    let navigation = html! {
        nav aria-label="Pages" {
            ul {
                @for (to, (path, name)) in [COUNTER, CART, SESSION, (Section::Account, account)] {
                    li { a href=(path) aria-current=[(to == section).then_some("page")] { (name) } }
                }
            }
        }
        @if let Some(user) = user {
            p.user { "Logged in as " strong { (user) } }
        }
    };
    Ok(document(title, &navigation, notice, &content))
}

/// A page for when there may be no session to be had.
pub(crate) fn without_session(title: &str, content: Markup) -> Markup {
    let navigation = html! {
        nav aria-label="Pages" {
            ul {
                @for (_, (path, name)) in [COUNTER, CART, SESSION] {
                    li { a href=(path) { (name) } }
                }
            }
        }
    };
    document(title, &navigation, None, &content)
}

fn document(title: &str, navigation: &Markup, notice: Option<Notice>, content: &Markup) -> Markup {
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
                    (navigation)
                }
                main id="main" {
                    @if let Some(notice) = notice {
                        p.notice.problem[notice.is_problem] role=(if notice.is_problem { "alert" } else { "status" }) {
                            (notice.text)
                        }
                    }
                    (content)
                }
                footer {
                    p { "A demo: nothing here is for sale, and no password is a secret." }
                }
            }
        }
    }
}
