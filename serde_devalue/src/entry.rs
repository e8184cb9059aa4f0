//! Decoding one entry of a text whose syntax has been checked.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::limits::ParseOptions;
use crate::scan::Index;
use crate::string::Text;
use crate::tag::Tag;

/// The entries of one document: the text that they are in and where each begins.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'i, 't> {
    pub(crate) text: &'t str,
    pub(crate) index: &'i Index,
    pub(crate) options: &'i ParseOptions,
}

/// What an index in the text leads to: an entry, or a value that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Entry(u32),
    Undefined,
    NaN,
    Infinity,
    NegativeInfinity,
    NegativeZero,
    /// The zero that a Map makes of a key that is −0; no text refers to it.
    Zero,
}

/// The outermost layer of a value.
pub(crate) enum Entry<'t> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    String(Quoted<'t>),
    Array(Elements<'t>),
    /// After the marker.
    Sparse(Elements<'t>),
    /// Keys and values in turn.
    Object(Elements<'t>),
    /// After the tag.
    Tagged(Tag, Quoted<'t>, Elements<'t>),
}

/// A string literal, without its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'t> {
    pub(crate) raw: &'t str,
    pub(crate) at: usize,
}

impl<'t> Quoted<'t> {
    #[inline]
    pub(crate) fn text(self) -> Text<'t> {
        Text::unescape(self.raw)
    }

    #[inline]
    pub(crate) fn utf8(self) -> Result<Cow<'t, str>, Error> {
        self.text().into_utf8().ok_or_else(|| {
            Error::new(
                ErrorKind::LoneSurrogate,
                self.at,
                "a lone surrogate, which a Rust string cannot hold",
            )
        })
    }
}

/// One thing inside of an entry.
#[derive(Clone, Copy)]
pub(crate) enum Item<'t> {
    Number(&'t str, usize),
    String(Quoted<'t>),
    Null(usize),
    Bool(bool, usize),
    Nested(usize),
}

impl Item<'_> {
    pub(crate) fn position(&self) -> usize {
        match self {
            Self::Number(_, at) | Self::Null(at) | Self::Bool(_, at) | Self::Nested(at) => *at,
            Self::String(quoted) => quoted.at,
        }
    }
}

/// What an item refers to.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reference {
    To(Slot),
    Hole,
}

impl Reference {
    /// Outside of an array, devalue reads the mark of a hole as undefined.
    pub(crate) fn slot(self) -> Slot {
        match self {
            Self::To(slot) => slot,
            Self::Hole => Slot::Undefined,
        }
    }
}

impl<'i, 't> Entries<'i, 't> {
    pub(crate) fn root(&self) -> Slot {
        match self.index {
            Index::Entries(_) => Slot::Entry(0),
            Index::Sentinel(number) => sentinel(*number),
        }
    }

    pub(crate) fn count(&self) -> usize {
        match self.index {
            Index::Entries(starts) => starts.len(),
            Index::Sentinel(_) => 0,
        }
    }

    /// Where the entry begins in the text.
    pub(crate) fn position(&self, slot: Slot) -> usize {
        match (slot, self.index) {
            (Slot::Entry(entry), Index::Entries(starts)) => starts
                .get(entry as usize)
                .map_or(self.text.len(), |&start| start as usize),
            _ => 0,
        }
    }

