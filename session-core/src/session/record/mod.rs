//! A stored record, whose values are decoded on demand.
//!
//! [`parse`] reads the bytes under a session's key, in any form that devalue reads. [`encode`](super::encode) writes
//! records.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_devalue::{Document, Kind, MapEntries, Node, NodeId};
use smallvec::SmallVec;

use super::lifetime::{RecordLifetime, Timeout};
use super::tombstone::Tombstone;
use crate::{Bytes, Error, ErrorKind, Result, Timestamp};

mod cache;

pub(crate) use cache::RecordCache;

/// The prefix of reserved names, which the application cannot use.
pub(crate) const RESERVED: &str = "$session:";
/// The entry with the flashed values: a Map from their names.
pub(crate) const FLASH_ENTRY: &str = "$session:flash";
/// The entry with the session's creation time and timeouts.
pub(crate) const LIFETIME_ENTRY: &str = "$session:lifetime";

/// An encoded value of a session, with its expiry.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) document: Document,
    pub(crate) node: NodeId,
    /// Epoch milliseconds, as a number of JavaScript.
    pub(crate) expires: Option<f64>,
}

impl Item {
    pub(crate) fn whole(document: Document, expires: Option<f64>) -> Self {
        let node = document.root().id();
        Self {
            document,
            node,
            expires,
        }
    }

    pub(crate) fn node(&self) -> Node<'_> {
        self.document.node(self.node)
    }
}

/// Whether a value with this `expires` has expired. As in Astro, only a number below the current time has.
pub(crate) fn is_expired(expires: Option<f64>, now: Timestamp) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 ms lie 285,000 years ahead"
    )]
    let now = now.as_millis() as f64;
    expires.is_some_and(|expires| expires < now)
}

/// The `expires` of a value that expires at `time`.
pub(crate) fn to_expires(time: Timestamp) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 ms lie 285,000 years ahead"
    )]
    let expires = time.as_millis() as f64;
    expires
}

/// Converts milliseconds in a record to a time, if they are valid.
pub(crate) fn to_timestamp(millis: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and negative numbers are taken out first"
    )]
    (millis.is_finite() && millis >= 0.0).then_some(Timestamp::from_millis(millis as u64))
}

/// What the bytes under a session's key say.
#[derive(Debug)]
pub(crate) enum Stored {
    /// Not a session, by Astro's rules.
    Nothing,
    /// The session moved to another id.
    Tombstone(Tombstone),
    /// A record.
    Record(Record),
}

/// A record, whose values are decoded on demand.
#[derive(Clone, Debug)]
pub(crate) struct Record(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    document: Document,
    entries: Entries,
    reserved: Reserved,
    lifetime: Option<RecordLifetime>,
}

/// The entries of most records fit inline.
type Entries = SmallVec<[RecordEntry; 8]>;

/// The indices of the reserved entries, if they exist.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Reserved {
    flash: Option<usize>,
    lifetime: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct RecordEntry {
    name: NodeId,
    value: NodeId,
    /// `None` in an entry of unknown shape.
    data: Option<NodeId>,
    expires: Option<f64>,
}

impl RecordEntry {
    fn parse(name: Node<'_>, value: Node<'_>) -> Result<Self, serde_devalue::Error> {
        let mut entry = Self {
            name: name.id(),
            value: value.id(),
            data: None,
            expires: None,
        };
        let Ok(fields) = value.object_entries() else {
            return Ok(entry);
        };
        for field in fields {
            let (field, node) = field?;
            match &*field {
                "data" => entry.data = Some(node.id()),
                "expires" => entry.expires = node.as_f64(),
                _ => {}
            }
        }
        Ok(entry)
    }
}

/// An entry of a record.
#[derive(Clone, Copy)]
pub(crate) struct EntryNodes<'a> {
    pub(crate) name: Node<'a>,
    pub(crate) value: Node<'a>,
    data: Option<NodeId>,
    /// When the entry expires; `None`, which is never, if it is not a number.
    pub(crate) expires: Option<f64>,
}

impl<'a> EntryNodes<'a> {
    /// The entry's name, if it is a string. Astro also stores numbers.
    pub(crate) fn text_name(&self) -> Option<Cow<'a, str>> {
        self.name.as_str()
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.text_name().is_some_and(|found| found == name)
    }
}

