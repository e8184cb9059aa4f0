//! The stored form of entries: the attributes of an item, its expiry and its version.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::{Bytes, BytesMut};
use session_core::{Entry, Error, ErrorKind, Key, Prefix, Timestamp, Version};

use crate::config::AttributeNames;

/// An item of a table: its attributes by name.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// DynamoDB's limit of an item in bytes, with the names of its attributes.
const MAX_ITEM_SIZE: usize = 400 * 1024;

/// DynamoDB's limit of a partition key in bytes.
pub(crate) const MAX_KEY_SIZE: usize = 2_048;

/// How many bytes a number has at most.
const MAX_NUMBER_SIZE: usize = 21;

/// Marks the version of a binary value that could be mistaken for that of a text, or for a marked one. No text begins with
/// this byte.
const BINARY: u8 = 0xff;

/// The layout of entries in items.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) expires_at: String,
    pub(crate) expires_at_ms: String,
    pub(crate) prefix: Prefix,
}

impl Layout {
    pub(crate) fn new(names: &AttributeNames, prefix: Prefix) -> Self {
        Self {
            key: names.key.clone(),
            value: names.value.clone(),
            expires_at: names.expires_at.clone(),
            expires_at_ms: names.expires_at_ms(),
            prefix,
        }
    }

    /// The longest key, without the prefix.
    pub(crate) fn max_key_size(&self) -> usize {
        let overhead = match self.prefix.is_root() {
            true => 0,
            false => self.prefix.as_str().len() + 1,
        };
        MAX_KEY_SIZE.saturating_sub(overhead)
    }

    /// The longest value with which an item is within its limit, whatever its key and its expiry.
    pub(crate) fn max_value_size(&self) -> usize {
        let names = [
            &self.key,
            &self.value,
            &self.expires_at,
            &self.expires_at_ms,
        ];
        let names: usize = names.iter().map(|name| name.len()).sum();
        MAX_ITEM_SIZE - MAX_KEY_SIZE - 2 * MAX_NUMBER_SIZE - names
    }

    /// The key in the table; an error if it is too long.
    pub(crate) fn table_key(&self, key: &Key) -> Result<String, Error> {
        let key = self.prefix.join(key);
        if key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "DynamoDB limits keys to 2,048 bytes, the prefix included; use a shorter key",
            ));
        }
        Ok(key.as_str().to_owned())
    }

    pub(crate) fn check_value(&self, value: &Bytes) -> Result<(), Error> {
        let limit = self.max_value_size();
        if value.len() > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the value has {} bytes; DynamoDB limits items to 400 KiB, of which {limit} bytes are for the value; \
                     use a smaller value",
                    value.len()
                ),
            ));
        }
        Ok(())
    }

    /// The key attribute of an item.
    pub(crate) fn key_item(&self, table_key: String) -> Item {
        Item::from([(self.key.clone(), AttributeValue::S(table_key))])
    }

    /// The item of an entry.
    pub(crate) fn item(
        &self,
        table_key: String,
        value: &Bytes,
        expires_at: Option<Timestamp>,
    ) -> Item {
        let mut item = self.key_item(table_key);
        item.insert(self.value.clone(), stored(value));
        if let Some(at) = expires_at {
            item.insert(self.expires_at.clone(), number(expiry_second(at)));
            item.insert(self.expires_at_ms.clone(), number(at.as_millis()));
        }
        item
    }

    /// The entry of `item`, or `None` if it has expired at `now`.
    pub(crate) fn entry(&self, mut item: Item, now: Timestamp) -> Result<Option<Entry>, Error> {
        let expiry = self.expiry(&item);
        if expiry.is_some_and(|expiry| expiry.is_past(now)) {
            return Ok(None);
        }
        let (value, version) = match item.remove(&self.value) {
            Some(AttributeValue::S(text)) => {
                let value = Bytes::from(text);
                (value.clone(), Version::from_value(value))
            }
            Some(AttributeValue::B(blob)) => {
                let value = Bytes::from(blob.into_inner());
                let version = binary_version(&value);
                (value, version)
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::CorruptData,
                    format!(
                        "an item has no attribute `{}` of type String or Binary; it was left unchanged; check which \
                         program writes to this table, or correct `attributes.value`",
                        self.value
                    ),
                ));
            }
        };
        Ok(Some(
            Entry::new(value)
                .with_version(version)
                .with_expires_at(expiry.map(ItemExpiry::time)),
        ))
    }

    /// Whether `item` has expired at `now`.
    pub(crate) fn is_expired(&self, item: &Item, now: Timestamp) -> bool {
        self.expiry(item).is_some_and(|expiry| expiry.is_past(now))
    }

    /// The text of the partition key of `item`.
    pub(crate) fn key_of<'i>(&self, item: &'i Item) -> Option<&'i str> {
        match item.get(&self.key) {
            Some(AttributeValue::S(text)) => Some(text),
            _ => None,
        }
    }

    /// The expiry of `item`. An attribute that is not a number is ignored, as DynamoDB does.
    fn expiry(&self, item: &Item) -> Option<ItemExpiry> {
        Some(ItemExpiry {
            second: numeric(item.get(&self.expires_at))?,
            millis: numeric(item.get(&self.expires_at_ms)),
        })
    }
}

/// The expiry of an item: the second by which it has expired, and the exact millisecond, which counts only within that
/// second. So the expiry of a program that sets only the second, as is usual with DynamoDB, is respected.
///
/// The conditions of [`crate::expressions`] implement the same rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ItemExpiry {
    second: u64,
    millis: Option<u64>,
}

