//! A stored record, whose values are decoded on demand.
//!
//! [`parse`] reads the bytes under a session's key, in any form that devalue reads. [`encode`](super::encode) writes
//! records.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_devalue::{Document, Kind, Node, NodeId};
use smallvec::SmallVec;

use super::lifetime::{RecordLifetime, Timeout};
use crate::{Bytes, Error, ErrorKind, Result, Timestamp};

mod plain;
mod recent;

pub(crate) use plain::wrapper;
pub(crate) use recent::RecentRecords;

/// The prefix of reserved names, which the application cannot use.
pub(crate) const RESERVED: &str = "$session:";
/// The entry with the flashed values: a Map from their names.
pub(crate) const FLASH_ENTRY: &str = "$session:flash";
/// The entry with the session's creation time and timeouts.
pub(crate) const LIFETIME_ENTRY: &str = "$session:lifetime";

/// Replaces a record that moved to another id. Astro reads it as "no session".
pub(crate) const TOMBSTONE: Bytes = Bytes::from_static(b"null");

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
    Tombstone,
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

impl Reserved {
    /// Records the index of an entry if its name is reserved.
    #[inline]
    fn note(&mut self, name: &str, place: usize) {
        match name {
            FLASH_ENTRY => self.flash = Some(place),
            LIFETIME_ENTRY => self.lifetime = Some(place),
            _ => {}
        }
    }
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
        if value.kind() == Kind::Object {
            for field in value.object_entries()? {
                let (field, node) = field?;
                match &*field {
                    "data" => entry.data = Some(node.id()),
                    "expires" => entry.expires = node.as_f64(),
                    _ => {}
                }
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
    let mut entries = Entries::new();
    let reserved = match plain::entries(document.raw(), &mut entries) {
        Some(reserved) => reserved,
        None => entries_of(&document, &mut entries)?,
    };
    Ok(Stored::Record(Record::new(document, entries, reserved)))
}

/// Interprets a text that is not a record.
fn stored_word(bytes: &[u8]) -> Option<Stored> {
    match bytes.trim_ascii() {
        b"null" => Some(Stored::Tombstone),
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

/// Reads the entries of a record, in any form that devalue reads.
fn entries_of(document: &Document, entries: &mut Entries) -> Result<Reserved> {
    let root = document.root();
    if root.kind() != Kind::Map {
        return Err(Error::new(
            ErrorKind::CorruptData,
            "the stored session is not a Map, so another program wrote it; it was not changed. \
             Destroy the session, or configure a separate `prefix` for sessions",
        ));
    }
    *entries = map_entries(document, root).map_err(corrupt)?;
    let mut reserved = Reserved::default();
    for (place, entry) in entries.iter().enumerate() {
        if let Some(name) = document.node(entry.name).as_str() {
            reserved.note(&name, place);
        }
    }
    Ok(reserved)
}

/// The entries of the map with unique names. As in JavaScript, a later entry replaces an earlier one.
fn map_entries(document: &Document, root: Node<'_>) -> Result<Entries, serde_devalue::Error> {
    let mut entries = Entries::new();
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for entry in root.map_entries()? {
        let (name, value) = entry?;
        let entry = RecordEntry::parse(name, value)?;
        // In a record of usual size, a linear search is faster than hashing.
        let place = match name.as_str() {
            Some(text) if entries.len() < SMALL => entries.iter().position(|earlier| {
                document.node(earlier.name).as_str() == Some(Cow::Borrowed(&*text))
            }),
            Some(text) => {
                if places.is_empty() {
                    places.extend(entries.iter().enumerate().filter_map(|(place, earlier)| {
                        Some((document.node(earlier.name).as_str()?, place))
                    }));
                }
                let next = entries.len();
                let place = *places.entry(text).or_insert(next);
                (place < next).then_some(place)
            }
            None => None,
        };
        match place.and_then(|place| entries.get_mut(place)) {
            Some(earlier) => *earlier = entry,
            None => entries.push(entry),
        }
    }
    Ok(entries)
}

const SMALL: usize = 16;

/// Converts an error of the format for a stored value: corrupt data, or else `otherwise`.
pub(crate) fn stored_value_error(error: serde_devalue::Error, otherwise: Error) -> Error {
    use serde_devalue::ErrorKind as Devalue;
    match error.kind() {
        Devalue::Syntax | Devalue::Format | Devalue::UnknownTag | Devalue::TooDeep => {
            corrupt(error)
        }
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

fn lifetime_in(
    document: &Document,
    entries: &[RecordEntry],
    reserved: Reserved,
) -> Option<RecordLifetime> {
    let data = entries.get(reserved.lifetime?)?.data?;
    let plain = data.index();
    plain
        .and_then(|data| plain::lifetime(document.raw(), data))
        .or_else(|| lifetime_of(document.node(data)))
}

/// Reads a lifetime from an object in any form.
fn lifetime_of(data: Node<'_>) -> Option<RecordLifetime> {
    let mut lifetime = RecordLifetime {
        created: Timestamp::from_millis(0),
        deadline: None,
        idle: Timeout::Configured,
        persistent: false,
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
            ("persistent", None) => lifetime.persistent = node.as_bool() == Some(true),
            _ => {}
        }
    }
    Some(lifetime)
}

impl Record {
    /// Makes a record from a document in the form that this crate writes.
    pub(crate) fn written(document: Document) -> Option<Self> {
        let mut entries = Entries::new();
        let reserved = plain::entries(document.raw(), &mut entries)?;
        Some(Self::new(document, entries, reserved))
    }

    fn new(document: Document, entries: Entries, reserved: Reserved) -> Self {
        let lifetime = lifetime_in(&document, &entries, reserved);
        Self(Arc::new(Inner {
            document,
            entries,
            reserved,
            lifetime,
        }))
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

    /// Whether the record has an unexpired entry of this name, of any shape.
    pub(crate) fn has(&self, name: &str, now: Timestamp) -> bool {
        self.find(name)
            .is_some_and(|entry| !is_expired(entry.expires, now))
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

/// Asserts that the reader of plain records agrees with the general one, or does not read this record.
#[cfg(test)]
pub(crate) fn assert_read_the_same(document: &Document) {
    let (mut plain, mut general) = (Entries::new(), Entries::new());
    if let Some(reserved) = plain::entries(document.raw(), &mut plain) {
        assert_eq!(Some(reserved), entries_of(document, &mut general).ok());
        assert_eq!(plain, general);
        let (written, parsed) = (
            Record::written(document.clone()),
            parse(document.as_bytes().clone()),
        );
        let (Some(written), Ok(Stored::Record(parsed))) = (written, parsed) else {
            panic!("a plain record is none");
        };
        assert_eq!(written.0.entries, parsed.0.entries);
        assert_eq!(written.0.reserved, parsed.0.reserved);
        assert_eq!(written.0.lifetime, parsed.0.lifetime);
    }
    for index in 0..u32::try_from(document.raw().len()).unwrap() {
        if let Some(lifetime) = plain::lifetime(document.raw(), index) {
            let data = document.node(document.raw().id(index).unwrap());
            assert_eq!(Some(lifetime), lifetime_of(data));
        }
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
        assert!(matches!(parse(TOMBSTONE), Ok(Stored::Tombstone)));
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
