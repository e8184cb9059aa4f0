//! Encodes a record from an old one and changes. Entries that do not change are copied as text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use serde_devalue::{Document, Edit, Node, WriteOptions, Writer};

use super::changes::{Changes, Flash};
use super::lifetime::{LifetimeRules, RecordLifetime, Timeout};
use super::record::{
    FLASH_ENTRY, Item, LIFETIME_ENTRY, Record, is_expired, stored_value_error, to_expires,
    to_timestamp,
};
use crate::{Error, ErrorKind, Result, Timestamp};

/// An encoded record.
pub(crate) struct Encoded {
    pub(crate) record: Record,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) lifetime: RecordLifetime,
}

/// The result of applying changes to a record.
pub(crate) enum Outcome {
    /// The same record as before, or still none.
    Unchanged,
    /// A record to write.
    Changed(Encoded),
}

/// Encodes a value of a session. It is refused if it could not be read again, here or by Astro.
pub(crate) fn value<T: Serialize + ?Sized>(value: &T, name: &str) -> Result<Document> {
    let options = WriteOptions::astro().portable();
    serde_devalue::to_document_with(value, options).map_err(|error| {
        let reason = match error.kind() {
            serde_devalue::ErrorKind::TooExpanded => {
                "repeats so much that it could not be read again (`serde_devalue::Limits::expansion`)"
            }
            _ => "cannot be written as devalue",
        };
        Error::new(
            ErrorKind::Unserializable,
            format!("the session value `{name}` {reason}; nothing was changed"),
        )
        .with_source(error)
    })
}

/// Applies `changes` to `base` and encodes the result. With `renew`, it also notes that the record is renewed now.
///
/// Entries keep the order in which they were first stored. Expired values are left out.
pub(crate) fn encode(
    base: Option<&Record>,
    changes: &Changes,
    renew: bool,
    rules: &LifetimeRules,
    max_size: usize,
    now: Timestamp,
) -> Result<Outcome> {
    let flashes = merge_flashes(base, changes);
    let stored_lifetime = base.and_then(Record::lifetime);
    let asked_lifetime = changes.lifetime();

    let sets =
        |(_, item): (_, Option<&Item>)| item.is_some_and(|item| !is_expired(item.expires, now));
    if base.is_none() && flashes.is_empty() && !changes.names().any(sets) {
        return Ok(Outcome::Unchanged);
    }
    let unchanged = |new: &Document| {
        !renew
            && asked_lifetime.is_none()
            && base.is_some_and(|base| new.as_bytes() == base.bytes())
    };
    let edited_with = |lifetime| edited(base, changes, &flashes, lifetime, now);
    // A record that Astro wrote is not rewritten only to add the lifetime entry.
    if base.is_some() && stored_lifetime.is_none() && unchanged(&edited_with(None)?) {
        return Ok(Outcome::Unchanged);
    }
    let mut lifetime = stored_lifetime.unwrap_or_else(|| rules.begin(now));
    if let Some(asked) = asked_lifetime {
        lifetime = lifetime.with(asked, rules, now);
    }
    let is_stored = asked_lifetime.is_none() && stored_lifetime.is_some();
    let mut document = edited_with((!is_stored).then_some(&lifetime))?;
    if unchanged(&document) {
        return Ok(Outcome::Unchanged);
    }
    let renewed = rules.stamp_interval(&lifetime).map(|_| now);
    let lifetime = RecordLifetime {
        renewed,
        ..lifetime
    };
    if renewed.is_some() || stored_lifetime.is_some_and(|stored| stored.renewed.is_some()) {
        document = edited_with(Some(&lifetime))?;
    }
    let size = document.as_bytes().len();
    if size > max_size {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the session would take {size} bytes, and the limit is {max_size}; store less in it, or \
                 raise `max_record_size`"
            ),
        ));
    }
    let last_value_expiry = match flashes.is_empty() {
        true => last_value_expiry(base, changes, now),
        false => None,
    };
    Ok(Outcome::Changed(Encoded {
        record: Record::new(document)?,
        expires_at: rules.expires_at(Some(&lifetime), last_value_expiry, now),
        lifetime,
    }))
}

/// Makes a record from values and flashed values.
#[cfg(feature = "cookie-session")]
pub(crate) fn record_of(
    items: &[(&str, Item)],
    flashes: &[(&str, Item)],
    lifetime: Option<&RecordLifetime>,
) -> Result<crate::Bytes> {
    let flashes: Vec<_> = flashes
        .iter()
        .map(|(name, item)| (Cow::Borrowed(*name), item.node()))
        .collect();
    let mut edit = Edit::new();
    for (name, item) in items {
        edit.set_with(*name, |writer| write_item(writer, item));
    }
    if !flashes.is_empty() {
        edit.set_with(FLASH_ENTRY, |writer| write_flashes(writer, &flashes));
    }
    if let Some(lifetime) = lifetime {
        edit.set_with(LIFETIME_ENTRY, |writer| write_lifetime(writer, lifetime));
    }
    let text = edit.finish(WriteOptions::astro());
    text.map(crate::Bytes::from).map_err(unserializable)
}

