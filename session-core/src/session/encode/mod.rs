//! Encodes a record from an old one and changes. Entries that do not change are copied as text.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use serde_devalue::{Document, Node, WriteOptions, Writer};
use smallvec::{SmallVec, smallvec};

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
    let document = new_map(|writer| {
        for (name, item) in items {
            writer.string(name);
            write_item(writer, item)?;
        }
        if !flashes.is_empty() {
            writer.string(FLASH_ENTRY);
            write_flashes(writer, &flashes)?;
        }
        if let Some(lifetime) = lifetime {
            writer.string(LIFETIME_ENTRY);
            write_lifetime(writer, lifetime);
        }
        Ok(())
    });
    let document = document.map_err(unserializable)?;
    Ok(document.as_bytes().clone())
}

/// Writes a Map with these entries.
fn new_map(
    write: impl Fn(&mut Writer) -> Result<(), serde_devalue::Error>,
) -> Result<Document, serde_devalue::Error> {
    let mut writer = Writer::new(WriteOptions::astro());
    writer.begin_map();
    write(&mut writer)?;
    writer.end();
    writer.finish_document()
}

/// The record with these changes, and with `lifetime` if it is new.
fn edited<'a>(
    base: Option<&'a Record>,
    changes: &'a Changes,
    flashes: &'a [(Cow<'a, str>, Node<'a>)],
    lifetime: Option<&'a RecordLifetime>,
    now: Timestamp,
) -> Result<Document> {
    let flashes = match flashes {
        [] => Change::Remove,
        flashes if changes.is_cleared() || changes.flashes().next().is_some() => {
            Change::Flashes(flashes)
        }
        _ => Change::Keep,
    };
    let lifetime = lifetime.map_or(Change::Keep, Change::Lifetime);
    let item = |item: Option<&'a Item>| match item {
        Some(item) if !is_expired(item.expires, now) => Change::Item(item),
        _ => Change::Remove,
    };
    let write = |writer: &mut Writer| {
        let (mut flashes, mut lifetime) = (flashes, lifetime);
        let mut placed: SmallVec<[bool; 16]> = smallvec![false; changes.names().len()];
        for entry in base.into_iter().flat_map(Record::entries) {
            let change = match entry.text_name().as_deref() {
                Some(FLASH_ENTRY) => std::mem::replace(&mut flashes, Change::Keep),
                Some(LIFETIME_ENTRY) => std::mem::replace(&mut lifetime, Change::Keep),
                _ if changes.is_cleared() || is_expired(entry.expires, now) => continue,
                name => match name.and_then(|name| changes.position(name)) {
                    Some((position, new)) => {
                        if let Some(placed) = placed.get_mut(position) {
                            *placed = true;
                        }
                        item(new)
                    }
                    None => Change::Keep,
                },
            };
            match change {
                Change::Remove => {}
                Change::Keep => {
                    writer.copy(entry.name)?;
                    writer.copy(entry.value)?;
                }
                change => {
                    writer.copy(entry.name)?;
                    change.write(writer)?;
                }
            }
        }
        let items = changes.names().zip(placed).filter(|(_, placed)| !placed);
        let items = items.map(|((name, new), _)| (name, item(new)));
        let reserved = [(FLASH_ENTRY, flashes), (LIFETIME_ENTRY, lifetime)];
        for (name, change) in items.chain(reserved) {
            if !matches!(change, Change::Keep | Change::Remove) {
                writer.string(name);
                change.write(writer)?;
            }
        }
        Ok(())
    };
    let document = match base {
        Some(base) => base.document().rewrite(WriteOptions::astro(), write),
        None => new_map(write),
    };
    document.map_err(unserializable)
}

/// What happens to an entry.
#[derive(Clone, Copy)]
enum Change<'a> {
    Keep,
    Remove,
    Item(&'a Item),
    Flashes(&'a [(Cow<'a, str>, Node<'a>)]),
    Lifetime(&'a RecordLifetime),
}

impl Change<'_> {
    /// Writes the new value, if there is one.
    fn write(self, writer: &mut Writer) -> Result<(), serde_devalue::Error> {
        match self {
            Self::Keep | Self::Remove => Ok(()),
            Self::Item(item) => write_item(writer, item),
            Self::Flashes(flashes) => write_flashes(writer, flashes),
            Self::Lifetime(lifetime) => {
                write_lifetime(writer, lifetime);
                Ok(())
            }
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

fn write_lifetime(writer: &mut Writer, lifetime: &RecordLifetime) {
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
