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

/// A page of the visitor with this session: with the name in the navigation, and with the flashed notice.
pub(crate) async fn page(
    session: &Session,
    section: Section,
    title: &str,
    content: Markup,
) -> Result<Markup, Error> {
    let user = session.get(USER).await?;
    let notice = Notice::take(session).await?;
    Ok(document(
        title,
        &navigation(Some(section), user.as_deref()),
        notice,
        &content,
    ))
}

/// A page for when there may be no session to be had.
pub(crate) fn without_session(title: &str, content: Markup) -> Markup {
    document(title, &navigation(None, None), None, &content)
}

fn navigation(current: Option<Section>, user: Option<&str>) -> Markup {
    let account = match user {
        Some(_) => ("/logout", "Log out"),
        None => ("/login", "Log in"),
    };
    let entries = [
        (Section::Counter, ("/", "Counter")),
        (Section::Cart, ("/cart", "Cart")),
        (Section::Session, ("/session", "Session")),
        (Section::Account, account),
    ];
    html! {
        nav aria-label="Pages" {
            ul {
                @for (section, (path, name)) in entries {
                    li { a href=(path) aria-current=[(current == Some(section)).then_some("page")] { (name) } }
                }
            }
        }
        @if let Some(user) = user {
            p.user { "Logged in as " strong { (user) } }
        }
    }
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
