//! A fast reader of records in the form that devalue writes, in one pass over the text of the entries.
//!
//! Any other form is left to the general reader, which accepts everything that devalue accepts. If this reader reads a
//! record, both give the same result.

use serde_devalue::RawEntries;

use super::{Entries, RecordEntry, Reserved, SMALL, to_expires};
use crate::Timestamp;
use crate::session::lifetime::{RecordLifetime, Timeout};

/// Reads the entries of a record, if it has that form, few entries, and no duplicates.
pub(super) fn entries(raw: RawEntries<'_>, entries: &mut Entries) -> Option<Reserved> {
    entries.clear();
    let mut references = raw.text(0)?.as_bytes().strip_prefix(b"[\"Map\"")?;
    let mut names = [""; SMALL];
    let mut reserved = Reserved::default();
    while let [b',', rest @ ..] = references {
        let (name, rest) = index(rest)?;
        let (value, rest) = index(rest.strip_prefix(b",")?)?;
        references = rest;
        let text = raw.plain_str(name)?;
        let place = entries.len();
        if names.iter().take(place).any(|known| *known == text) {
            return None;
        }
        *names.get_mut(place)? = text;
        reserved.note(text, place);
        let (data, expires) = wrapper(raw.text(value)?.as_bytes())?;
        entries.push(RecordEntry {
            name: raw.id(name)?,
            value: raw.id(value)?,
            data: Some(raw.id(data)?),
            expires: match expires {
                Some(expires) => Some(to_expires(integer(raw, expires)?)),
                None => None,
            },
        });
    }
    (references == b"]").then_some(reserved)
}

/// The references in `{"data":…,"expires":…}`.
#[inline]
pub(crate) fn wrapper(text: &[u8]) -> Option<(u32, Option<u32>)> {
    let (data, rest) = index(text.strip_prefix(b"{\"data\":")?)?;
    match rest.strip_prefix(b",\"expires\":")? {
        b"-1}" => Some((data, None)),
        rest => match index(rest)? {
            (expires, b"}") => Some((data, Some(expires))),
            _ => None,
        },
    }
}

/// Reads a lifetime that has only a creation time, as most have.
pub(super) fn lifetime(raw: RawEntries<'_>, data: u32) -> Option<RecordLifetime> {
    let fields = raw.text(data)?.as_bytes();
    let (created, b"}") = index(fields.strip_prefix(b"{\"created\":")?)? else {
        return None;
    };
    Some(RecordLifetime {
        created: integer(raw, created)?,
        deadline: None,
        idle: Timeout::Configured,
        persistent: false,
    })
}

/// Parses the index at the start of these bytes, and returns the rest.
#[inline]
fn index(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut index = 0;
    let mut rest = bytes;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        // Ten digits may overflow the type, and no real record has so many entries.
        if bytes.len() - after.len() > 9 {
            return None;
        }
        index = index * 10 + u32::from(digit - b'0');
        rest = after;
    }
    (rest.len() < bytes.len()).then_some((index, rest))
}

/// The number in this entry, as milliseconds, if it is an integer that a double represents exactly.
#[inline]
fn integer(raw: RawEntries<'_>, entry: u32) -> Option<Timestamp> {
    let digits = raw.text(entry)?.as_bytes();
    if !(1..=15).contains(&digits.len()) {
        return None;
    }
    let integer = digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })?;
    Some(Timestamp::from_millis(integer))
}