    #[inline]
    pub(crate) fn entry(&self, slot: Slot) -> Entry<'t> {
        match slot {
            Slot::Entry(_) => self.decode(self.position(slot)),
            Slot::Undefined => Entry::Undefined,
            Slot::NaN => Entry::Number(f64::NAN),
            Slot::Infinity => Entry::Number(f64::INFINITY),
            Slot::NegativeInfinity => Entry::Number(f64::NEG_INFINITY),
            Slot::NegativeZero => Entry::Number(-0.0),
            Slot::Zero => Entry::Number(0.0),
        }
    }

    #[inline]
    fn decode(&self, at: usize) -> Entry<'t> {
        let mut elements = Elements(Cursor {
            text: self.text,
            at,
        });
        match elements.0.peek() {
            Some(b'"') => Entry::String(elements.0.quoted()),
            Some(b'{') => {
                elements.0.at += 1;
                Entry::Object(elements)
            }
            Some(b'[') => {
                elements.0.at += 1;
                let whole = elements;
                match elements.next() {
                    Some(Item::String(tag)) => Entry::Tagged(
                        if tag.raw.contains('\\') {
                            tag.text()
                                .into_utf8()
                                .map_or(Tag::Custom, |name| Tag::of(&name))
                        } else {
                            Tag::of(tag.raw)
                        },
                        tag,
                        elements,
                    ),
                    Some(Item::Number(digits, _))
                        if digits.starts_with('-') && number(digits) == -7.0 =>
                    {
                        Entry::Sparse(elements)
                    }
                    _ => Entry::Array(whole),
                }
            }
            Some(b't') => Entry::Bool(true),
            Some(b'f') => Entry::Bool(false),
            Some(b'-' | b'0'..=b'9') => Entry::Number(number(elements.0.token())),
            Some(b'n') => Entry::Null,
            // Past the end, for a node that another document gave.
            _ => Entry::Undefined,
        }
    }

    /// Follows an index as devalue does: its sentinels, then the entries, and undefined for any other number that is
    /// no index at all.
    #[inline]
    pub(crate) fn follow(&self, item: Item<'t>) -> Result<Reference, Error> {
        let Item::Number(digits, at) = item else {
            return Err(Error::format(item.position(), "expected an index"));
        };
        let mut index = 0_usize;
        if digits.len() <= 9 && digits.bytes().all(|digit| digit.is_ascii_digit()) {
            for digit in digits.bytes() {
                index = index * 10 + usize::from(digit - b'0');
            }
        } else {
            let number = number(digits);
            if number == -2.0 {
                return Ok(Reference::Hole);
            }
            // An entry's index is below 2^32, so that the conversion is exact for all that pass the check.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            match number {
                _ if number.is_sign_negative() && number != 0.0 => {
                    return Ok(Reference::To(sentinel(number)));
                }
                _ if number >= self.count() as f64 => index = usize::MAX,
                _ if number.fract() != 0.0 => return Ok(Reference::To(Slot::Undefined)),
                // JavaScript's `-0 === -6` is false and `-0 in array` is the entry 0.
                _ => index = number as usize,
            }
        }
        if index >= self.count() {
            return Err(Error::format(at, "an index that is out of range"));
        }
        #[allow(clippy::cast_possible_truncation)]
        Ok(Reference::To(Slot::Entry(index as u32)))
    }

    /// The error for a tag that nobody declared.
    pub(crate) fn check_tag(&self, tag: Quoted<'t>) -> Result<(), Error> {
        match tag.text().into_utf8() {
            Some(name) if self.options.accepts(&name) => Ok(()),
            _ => Err(Error::new(ErrorKind::UnknownTag, tag.at, "an unknown tag")),
        }
    }
}

fn sentinel(number: f64) -> Slot {
    match number {
        -3.0 => Slot::NaN,
        -4.0 => Slot::Infinity,
        -5.0 => Slot::NegativeInfinity,
        -6.0 => Slot::NegativeZero,
        _ => Slot::Undefined,
    }
}

/// The nearest double of a JSON number.
#[inline]
pub(crate) fn number(digits: &str) -> f64 {
    // Up to fifteen digits make an integer that a double holds exactly.
    if digits.len() <= 15 && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let mut number = 0_u64;
        for digit in digits.bytes() {
            number = number * 10 + u64::from(digit - b'0');
        }
        #[allow(clippy::cast_precision_loss)]
        return number as f64;
    }
    digits.parse().unwrap_or(f64::NAN)
}

/// A place in the text.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes white space, commas and colons, which the scan has found to be where they should.
    #[inline]
    fn separators(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn quoted(&mut self) -> Quoted<'t> {
        let at = self.at;
        let from = at + 1;
        let bytes = self.text.as_bytes();
        let mut end = from;
        loop {
            let rest = bytes.get(end..).unwrap_or_default();
            match memchr::memchr2(b'"', b'\\', rest) {
                Some(found) if rest.get(found) == Some(&b'"') => {
                    end += found;
                    break;
                }
                Some(found) => end += found + 2,
                None => {
                    end = bytes.len();
                    break;
                }
            }
        }
        self.at = end + 1;
        Quoted {
            raw: self.text.get(from..end).unwrap_or_default(),
            at,
        }
    }

    /// The number or literal that begins here.
    #[inline]
    fn token(&mut self) -> &'t str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest
            .bytes()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')))
            .unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.quoted();
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    #[inline]
    fn item(&mut self) -> Option<Item<'t>> {
        self.separators();
        let at = self.at;
        Some(match self.peek()? {
            b'-' | b'0'..=b'9' => Item::Number(self.token(), at),
            b'"' => Item::String(self.quoted()),
            b']' | b'}' => return None,
            b'[' | b'{' => {
                self.nested();
                Item::Nested(at)
            }
            _ => match self.token() {
                "true" => Item::Bool(true, at),
                "false" => Item::Bool(false, at),
                _ => Item::Null(at),
            },
        })
    }
}

/// What is left of the elements of an array, or of the keys and values of an object.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'t>(Cursor<'t>);

impl<'t> Iterator for Elements<'t> {
    type Item = Item<'t>;

    #[inline]
    fn next(&mut self) -> Option<Item<'t>> {
        self.0.item()
    }
}

impl Elements<'_> {
    /// Where it stands in the text.
    pub(crate) fn position(&self) -> usize {
        self.0.at
    }
}
