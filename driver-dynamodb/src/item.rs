use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::{Bytes, BytesMut};
use session_core::{Entry, Error, ErrorKind, Key, Prefix, Timestamp, Version};

use crate::config::AttributeNames;

/// An item of a table.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// What DynamoDB takes as an item at most: values and the names of their attributes.
const MAX_ITEM_SIZE: usize = 400 * 1024;

/// What DynamoDB takes as a partition key at most.
pub(crate) const MAX_KEY_SIZE: usize = 2_048;

/// What a number takes at most.
const MAX_NUMBER_SIZE: usize = 21;

/// Marks a version of a binary value that could be taken for one of a text, or for a marked one. No text begins so.
const BINARY: u8 = 0xff;

/// How entries stand in items.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) expires_at: String,
    pub(crate) expires_at_ms: String,
    pub(crate) base: Prefix,
}

impl Layout {
    pub(crate) fn new(names: &AttributeNames, base: Prefix) -> Self {
        Self {
            key: names.key.clone(),
            value: names.value.clone(),
            expires_at: names.expires_at.clone(),
            expires_at_ms: names.expires_at_ms(),
            base,
        }
    }

    /// The longest key below the base.
    pub(crate) fn max_key_size(&self) -> usize {
        let overhead = match self.base.is_root() {
            true => 0,
            false => self.base.as_str().len() + 1,
        };
        MAX_KEY_SIZE.saturating_sub(overhead)
    }

    /// The longest value, with which an item is within its bound whatever its key and its end.
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

    /// The key in the table, if DynamoDB can hold it.
    pub(crate) fn table_key(&self, key: &Key) -> Result<String, Error> {
        let key = self.base.join(key);
        if key.as_str().len() > MAX_KEY_SIZE {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "a key may have 2,048 bytes at most, with the base",
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
                    "the value has {} bytes; an item has 400 KiB at most, of which {limit} bytes are for the value; \
                     store less",
                    value.len()
                ),
            ));
        }
        Ok(())
    }

    /// The attributes by which an item is found.
    pub(crate) fn key_item(&self, table_key: String) -> Item {
        Item::from([(self.key.clone(), AttributeValue::S(table_key))])
    }

    /// The item of an entry.
    pub(crate) fn item(&self, table_key: String, value: &Bytes, end: Option<Timestamp>) -> Item {
        let mut item = self.key_item(table_key);
        item.insert(self.value.clone(), stored(value));
        if let Some(end) = end {
            item.insert(self.expires_at.clone(), number(end_second(end)));
            item.insert(self.expires_at_ms.clone(), number(end.as_millis()));
        }
        item
    }

    /// The entry that `item` is at `now`, or `None` if it has ended.
    pub(crate) fn entry(&self, mut item: Item, now: Timestamp) -> Result<Option<Entry>, Error> {
        let end = self.end(&item);
        if end.is_some_and(|end| end.is_over(now)) {
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
                        "an item has no attribute `{}` that is text or binary; it was left as it is; see which \
                         program writes to this table, or mend `attributes.value`",
                        self.value
                    ),
                ));
            }
        };
        Ok(Some(
            Entry::new(value)
                .with_version(version)
                .with_expires_at(end.map(End::time)),
        ))
    }

    /// Whether there is an entry in `item` at `now`.
    pub(crate) fn is_alive(&self, item: &Item, now: Timestamp) -> bool {
        !self.end(item).is_some_and(|end| end.is_over(now))
    }

    /// The text of the partition key of `item`.
    pub(crate) fn key_of<'i>(&self, item: &'i Item) -> Option<&'i str> {
        match item.get(&self.key) {
            Some(AttributeValue::S(text)) => Some(text),
            _ => None,
        }
    }

    /// What is no number is no end, for DynamoDB's own sweeper too.
    fn end(&self, item: &Item) -> Option<End> {
        Some(End {
            second: numeric(item.get(&self.expires_at))?,
            millis: numeric(item.get(&self.expires_at_ms)),
        })
    }
}