impl ItemExpiry {
    fn is_past(self, now: Timestamp) -> bool {
        let current = current_second(now);
        self.second < current
            || self.second == current && self.millis.is_some_and(|millis| millis <= now.as_millis())
    }

    fn time(self) -> Timestamp {
        let whole = Timestamp::from_millis(self.second.saturating_mul(1_000));
        match self.millis.map(Timestamp::from_millis) {
            Some(exact) if expiry_second(exact) == self.second => exact,
            _ => whole,
        }
    }
}

/// The second by which an entry has expired, rounded up so that DynamoDB never removes it too early.
pub(crate) fn expiry_second(expires_at: Timestamp) -> u64 {
    expires_at.as_millis().div_ceil(1_000)
}

/// The second that contains `now`, rounded up. Items that expire in it have expired or not, depending on their
/// millisecond.
pub(crate) fn current_second(now: Timestamp) -> u64 {
    expiry_second(now.saturating_add(Duration::from_millis(1)))
}

/// A number attribute.
pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The integer of a number attribute. Numbers of other programs may have a fraction or be negative.
fn numeric(attribute: Option<&AttributeValue>) -> Option<u64> {
    let Some(AttributeValue::N(text)) = attribute else {
        return None;
    };
    match text.parse::<u64>() {
        Ok(number) => Some(number),
        Err(_) => text.parse::<f64>().ok().map(|number| number as u64),
    }
}

/// The attribute of a value: text if possible, so that the console shows it.
pub(crate) fn stored(value: &Bytes) -> AttributeValue {
    match std::str::from_utf8(value) {
        Ok(text) => AttributeValue::S(text.to_owned()),
        Err(_) => AttributeValue::B(Blob::new(value.as_ref())),
    }
}

/// The version of a value that is stored by [`stored`].
pub(crate) fn version(value: Bytes) -> Version {
    match std::str::from_utf8(&value) {
        Ok(_) => Version::from_value(value),
        Err(_) => binary_version(&value),
    }
}

/// The version of a binary attribute. Another program may have stored text as binary, which DynamoDB does not treat as
/// equal to text.
fn binary_version(value: &Bytes) -> Version {
    if value.first() != Some(&BINARY) && std::str::from_utf8(value).is_err() {
        return Version::from_value(value.clone());
    }
    let mut marked = BytesMut::with_capacity(value.len() + 1);
    marked.extend_from_slice(&[BINARY]);
    marked.extend_from_slice(value);
    Version::from_value(marked.freeze())
}

/// The attribute of which `version` is the version.
pub(crate) fn versioned(version: &Version) -> AttributeValue {
    let bytes = version.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => AttributeValue::S(text.to_owned()),
        Err(_) => AttributeValue::B(Blob::new(bytes.strip_prefix(&[BINARY]).unwrap_or(bytes))),
    }
}

#[cfg(test)]
mod tests {
    // Helpers of tests fail a test as tests do.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn an_expiry_is_exact_to_the_millisecond() {
        for end in [1, 999, 1_000, 1_001, 1_999, 2_000] {
            let stored = ItemExpiry {
                second: expiry_second(at(end)),
                millis: Some(end),
            };
            assert_eq!(stored.time(), at(end));
            for now in 0..3_000 {
                assert_eq!(stored.is_past(at(now)), now >= end, "{end} at {now}");
            }
        }
    }

    #[test]
    fn the_second_counts_if_the_exact_expiry_is_missing_or_in_another_second() {
        for millis in [None, Some(500), Some(7_500)] {
            let stored = ItemExpiry { second: 2, millis };
            assert_eq!(stored.time(), at(2_000));
            assert!(!stored.is_past(at(999)));
            assert!(stored.is_past(at(2_000)));
        }
    }

    #[test]
    fn the_latest_expiry_is_never_past() {
        let stored = ItemExpiry {
            second: expiry_second(at(u64::MAX)),
            millis: Some(u64::MAX),
        };
        assert!(!stored.is_past(Timestamp::now()));
        assert_eq!(stored.time(), at(u64::MAX));
    }

    #[test]
    fn a_version_identifies_its_attribute() {
        let texts = ["", "text", "\u{feff}"].map(|text| AttributeValue::S(text.to_owned()));
        let binaries: [&[u8]; 8] = [
            b"",
            b"text",
            b"\xff",
            b"\xfftext",
            b"\xff\xfftext",
            b"\xfe",
            b"\xc3",
            b"\xfe\xff",
        ];
        let binaries = binaries.map(|bytes| AttributeValue::B(Blob::new(bytes)));
        let layout = Layout::new(&AttributeNames::default(), Prefix::root());
        let mut versions = Vec::new();
        for attribute in texts.into_iter().chain(binaries) {
            let item = Item::from([("value".to_owned(), attribute.clone())]);
            let entry = layout.entry(item, at(0)).unwrap().unwrap();
            let version = entry.version.unwrap();
            assert_eq!(versioned(&version), attribute);
            if stored(&entry.value) == attribute {
                assert_eq!(super::version(entry.value), version);
            }
            assert!(!versions.contains(&version), "{attribute:?}");
            versions.push(version);
        }
    }

    #[test]
    fn numbers_of_other_programs_are_read() {
        let read = |text: &str| numeric(Some(&AttributeValue::N(text.to_owned())));
        assert_eq!(read("100"), Some(100));
        assert_eq!(read("100.5"), Some(100));
        assert_eq!(read("-1"), Some(0));
        assert_eq!(read("1E+2"), Some(100));
        assert_eq!(
            read("99999999999999999999999999999999999999"),
            Some(u64::MAX)
        );
        assert_eq!(numeric(Some(&AttributeValue::S("100".to_owned()))), None);
    }
}
