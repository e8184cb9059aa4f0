//! Shows the stored session and the capabilities of the driver.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use maud::{Markup, html};
use serde_json::value::RawValue;
use session_kit::session::SessionId;
use session_kit::{Capabilities, Conditions, Consistency, Driver, Entry, Error, Key, Listing};
use session_kit::{Session, Timestamp};

use crate::layout::{Section, page};

pub(crate) fn routes() -> Router {
    Router::new().route("/session", get(show))
}

/// Shows the stored record of this session. Applications do not need to read it; the demo shows how it works.
async fn show(session: Session) -> Result<Markup, Error> {
    // Loads the session, so that its id is verified and not only the value of the cookie.
    let names = session.keys().await?;
    let Some(driver) = session.manager().driver() else {
        return page(&session, Section::Session, "Session", in_the_cookie(&names)).await;
    };
    let stored = match session.id() {
        Some(id) => {
            let entry = driver.read(&Key::new(id.expose())?).await?;
            entry.map(|entry| (id, entry))
        }
        None => None,
    };
    let content = html! {
        h1 { "Session" }
        @match &stored {
            Some((id, entry)) => (details(id, entry, &names)),
            None => p.empty {
                "You have no session yet. A session starts when there is something to store: "
                a href="/" { "count a visit" } " or " a href="/cart" { "fill the cart" } "."
            },
        }
        h2 { "Driver" }
        (description(&**driver))
    };
    page(&session, Section::Session, "Session", content).await
}

/// Describes a session that is stored in the cookie.
fn in_the_cookie(names: &[String]) -> Markup {
    html! {
        h1 { "Session" }
        @if names.is_empty() {
            p.empty {
                "You have no session yet. A session starts when there is something to store: "
                a href="/" { "count a visit" } " or " a href="/cart" { "fill the cart" } "."
            }
        } @else {
            dl { div { dt { "Values" } dd { (names.join(", ")) } } }
        }
        h2 { "Driver" }
        dl { div { dt { "Name" } dd id="driver" { "cookie" } } }
        p { "There is no driver: the whole session is in your cookie. It is encrypted, so you can neither read nor change it." }
        h2 { "Limits" }
        ul id="limits" {
            li {
                "A copy of the cookie stays valid until it expires, even after you log out: the server does not know which \
                 cookies are old."
            }
            li {
                "If two responses set the cookie at the same time, the last one wins. If you add two products in two tabs at \
                 once, one may be missing."
            }
            li { "It is small: browsers limit a cookie to 4,096 bytes." }
        }
    }
}

fn details(id: &SessionId, entry: &Entry, names: &[String]) -> Markup {
    html! {
        dl {
            div { dt { "Id" } dd {
                "secret, because the id gives access to the session. The log shows " code { (id.fingerprint()) } "."
            } }
            div { dt { "Expires" } dd { (expiry(entry.expires_at)) } }
            div { dt { "Values" } dd { (names.join(", ")) } }
            div { dt { "Size" } dd { (entry.value.len()) " bytes" } }
        }
        h2 id="record" { "Stored record" }
        pre tabindex="0" role="region" aria-labelledby="record" { code { (pretty(&entry.value)) } }
        p.hint {
            "This is the devalue format, which Astro also reads and writes: a list in which numbers refer to other entries \
             by position."
        }
    }
}

fn expiry(expires_at: Option<Timestamp>) -> Markup {
    let Some(expires_at) = expires_at else {
        return html! { "never" };
    };
    let left = expires_at.saturating_since(Timestamp::now());
    html! {
        "in " (in_words(left))
        @if let Some(time) = expires_at.to_system_time() { ", on " (httpdate::fmt_http_date(time)) }
    }
}

fn in_words(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    let (days, hours, minutes) = (minutes / (24 * 60), minutes / 60 % 24, minutes % 60);
    let parts: Vec<String> = [(days, "day"), (hours, "hour"), (minutes, "minute")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .take(2)
        .map(|(count, unit)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" }))
        .collect();
    match parts.is_empty() {
        true => "a moment".to_owned(),
        false => parts.join(" and "),
    }
}

/// Formats the record with one entry per line, each with its position.
fn pretty(record: &[u8]) -> String {
    match serde_json::from_slice::<Vec<&RawValue>>(record) {
        Ok(entries) => entries
            .iter()
            .enumerate()
            .map(|(position, entry)| format!("{position:>3}  {entry}\n"))
            .collect(),
        Err(_) => String::from_utf8_lossy(record).into_owned(),
    }
}

fn description(driver: &dyn Driver) -> Markup {
    let capabilities = driver.capabilities();
    let facts = facts(&capabilities);
    html! {
        dl {
            div { dt { "Name" } dd id="driver" { (driver.name()) } }
            @for (name, fact) in facts {
                div { dt { (name) } dd { (fact) } }
            }
        }
    }
}

fn facts(capabilities: &Capabilities) -> [(&'static str, String); 8] {
    let yes_or_no = |yes| if yes { "yes" } else { "no" }.to_owned();
    [
        (
            "Conditional writes",
            match capabilities.conditions {
                Conditions::None => "no, the last writer wins",
                Conditions::Advisory => "yes, among writers that use its lock",
                Conditions::All => "yes, against every writer",
                _ => "unknown",
            }
            .to_owned(),
        ),
        (
            "Consistency",
            match capabilities.consistency {
                Consistency::Strong => "strong: a read sees all earlier writes",
                Consistency::Eventual => "eventual: a read may return an older state",
                _ => "unknown",
            }
            .to_owned(),
        ),
        (
            "Expiry granularity",
            format!("{} ms", capabilities.expiry_granularity.as_millis()),
        ),
        ("Native expiry", yes_or_no(capabilities.native_expiry)),
        (
            "Touch (renews expiry without rewriting)",
            yes_or_no(capabilities.touch),
        ),
        (
            "Listing",
            match capabilities.listing {
                Listing::None => "no",
                Listing::AtLeastOnce => "yes, each key at least once",
                Listing::ExactlyOnce => "yes, each key exactly once",
                _ => "unknown",
            }
            .to_owned(),
        ),
        ("Batches", yes_or_no(capabilities.batch)),
        ("Watch", yes_or_no(capabilities.watch)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_shown_in_its_two_largest_units() {
        let minutes = |count: u64| in_words(Duration::from_secs(60 * count));
        assert_eq!(minutes(0), "a moment");
        assert_eq!(minutes(1), "1 minute");
        assert_eq!(minutes(61), "1 hour and 1 minute");
        assert_eq!(minutes(24 * 60 + 2), "1 day and 2 minutes");
        assert_eq!(minutes(2 * 24 * 60 + 61), "2 days and 1 hour");
        assert_eq!(in_words(Duration::from_secs(3_599)), "1 hour");
    }

    #[test]
    fn a_record_has_one_line_per_entry_and_other_text_is_unchanged() {
        assert_eq!(
            pretty(br#"[["Map",1,2],"a, b",{"data":-1}]"#),
            "  0  [\"Map\",1,2]\n  1  \"a, b\"\n  2  {\"data\":-1}\n"
        );
        assert_eq!(pretty(b"null"), "null");
        assert_eq!(pretty(b"\xff["), "\u{fffd}[");
    }
}