/// The end of an item as it stands there: the second by which it is over, and the exact millisecond, which counts only
/// within that second. So a program that sets the second alone, which is DynamoDB's custom, is heeded.
///
/// The same is said in the conditions of [`crate::expressions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    second: u64,
    millis: Option<u64>,
}

impl End {
    fn is_over(self, now: Timestamp) -> bool {
        let current = current_second(now);
        self.second < current
            || self.second == current && self.millis.is_some_and(|millis| millis <= now.as_millis())
    }

    fn time(self) -> Timestamp {
        let whole = Timestamp::from_millis(self.second.saturating_mul(1_000));
        match self.millis.map(Timestamp::from_millis) {
            Some(exact) if end_second(exact) == self.second => exact,
            _ => whole,
        }
    }
}

/// The second by which an entry that ends at `end` is over, as DynamoDB's own sweeper counts: it must never come early.
pub(crate) fn end_second(end: Timestamp) -> u64 {
    end.as_millis().div_ceil(1_000)
}

/// The second in which what ends in it may be over or not: the one that has begun at `now`, named by its end.
pub(crate) fn current_second(now: Timestamp) -> u64 {
    end_second(now.saturating_add(Duration::from_millis(1)))
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A number of DynamoDB as a whole one; what others have written may have a fraction, or be negative.
fn numeric(attribute: Option<&AttributeValue>) -> Option<u64> {
    let Some(AttributeValue::N(text)) = attribute else {
        return None;
    };
    match text.parse::<u64>() {
        Ok(number) => Some(number),
        Err(_) => text.parse::<f64>().ok().map(|number| number as u64),
    }
}

/// A value as it is stored: text where it is text, so that the console shows it.
pub(crate) fn stored(value: &Bytes) -> AttributeValue {
    match std::str::from_utf8(value) {
        Ok(text) => AttributeValue::S(text.to_owned()),
        Err(_) => AttributeValue::B(Blob::new(value.as_ref())),
    }
}

/// The version of a value that is stored as [`stored`] does it.
pub(crate) fn version(value: Bytes) -> Version {
    match std::str::from_utf8(&value) {
        Ok(_) => Version::from_value(value),
        Err(_) => binary_version(&value),
    }
}

/// The version of a binary attribute. Another program may have stored text so, which must not be taken for the other
/// type: to DynamoDB they are not equal.
fn binary_version(value: &Bytes) -> Version {
    if value.first() != Some(&BINARY) && std::str::from_utf8(value).is_err() {
        return Version::from_value(value.clone());
    }
    let mut marked = BytesMut::with_capacity(value.len() + 1);
    marked.extend_from_slice(&[BINARY]);
    marked.extend_from_slice(value);
    Version::from_value(marked.freeze())
}

/// The attribute that `version` was made from.
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
    fn an_end_is_exact_to_the_millisecond() {
        for end in [1, 999, 1_000, 1_001, 1_999, 2_000] {
            let stored = End {
                second: end_second(at(end)),
                millis: Some(end),
            };
            assert_eq!(stored.time(), at(end));
            for now in 0..3_000 {
                assert_eq!(stored.is_over(at(now)), now >= end, "{end} at {now}");
            }
        }
    }

    #[test]
    fn the_second_alone_counts_where_the_exact_end_is_missing_or_of_another_second() {
        for millis in [None, Some(500), Some(7_500)] {
            let stored = End { second: 2, millis };
            assert_eq!(stored.time(), at(2_000));
            assert!(!stored.is_over(at(999)));
            assert!(stored.is_over(at(2_000)));
        }
    }

    #[test]
    fn the_end_of_time_is_never_over() {
        let stored = End {
            second: end_second(at(u64::MAX)),
            millis: Some(u64::MAX),
        };
        assert!(!stored.is_over(Timestamp::now()));
        assert_eq!(stored.time(), at(u64::MAX));
    }

    #[test]
    fn a_version_names_the_attribute_that_it_was_made_from() {
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
    fn numbers_of_others_are_read_as_far_as_they_are_numbers() {
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
