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

/// What is stored under this session's id. An application has no need of this: it is here to look behind the scenes.
async fn show(session: Session) -> Result<Markup, Error> {
    // This loads the session, so that its id is one that the store knows and not just what the browser sent.
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
                "You have no session yet. One begins when there is something to remember, and not before: "
                a href="/" { "count a visit" } " or " a href="/cart" { "fill the cart" } "."
            },
        }
        h2 { "Driver" }
        (description(&**driver))
    };
    page(&session, Section::Session, "Session", content).await
}

/// For a session that nobody but the browser has.
fn in_the_cookie(names: &[String]) -> Markup {
    html! {
        h1 { "Session" }
        @if names.is_empty() {
            p.empty {
                "You have no session yet. One begins when there is something to remember, and not before: "
                a href="/" { "count a visit" } " or " a href="/cart" { "fill the cart" } "."
            }
        } @else {
            dl { div { dt { "Values" } dd { (names.join(", ")) } } }
        }
        h2 { "Driver" }
        dl { div { dt { "Name" } dd id="driver" { "cookie" } } }
        p { "There is none: all of the session is in your cookie, where you can neither read nor change it." }
        h2 { "What that cannot do" }
        ul id="limits" {
            li {
                "A copy of the cookie is good until it ends, also after you have logged out: nothing on the server \
                 could tell that it is an old one."
            }
            li {
                "When two answers are under way at the same time, the one that comes later wins. Add two things to the \
                 cart in two tabs at once, and one may be missing."
            }
            li { "It is small: browsers keep 4,096 bytes of a cookie." }
        }
    }
}

fn details(id: &SessionId, entry: &Entry, names: &[String]) -> Markup {
    html! {
        dl {
            div { dt { "Id" } dd {
                "a secret: whoever has it, has the session. In the log it is " code { (id.fingerprint()) } "."
            } }
            div { dt { "Ends" } dd { (end(entry.expires_at)) } }
            div { dt { "Values" } dd { (names.join(", ")) } }
            div { dt { "Size" } dd { (entry.value.len()) " bytes" } }
        }
        h2 id="record" { "Stored record" }
        pre tabindex="0" role="region" aria-labelledby="record" { code { (pretty(&entry.value)) } }
        p.hint {
            "This is devalue, which an Astro app reads and writes as well: a list in which numbers refer to \
             other entries by their position."
        }
    }
}

fn end(end: Option<Timestamp>) -> Markup {
    let Some(end) = end else {
        return html! { "never" };
    };
    let left = end.saturating_since(Timestamp::now());
    html! {
        "in " (in_words(left))
        @if let Some(end) = end.to_system_time() { ", on " (httpdate::fmt_http_date(end)) }
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

/// The record with each entry of its list in a line of its own, under its position.
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
    let can = driver.capabilities();
    let facts = facts(&can);
    html! {
        dl {
            div { dt { "Name" } dd id="driver" { (driver.name()) } }
            @for (name, fact) in facts {
                div { dt { (name) } dd { (fact) } }
            }
        }
    }
}

fn facts(can: &Capabilities) -> [(&'static str, String); 8] {
    let yes_or_no = |yes| if yes { "yes" } else { "no" }.to_owned();
    [
        (
            "Conditional writes",
            match can.conditions {
                Conditions::None => "none: the last writer wins",
                Conditions::Advisory => "among writers that take its lock",
                Conditions::All => "against every writer",
                _ => "unknown",
            }
            .to_owned(),
        ),
        (
            "Consistency",
            match can.consistency {
                Consistency::Strong => "strong: a read sees what was written before",
                Consistency::Eventual => "eventual: a read may see an older state",
                _ => "unknown",
            }
            .to_owned(),
        ),
        (
            "Expiry granularity",
            format!("{} ms", can.expiry_granularity.as_millis()),
        ),
        ("Native expiry", yes_or_no(can.native_expiry)),
        (
            "Touch (renews expiry without rewriting)",
            yes_or_no(can.touch),
        ),
        (
            "Listing",
            match can.listing {
                Listing::None => "no",
                Listing::AtLeastOnce => "each at least once",
                Listing::ExactlyOnce => "each exactly once",
                _ => "unknown",
            }
            .to_owned(),
        ),
        ("Batches", yes_or_no(can.batch)),
        ("Watch", yes_or_no(can.watch)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_by_its_two_largest_units() {
        let minutes = |count: u64| in_words(Duration::from_secs(60 * count));
        assert_eq!(minutes(0), "a moment");
        assert_eq!(minutes(1), "1 minute");
        assert_eq!(minutes(61), "1 hour and 1 minute");
        assert_eq!(minutes(24 * 60 + 2), "1 day and 2 minutes");
        assert_eq!(minutes(2 * 24 * 60 + 61), "2 days and 1 hour");
        assert_eq!(in_words(Duration::from_secs(3_599)), "1 hour");
    }

    #[test]
    fn a_record_has_a_line_for_each_entry_and_whatever_else_is_shown_as_it_is() {
        assert_eq!(
            pretty(br#"[["Map",1,2],"a, b",{"data":-1}]"#),
            "  0  [\"Map\",1,2]\n  1  \"a, b\"\n  2  {\"data\":-1}\n"
        );
        assert_eq!(pretty(b"null"), "null");
        assert_eq!(pretty(b"\xff["), "\u{fffd}[");
    }
}
