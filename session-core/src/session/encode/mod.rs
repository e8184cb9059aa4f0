//! Encodes a record from an old one and changes.
//!
//! [`repack`] copies unchanged entries as text. It is used if all parts of the record have a usual form; otherwise the
//! record is written anew.

use std::borrow::Cow;
use std::time::Duration;

use serde_devalue::{Document, Node, WriteOptions, Writer};
use smallvec::SmallVec;

use super::changes::{Changes, Flash};
use super::lifetime::{LifetimeRules, RecordLifetime, Timeout};
use super::record::{
    EntryNodes, FLASH_ENTRY, Item, LIFETIME_ENTRY, Record, is_expired, stored_value_error,
    to_expires, to_timestamp,
};
use crate::{Bytes, Error, ErrorKind, Result, Timestamp};

mod repack;
#[cfg(test)]
mod repack_tests;

/// An encoded record.
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    /// The parsed record, if it is known without parsing the bytes.
    pub(crate) record: Option<Record>,
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

/// The text of a record.
enum Text {
    Parsed(Document),
    Bytes(Bytes),
}

impl Text {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::Parsed(document) => document.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

enum Name<'a> {
    Text(&'a str),
    Node(Node<'a>),
}

enum Value<'a> {
    /// An unchanged entry of the old record, of any shape.
    Entry(EntryNodes<'a>),
    Item(&'a Item),
}

/// The entries of most records fit on the stack.
type Merged<'a> = SmallVec<[(Name<'a>, Value<'a>); 8]>;

/// Applies `changes` to `base` and encodes the result.
///
/// Entries keep the order in which they were first stored. Expired values are left out.
pub(crate) fn encode(
    base: Option<&Record>,
    changes: &Changes,
    rules: &LifetimeRules,
    max_size: usize,
    now: Timestamp,
) -> Result<Outcome> {
    let mut entries = Merged::new();
    merge_entries(&mut entries, base, changes, now);
    let flashes = merge_flashes(base, changes);
    let stored_lifetime = base.and_then(Record::lifetime);
    let asked_lifetime = changes.lifetime();

    if base.is_none() && entries.is_empty() && flashes.is_empty() {
        return Ok(Outcome::Unchanged);
    }
    let unchanged = |text: &Text| {
        asked_lifetime.is_none() && base.is_some_and(|base| text.bytes() == base.bytes())
    };
    // A record that Astro wrote is not rewritten only to add the lifetime entry.
    let text_with = |lifetime| write(base, &entries, &flashes, lifetime);
    if base.is_some() && stored_lifetime.is_none() && unchanged(&text_with(None)?) {
        return Ok(Outcome::Unchanged);
    }
    let mut lifetime = stored_lifetime.unwrap_or_else(|| rules.begin(now));
    if let Some(asked) = asked_lifetime {
        lifetime = lifetime.with(asked, rules, now);
    }
    let text = text_with(Some(&lifetime))?;
    if unchanged(&text) {
        return Ok(Outcome::Unchanged);
    }
    let size = text.bytes().len();
    if size > max_size {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the session would take {size} bytes, and the limit is {max_size}; store less in it, or \
                 raise `max_record_size`"
            ),
        ));
    }
    let last_value_expiry = if flashes.is_empty() {
        last_value_expiry(&entries)
    } else {
        None
    };
    let (bytes, record) = match text {
        Text::Parsed(document) => {
            let bytes = document.as_bytes().clone();
            (bytes, Record::written(document))
        }
        Text::Bytes(bytes) => (bytes, None),
    };
    Ok(Outcome::Changed(Encoded {
        bytes,
        record,
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
) -> Result<Bytes> {
    let entries: Vec<_> = items
        .iter()
        .map(|(name, item)| (Name::Text(name), Value::Item(item)))
        .collect();
    let flashes: Vec<_> = flashes
        .iter()
        .map(|(name, item)| (Cow::Borrowed(*name), item.node()))
        .collect();
    let text = write(None, &entries, &flashes, lifetime)?;
    Ok(text.bytes().clone())
}

fn merge_entries<'a>(
    merged: &mut Merged<'a>,
    base: Option<&'a Record>,
    changes: &'a Changes,
    now: Timestamp,
) {
    let mut is_merged: SmallVec<[bool; 32]> = SmallVec::from_elem(false, changes.len());
    for entry in base.into_iter().flat_map(Record::own_entries) {
        let name = entry.text_name();
        if let Some((index, result)) = name.and_then(|name| changes.position(&name)) {
            if let Some(item) = result
                && !is_expired(item.expires, now)
            {
                merged.push((Name::Node(entry.name), Value::Item(item)));
            }
            if let Some(is_merged) = is_merged.get_mut(index) {
                *is_merged = true;
            }
            continue;
        }
        if !changes.is_cleared() && !is_expired(entry.expires, now) {
            merged.push((Name::Node(entry.name), Value::Entry(entry)));
        }
    }
    for ((name, result), is_merged) in changes.names().zip(is_merged) {
        if let Some(item) = result
            && !is_expired(item.expires, now)
            && !is_merged
        {
            merged.push((Name::Text(name), Value::Item(item)));
        }
    }
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
fn encoded(node: Node<'_>) -> Option<String> {
    let mut writer = Writer::new(WriteOptions::astro());
    writer.node(node).ok()?;
    writer.finish().ok()
}

fn last_value_expiry(entries: &[(Name<'_>, Value<'_>)]) -> Option<Timestamp> {
    let mut last = None;
    for (_, value) in entries {
        let expires = match value {
            Value::Item(item) => item.expires,
            Value::Entry(entry) => entry.expires,
        };
        last = last.max(Some(to_timestamp(expires?)?));
    }
    last
}

fn write(
    base: Option<&Record>,
    entries: &[(Name<'_>, Value<'_>)],
    flashes: &[(Cow<'_, str>, Node<'_>)],
    lifetime: Option<&RecordLifetime>,
) -> Result<Text> {
    if flashes.is_empty()
        && let Some(document) = repack::write(base.map(Record::document), entries, lifetime)
    {
        return Ok(Text::Parsed(document));
    }
    let text = write_anew(entries, flashes, lifetime)?;
    Ok(Text::Bytes(text.into()))
}

/// Writes a record from its decoded entries.
fn write_anew(
    entries: &[(Name<'_>, Value<'_>)],
    flashes: &[(Cow<'_, str>, Node<'_>)],
    lifetime: Option<&RecordLifetime>,
) -> Result<String> {
    let mut writer = Writer::new(WriteOptions::astro());
    writer.begin_map();
    for (name, value) in entries {
        match name {
            Name::Text(text) => writer.string(text),
            Name::Node(node) => writer.node(*node).map_err(unserializable)?,
        }
        match value {
            Value::Entry(entry) => writer.node(entry.value).map_err(unserializable)?,
            Value::Item(item) => {
                writer.begin_object();
                writer.key("data");
                writer.node(item.node()).map_err(unserializable)?;
                write_expires(&mut writer, item.expires);
                writer.end();
            }
        }
    }
    if !flashes.is_empty() {
        writer.string(FLASH_ENTRY);
        writer.begin_object();
        writer.key("data");
        writer.begin_map();
        for (name, value) in flashes {
            writer.string(name);
            writer.node(*value).map_err(unserializable)?;
        }
        writer.end();
        write_expires(&mut writer, None);
        writer.end();
    }
    if let Some(lifetime) = lifetime {
        write_lifetime(&mut writer, lifetime);
    }
    writer.end();
    writer.finish().map_err(unserializable)
}

fn write_expires(writer: &mut Writer, expires: Option<f64>) {
    writer.key("expires");
    match expires {
        Some(expires) => writer.number(expires),
        None => writer.undefined(),
    }
}

fn write_lifetime(writer: &mut Writer, lifetime: &RecordLifetime) {
    writer.string(LIFETIME_ENTRY);
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
    writer.end();
    write_expires(writer, None);
    writer.end();
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