/// The record with these changes, and with `lifetime` if it is new.
fn edited(
    base: Option<&Record>,
    changes: &Changes,
    flashes: &[(Cow<'_, str>, Node<'_>)],
    lifetime: Option<&RecordLifetime>,
    now: Timestamp,
) -> Result<Document> {
    let mut edit = match base {
        Some(base) => base.document().edit().map_err(unserializable)?,
        None => Edit::new(),
    };
    let gone: HashSet<_> = base
        .into_iter()
        .flat_map(Record::own_entries)
        .filter(|entry| changes.is_cleared() || is_expired(entry.expires, now))
        .map(|entry| entry.name.id())
        .collect();
    if !gone.is_empty() {
        edit.retain(|name, _| !gone.contains(&name.id()));
    }
    for (name, item) in changes.names() {
        match item {
            Some(item) if !is_expired(item.expires, now) => {
                edit.set_with(name, move |writer| write_item(writer, item));
            }
            _ => {
                edit.remove(name);
            }
        }
    }
    if flashes.is_empty() {
        edit.remove(FLASH_ENTRY);
    } else if changes.is_cleared() || changes.flashes().next().is_some() {
        edit.set_with(FLASH_ENTRY, move |writer| write_flashes(writer, flashes));
    }
    if let Some(lifetime) = lifetime {
        edit.set_with(LIFETIME_ENTRY, move |writer| {
            write_lifetime(writer, lifetime)
        });
    }
    let document = edit.finish_document(WriteOptions::astro());
    document.map_err(unserializable)
}

fn merge_flashes<'a>(
    base: Option<&'a Record>,
    changes: &'a Changes,
) -> Vec<(Cow<'a, str>, Node<'a>)> {
    let base = base.filter(|_| !changes.is_cleared());
    let mut flashes = base.map(Record::flashes).unwrap_or_default();
    for (name, flash) in changes.flashes() {
        match flash {
            Flash::Put(item) => {
                flashes.retain(|(found, _)| found != name);
                flashes.push((Cow::Borrowed(name), item.node()));
            }
            Flash::Taken(item) => {
                let taken = encoded(item.node());
                flashes.retain(|(found, node)| found != name || encoded(*node) != taken);
            }
        }
    }
    flashes
}

/// Encodes a value on its own, to compare it with another; `None` if that fails.
pub(crate) fn encoded(node: Node<'_>) -> Option<String> {
    let mut writer = Writer::new(WriteOptions::astro());
    writer.copy(node).ok()?;
    writer.finish().ok()
}

/// The latest expiry of the values, if all of them have one.
fn last_value_expiry(
    base: Option<&Record>,
    changes: &Changes,
    now: Timestamp,
) -> Option<Timestamp> {
    let base = base.filter(|_| !changes.is_cleared());
    let kept = base
        .into_iter()
        .flat_map(Record::own_entries)
        .filter(|entry| {
            let name = entry.text_name();
            name.is_none_or(|name| changes.position(&name).is_none())
        });
    let kept = kept.map(|entry| entry.expires);
    let set = changes.names().filter_map(|(_, item)| Some(item?.expires));
    let mut last = None;
    for expires in kept.chain(set).filter(|expires| !is_expired(*expires, now)) {
        last = last.max(Some(to_timestamp(expires?)?));
    }
    last
}

fn write_item(writer: &mut Writer, item: &Item) -> Result<(), serde_devalue::Error> {
    writer.begin_object();
    writer.key("data");
    writer.copy(item.node())?;
    write_expires(writer, item.expires);
    writer.end();
    Ok(())
}

fn write_flashes(
    writer: &mut Writer,
    flashes: &[(Cow<'_, str>, Node<'_>)],
) -> Result<(), serde_devalue::Error> {
    writer.begin_object();
    writer.key("data");
    writer.begin_map();
    for (name, value) in flashes {
        writer.string(name);
        writer.copy(*value)?;
    }
    writer.end();
    write_expires(writer, None);
    writer.end();
    Ok(())
}

fn write_expires(writer: &mut Writer, expires: Option<f64>) {
    writer.key("expires");
    match expires {
        Some(expires) => writer.number(expires),
        None => writer.undefined(),
    }
}

fn write_lifetime(
    writer: &mut Writer,
    lifetime: &RecordLifetime,
) -> Result<(), serde_devalue::Error> {
    writer.begin_object();
    writer.key("data");
    writer.begin_object();
    writer.key("created");
    writer.number(to_expires(lifetime.created));
    if let Some(deadline) = lifetime.deadline {
        writer.key("deadline");
        writer.number(to_expires(deadline));
    }
    match lifetime.idle {
        Timeout::Configured => {}
        Timeout::Never => {
            writer.key("idle");
            writer.null();
        }
        Timeout::After(idle) => {
            writer.key("idle");
            writer.number(to_expires(idle_millis(idle)));
        }
    }
    if lifetime.persistent {
        writer.key("persistent");
        writer.bool(true);
    }
    if lifetime.own_deadline {
        writer.key("ownDeadline");
        writer.bool(true);
    }
    if let Some(renewed) = lifetime.renewed {
        writer.key("renewed");
        writer.number(to_expires(renewed));
    }
    writer.end();
    write_expires(writer, None);
    writer.end();
    Ok(())
}

fn idle_millis(idle: Duration) -> Timestamp {
    Timestamp::from_millis(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX))
}

fn unserializable(error: serde_devalue::Error) -> Error {
    stored_value_error(
        error,
        Error::new(
            ErrorKind::Unserializable,
            "the session cannot be written in its format; nothing was changed",
        ),
    )
}