/// What the bytes under a session's key say.
pub(crate) fn parse(bytes: Bytes) -> Result<Stored> {
    if !bytes.starts_with(b"[")
        && let Some(word) = stored_word(&bytes)
    {
        return Ok(word);
    }
    let document = Document::parse(bytes).map_err(corrupt)?;
    Ok(Stored::Record(Record::new(document)?))
}

/// Interprets a text that is not a record.
fn stored_word(bytes: &[u8]) -> Option<Stored> {
    if let Some(tombstone) = Tombstone::parse(bytes) {
        return Some(Stored::Tombstone(tombstone));
    }
    match bytes.trim_ascii() {
        // unstorage turns these into values that JavaScript takes as false.
        b"" | b"0" | b"\"\"" => Some(Stored::Nothing),
        word if word.eq_ignore_ascii_case(b"false")
            || word.eq_ignore_ascii_case(b"null")
            || word.eq_ignore_ascii_case(b"undefined")
            || word.eq_ignore_ascii_case(b"nan") =>
        {
            Some(Stored::Nothing)
        }
        _ => None,
    }
}

/// Reads the entries with unique names. As in JavaScript, a later entry replaces an earlier one.
fn read_entries(
    root: MapEntries<'_>,
    entries: &mut Entries,
) -> Result<Reserved, serde_devalue::Error> {
    let mut reserved = Reserved::default();
    // A name that is not a string is known by its entry.
    type Name<'a> = std::result::Result<Cow<'a, str>, NodeId>;
    let mut names: SmallVec<[Name<'_>; 8]> = SmallVec::new();
    let mut places: HashMap<Name<'_>, usize> = HashMap::new();
    for entry in root {
        let (name, value) = entry?;
        let entry = RecordEntry::parse(name, value)?;
        let name = name.as_str().ok_or(name.id());
        let next = entries.len();
        // In a record of usual size, a linear search is faster than hashing.
        let place = if next < SMALL {
            names.iter().position(|earlier| *earlier == name)
        } else {
            places.extend(names.drain(..).zip(0..));
            let place = *places.entry(name.clone()).or_insert(next);
            (place < next).then_some(place)
        };
        if let Some(earlier) = place.and_then(|place| entries.get_mut(place)) {
            *earlier = entry;
            continue;
        }
        match name.as_deref() {
            Ok(FLASH_ENTRY) => reserved.flash = Some(next),
            Ok(LIFETIME_ENTRY) => reserved.lifetime = Some(next),
            _ => {}
        }
        entries.push(entry);
        if next < SMALL {
            names.push(name);
        }
    }
    Ok(reserved)
}

const SMALL: usize = 16;

/// Converts an error of the format for a stored value: corrupt data, or else `otherwise`.
pub(crate) fn stored_value_error(error: serde_devalue::Error, otherwise: Error) -> Error {
    use serde_devalue::ErrorKind as Devalue;
    match error.kind() {
        Devalue::Syntax
        | Devalue::Format
        | Devalue::UnknownTag
        | Devalue::TooDeep => corrupt(error),
        Devalue::TooExpanded => Error::new(
            ErrorKind::TooLarge,
            "a stored value repeats so much that it is not read (`serde_devalue::Limits::expansion`); it was not changed",
        )
        .with_source(error),
        _ => otherwise.with_source(error),
    }
}

pub(crate) fn corrupt(error: serde_devalue::Error) -> Error {
    Error::new(
        ErrorKind::CorruptData,
        "the stored session cannot be parsed; it was not changed. Destroy the session to remove it",
    )
    .with_source(error)
}

/// Reads a lifetime from an object.
fn lifetime_of(data: Node<'_>) -> Option<RecordLifetime> {
    let mut lifetime = RecordLifetime {
        created: Timestamp::from_millis(0),
        deadline: None,
        own_deadline: false,
        idle: Timeout::Configured,
        persistent: false,
        renewed: None,
    };
    for field in data.object_entries().ok()? {
        let Ok((name, node)) = field else { continue };
        let number = node.as_f64();
        match (&*name, number.and_then(to_timestamp)) {
            ("created", Some(created)) => lifetime.created = created,
            ("deadline", Some(deadline)) => lifetime.deadline = Some(deadline),
            ("idle", Some(idle)) => {
                lifetime.idle = Timeout::After(Duration::from_millis(idle.as_millis()));
            }
            ("idle", None) if node.kind() == Kind::Null => lifetime.idle = Timeout::Never,
            ("renewed", Some(renewed)) => lifetime.renewed = Some(renewed),
            ("ownDeadline", None) => lifetime.own_deadline = node.as_bool() == Some(true),
            ("persistent", None) => lifetime.persistent = node.as_bool() == Some(true),
            _ => {}
        }
    }
    Some(lifetime)
}

impl Record {
    pub(crate) fn new(document: Document) -> Result<Self> {
        let Ok(root) = document.root().map_entries() else {
            return Err(Error::new(
                ErrorKind::CorruptData,
                "the stored session is not a Map, so another program wrote it; it was not changed. \
                 Destroy the session, or configure a separate `prefix` for sessions",
            ));
        };
        let mut entries = Entries::new();
        let reserved = read_entries(root, &mut entries).map_err(corrupt)?;
        let place = reserved.lifetime.and_then(|place| entries.get(place));
        let lifetime = place.and_then(|entry| lifetime_of(document.node(entry.data?)));
        Ok(Self(Arc::new(Inner {
            document,
            entries,
            reserved,
            lifetime,
        })))
    }

    /// Whether both are stored as the same bytes.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.bytes() == other.bytes()
    }

    /// The memory that it takes, about.
    pub(crate) fn memory(&self) -> usize {
        let entries = self.0.entries.len() * size_of::<RecordEntry>();
        // The index of the document has an item for each entry, of which a value of a session has four.
        size_of::<Inner>() + self.bytes().len() + 2 * entries + 256
    }

    /// The record as it is stored.
    pub(crate) fn bytes(&self) -> &Bytes {
        self.0.document.as_bytes()
    }

    /// The entries in the order in which they are stored.
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryNodes<'_>> {
        self.0.entries.iter().map(|entry| self.nodes_of(entry))
    }

    /// The application's entries: all but the reserved ones.
    pub(crate) fn own_entries(&self) -> impl Iterator<Item = EntryNodes<'_>> {
        let Reserved { flash, lifetime } = self.0.reserved;
        let entries = self.0.entries.iter().enumerate();
        entries
            .filter(move |(place, _)| ![flash, lifetime].contains(&Some(*place)))
            .map(|(_, entry)| self.nodes_of(entry))
    }

    fn nodes_of(&self, entry: &RecordEntry) -> EntryNodes<'_> {
        EntryNodes {
            name: self.0.document.node(entry.name),
            value: self.0.document.node(entry.value),
            data: entry.data,
            expires: entry.expires,
        }
    }

    pub(crate) fn document(&self) -> &Document {
        &self.0.document
    }

    fn find(&self, name: &str) -> Option<EntryNodes<'_>> {
        self.entries().find(|entry| entry.is_named(name))
    }

    /// The data of a reserved entry.
    fn data_at(&self, place: Option<usize>) -> Option<Node<'_>> {
        let entry = self.0.entries.get(place?)?;
        Some(self.0.document.node(entry.data?))
    }

    /// The entry of this name, of any shape, unless it has expired.
    pub(crate) fn live_entry(&self, name: &str, now: Timestamp) -> Option<EntryNodes<'_>> {
        self.find(name)
            .filter(|entry| !is_expired(entry.expires, now))
    }

    /// Whether the record has an unexpired entry of this name, of any shape.
    pub(crate) fn has(&self, name: &str, now: Timestamp) -> bool {
        self.live_entry(name, now).is_some()
    }

    /// The value of this name, unless it has expired. The time is only read if the value has an expiry.
    pub(crate) fn item(&self, name: &str, now: impl FnOnce() -> Timestamp) -> Option<Item> {
        self.find(name).and_then(|entry| self.item_of(&entry, now))
    }

    pub(crate) fn item_of(
        &self,
        entry: &EntryNodes<'_>,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Item> {
        if entry.expires.is_some() && is_expired(entry.expires, now()) {
            return None;
        }
        Some(Item {
            document: self.0.document.clone(),
            node: entry.data?,
            expires: entry.expires,
        })
    }

    /// The flashed values with their names.
    pub(crate) fn flashes(&self) -> Vec<(Cow<'_, str>, Node<'_>)> {
        let Some(map) = self.data_at(self.0.reserved.flash) else {
            return Vec::new();
        };
        let Ok(flashes) = map.map_entries() else {
            return Vec::new();
        };
        flashes
            .filter_map(std::result::Result::ok)
            .filter_map(|(name, value)| Some((name.as_str()?, value)))
            .collect()
    }

    pub(crate) fn flash(&self, name: &str) -> Option<Item> {
        let (_, value) = self
            .flashes()
            .into_iter()
            .find(|(found, _)| found == name)?;
        Some(Item {
            document: self.0.document.clone(),
            node: value.id(),
            expires: None,
        })
    }

    /// The stored lifetime; `None` if only Astro wrote the record.
    pub(crate) fn lifetime(&self) -> Option<RecordLifetime> {
        self.0.lifetime
    }

    /// The latest expiry of the record's values, if all of them have one.
    pub(crate) fn last_value_expiry(&self) -> Option<Timestamp> {
        let mut last = None;
        for (place, entry) in self.0.entries.iter().enumerate() {
            if Some(place) != self.0.reserved.lifetime {
                last = last.max(Some(to_timestamp(entry.expires?)?));
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &'static str) -> Record {
        match parse(Bytes::from_static(text.as_bytes())).unwrap() {
            Stored::Record(record) => record,
            _ => panic!("no record"),
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn a_record_that_astro_wrote_is_read() {
        let record = record(r#"[["Map",1,2],"user",{"data":3,"expires":-1},"alice"]"#);
        let item = record.item("user", || NOW).unwrap();
        assert_eq!(item.node().as_str().unwrap(), "alice");
        assert!(record.lifetime().is_none());
    }

    #[test]
    fn of_two_entries_with_one_name_the_later_counts() {
        let few =
            record(r#"[["Map",1,2,1,3],"a",{"data":4,"expires":-1},{"data":5,"expires":-1},1,2]"#);
        let value = few.item("a", || NOW).unwrap().node().as_f64();
        assert_eq!(value, Some(2.0));
        assert_eq!(few.entries().count(), 1);

        let mut map = String::from("[[\"Map\"");
        let mut values = String::new();
        for entry in 0..100 {
            let index = 1 + 2 * entry;
            map.push_str(&format!(",{index},{}", index + 1));
            values.push_str(&format!(",\"k{}\",{{\"data\":{index}}}", entry % 50));
        }
        let text = format!("{map}]{values}]");
        let Stored::Record(many) = parse(text.into_bytes().into()).unwrap() else {
            panic!("no record");
        };
        assert_eq!(many.entries().count(), 50);
    }

    #[test]
    fn a_value_ends_after_its_last_millisecond() {
        let record = record(
            r#"[["Map",1,2,3,4],"a",{"data":5,"expires":6},"b",{"data":5,"expires":7},1,999,1000]"#,
        );
        assert!(!record.has("a", NOW));
        assert!(record.has("b", NOW));
    }

    #[test]
    fn entries_of_a_foreign_shape_are_there_and_have_no_value() {
        let record = record(r#"[["Map",1,2],"a","just text"]"#);
        assert!(record.has("a", NOW));
        assert!(record.item("a", || NOW).is_none());
    }

    #[test]
    fn what_astro_takes_as_no_session_is_none() {
        for text in ["", " ", "0", "false", "NaN", "undefined"] {
            assert!(
                matches!(
                    parse(Bytes::from_static(text.as_bytes())),
                    Ok(Stored::Nothing)
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_record_is_corrupt() {
        for text in [
            r#"[["Map",1,2],"a""#,
            "[[1],2]",
            r#"[{"a":1},2]"#,
            "hello",
            r#"[["Map",1,2],"a",{"data":9,"expires":-1},"v"]"#,
        ] {
            let Err(error) = parse(Bytes::from_static(text.as_bytes())) else {
                panic!("{text} was taken");
            };
            assert_eq!(error.kind(), ErrorKind::CorruptData, "{text}");
        }
    }
}
