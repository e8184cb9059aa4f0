//! Prints calls as a table.

use std::time::Duration;

use bytes::Bytes;
use session_core::{Version, WriteCondition};

use super::{Call, Event, Lasts, Seen};
use crate::failure::excerpt;

/// One line a call, in the order of their beginnings, with times since `first`.
pub(super) fn table(calls: &[Call], first: Duration) -> String {
    let since = |time: Duration| time.saturating_sub(first).as_secs_f64() * 1_000.0;
    let lines = calls.iter().map(|call| {
        let end = match call.end {
            Some(end) => format!("{:9.3} ms", since(end)),
            None => "  (unknown)".to_owned(),
        };
        let begin = since(call.begin);
        format!(
            "  driver {} {begin:9.3} –{end}  {}",
            call.process,
            event(&call.event)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn event(event: &Event) -> String {
    match event {
        Event::Read(seen) => format!("read: {}", entry(seen.as_ref())),
        Event::Wrote {
            value,
            lasts,
            condition,
            version,
        } => format!(
            "write of {}{}{}: written{}",
            shown(value),
            only(condition),
            until(*lasts),
            at(version.as_ref())
        ),
        Event::DidNotWrite { condition, current } => {
            format!(
                "write{}: conflict{}",
                only(condition),
                instead(current.as_ref())
            )
        }
        Event::Removed(version) => format!("removal{}: removed", if_at(version.as_ref())),
        Event::DidNotRemove(version, current) => {
            format!(
                "removal{}: conflict{}",
                if_at(Some(version)),
                instead(current.as_ref())
            )
        }
        Event::Touched { lasts, if_version } => {
            format!("touch{}{}: true", if_at(if_version.as_ref()), until(*lasts))
        }
        Event::DidNotTouch(version) => format!("touch{}: false", if_at(version.as_ref())),
    }
}

fn entry(seen: Option<&Seen>) -> String {
    match seen {
        None => "nothing".to_owned(),
        Some(Seen {
            value: None,
            version,
        }) => format!("an entry{}", at(version.as_ref())),
        Some(Seen {
            value: Some(value),
            version,
        }) => {
            format!("{}{}", shown(value), at(version.as_ref()))
        }
    }
}

fn shown(value: &Bytes) -> String {
    match value.len() {
        0..=24 => format!("\"{}\"", value.escape_ascii()),
        _ => excerpt(value),
    }
}

fn at(version: Option<&Version>) -> String {
    version.map_or(String::new(), |version| format!(" at {}", short(version)))
}

fn if_at(version: Option<&Version>) -> String {
    version.map_or(String::new(), |version| {
        format!(" if at {}", short(version))
    })
}

fn short(version: &Version) -> String {
    match version.to_u64() {
        Some(number) => number.to_string(),
        None => format!("{version:?}"),
    }
}

fn only(condition: &WriteCondition) -> String {
    match condition {
        WriteCondition::Always => String::new(),
        WriteCondition::IfAbsent => " if absent".to_owned(),
        WriteCondition::IfVersion(version) => if_at(Some(version)),
    }
}

fn until(lasts: Lasts) -> String {
    match lasts {
        Lasts::Forever => String::new(),
        Lasts::Until(first, last) | Lasts::UntilByClients(first, last) => {
            format!(" until {}…{} ms", first.as_millis(), last.as_millis())
        }
    }
}

fn instead(current: Option<&Option<Seen>>) -> String {
    match current {
        None => String::new(),
        Some(seen) => format!(" with {}", entry(seen.as_ref())),
    }
}
