//! Decodes one entry of a text with checked syntax.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind};
use crate::limits::{Budget, ParseOptions};
use crate::scan::{Index, Span, plain_prefix};
use crate::string::Text;
use crate::tag::Tag;
use crate::work;
use crate::writer::mark;

/// The entries of a document: the text and the span of each entry.
#[derive(Clone, Copy)]
pub(crate) struct Entries<'i, 't> {
    pub(crate) text: &'t str,
    spans: &'i [Span],
    root: Slot,
    pub(crate) options: &'i ParseOptions,
}

/// The target of an index in the text: an entry, or a special value with a number that no entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) const UNDEFINED: Self = Self(u32::MAX);
    const NAN: Self = Self(u32::MAX - 1);
    const INFINITY: Self = Self(u32::MAX - 2);
    const NEGATIVE_INFINITY: Self = Self(u32::MAX - 3);
    const NEGATIVE_ZERO: Self = Self(u32::MAX - 4);
    /// The zero that a Map uses for a key −0. No text refers to it.
    pub(crate) const ZERO: Self = Self(u32::MAX - 5);

    /// Returns the slot of the entry with this index, which must exist in the document.
    #[inline]
    pub(crate) fn of_entry(index: u32) -> Self {
        Self(index)
    }

    /// Returns the number that the text has for a special value.
    pub(crate) fn reference(self) -> i32 {
        match Self::UNDEFINED.0 - self.0 {
            0 => -1,
            // -2 is a hole.
            other => i32::try_from(other).map_or(-1, |other| -2 - other),
        }
    }

    /// Returns the index of its entry, if any.
    #[inline]
    pub(crate) fn index(self) -> Option<u32> {
        (self.0 < Self::ZERO.0).then_some(self.0)
    }
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
    /// Alternating keys and values.
    Object(Elements<'t>),
    /// After the tag.
    Tagged(Tag, Quoted<'t>, Elements<'t>),
}

impl<'t> Entry<'t> {
    /// Returns the items that are references, by their position. Returns `None` for an unknown tag, which may have
    /// references anywhere.
    pub(crate) fn references(self) -> Option<References<'t>> {
        let (elements, skip, step, rest) = match self {
            Self::Array(elements) => (elements, 0, 1, usize::MAX),
            Self::Object(elements) => (elements, 1, 2, usize::MAX),
            // After the length, an index before each element.
            Self::Sparse(elements) => (elements, 2, 2, usize::MAX),
            Self::Tagged(tag, _, elements) => match tag {
                Tag::Map | Tag::Set => (elements, 0, 1, usize::MAX),
                Tag::NullObject => (elements, 1, 2, usize::MAX),
                Tag::Boxed | Tag::Url | Tag::View(_) => (elements, 0, 1, 1),
                Tag::Custom => return None,
                _ => (elements, 0, 1, 0),
            },
            _ => (Elements(Cursor { text: "", at: 0 }), 0, 1, 0),
        };
        Some(References {
            elements,
            skip,
            step,
            rest,
        })
    }
}

/// The items of an entry that are references. Other items in their places are returned as well.
pub(crate) struct References<'t> {
    elements: Elements<'t>,
    skip: usize,
    step: usize,
    rest: usize,
}

impl<'t> References<'t> {
    /// Returns the references of an object.
    #[inline]
    pub(crate) fn of_object(members: Elements<'t>) -> Self {
        Self {
            elements: members,
            skip: 1,
            step: 2,
            rest: usize::MAX,
        }
    }

    /// Returns where the next reference is in the text, and the entry that it refers to, if any.
    #[inline]
    pub(crate) fn next_target(
        &mut self,
        entries: Entries<'_, 't>,
    ) -> Option<Result<(usize, Option<u32>), Error>> {
        self.rest = self.rest.checked_sub(1)?;
        if self.elements.is_at_end() {
            return None;
        }
        for _ in 0..self.skip {
            self.elements.skip_key()?;
        }
        self.skip = self.step - 1;
        let cursor = &mut self.elements.0;
        let at = cursor.at + usize::from(matches!(cursor.peek(), Some(b',' | b':')));
        let rest = self.elements.0.text.as_bytes().get(at..)?;
        if let [b'-', b'1'..=b'9', b',' | b'}' | b']', ..] = rest {
            // A special value.
            self.elements.0.at = at + 2;
            return Some(Ok((at, None)));
        }
        if let Some((index, digits)) = small_index(rest)
            && (index as usize) < entries.count()
        {
            self.elements.0.at = at + digits;
            return Some(Ok((at, Some(index))));
        }
        let item = self.elements.next()?;
        Some(entries.target(item).map(|target| (item.position(), target)))
    }
}

/// A string literal, without its quotes.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'t> {
    pub(crate) raw: &'t str,
    pub(crate) at: usize,
    /// Whether it contains no escapes.
    pub(crate) plain: bool,
}

impl<'t> Quoted<'t> {
    #[inline]
    pub(crate) fn text(self) -> Text<'t> {
        if self.plain {
            Text::Utf8(Cow::Borrowed(self.raw))
        } else {
            Text::unescape(self.raw)
        }
    }

    /// Returns the mark under which the writer looks for this string.
    pub(crate) fn mark(self) -> u32 {
        match self.text() {
            Text::Utf8(text) => mark(text.as_bytes()),
            Text::Utf16(_) => 0,
        }
    }

    fn tag(self) -> Tag {
        if self.plain {
            return Tag::of(self.raw);
        }
        self.text()
            .into_utf8()
            .map_or(Tag::Custom, |name| Tag::of(&name))
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

/// An item inside an entry.
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

/// Resolves the reference of an item.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Reference {
    To(Slot),
    Hole,
}

impl Reference {
    /// Outside an array, devalue reads the sentinel of a hole as `undefined`.
    pub(crate) fn slot(self) -> Slot {
        match self {
            Self::To(slot) => slot,
            Self::Hole => Slot::UNDEFINED,
        }
    }
}

impl<'i, 't> Entries<'i, 't> {
    #[inline]
    pub(crate) fn new(text: &'t str, index: &'i Index, options: &'i ParseOptions) -> Self {
        let (spans, root) = match index {
            Index::Entries(spans) => (&**spans, Slot(0)),
            Index::Sentinel(number) => (&[][..], sentinel(*number)),
        };
        Self {
            text,
            spans,
            root,
            options,
        }
    }

    pub(crate) fn root(&self) -> Slot {
        self.root
    }

    pub(crate) fn count(&self) -> usize {
        self.spans.len()
    }

    /// Returns where the entry starts in the text.
    #[inline(always)]
    pub(crate) fn position(&self, slot: Slot) -> usize {
        let past = if slot.index().is_some() {
            self.text.len()
        } else {
            0
        };
        self.spans
            .get(slot.0 as usize)
            .map_or(past, |span| span.start as usize)
    }

    /// Returns the span of the entry and its first byte.
    #[inline(always)]
    pub(crate) fn head(&self, slot: Slot) -> Option<(Span, u8)> {
        let span = *self.spans.get(slot.0 as usize)?;
        Some((span, *self.text.as_bytes().get(span.start as usize)?))
    }

    /// Returns what reading the text of the entry costs: its length, or more if it has escapes.
    #[inline(always)]
    pub(crate) fn length(&self, slot: Slot) -> usize {
        let span = self.spans.get(slot.0 as usize);
        span.map_or(0, |span| {
            let length = span.end() - span.start as usize;
            if span.is_escaped() {
                3 * length
            } else {
                length
            }
        })
    }

    /// Returns a full budget for reading this document.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.text.len(), &self.options.limits)
    }

    /// Returns the raw text of the entry.
    #[inline]
    pub(crate) fn entry_text(&self, index: u32) -> Option<&'t str> {
        let span = self.spans.get(index as usize)?;
        self.text.get(span.start as usize..span.end())
    }

    /// Returns the entry if it is a string.
    #[inline]
    pub(crate) fn string(&self, slot: Slot) -> Option<Quoted<'t>> {
        match self.head(slot) {
            Some((span, b'"')) => Some(self.quoted(span)),
            _ => None,
        }
    }

    /// Returns the string of this span, which starts with a quote.
    #[inline(always)]
    pub(crate) fn quoted(&self, span: Span) -> Quoted<'t> {
        let at = span.start as usize;
        let raw = self.text.get(at + 1..span.end() - 1).unwrap_or_default();
        Quoted {
            raw,
            at,
            plain: !span.is_escaped(),
        }
    }

    /// Returns the members of the object of this span, which starts with a brace.
    #[inline(always)]
    pub(crate) fn object(&self, span: Span) -> Elements<'t> {
        Elements(Cursor {
            text: self.text,
            at: span.start as usize + 1,
        })
    }

    /// Returns the number of this span, which starts with a digit.
    #[inline(always)]
    pub(crate) fn unsigned(&self, span: Span) -> f64 {
        number(
            self.text
                .get(span.start as usize..span.end())
                .unwrap_or_default(),
        )
    }

    #[inline]
    pub(crate) fn entry(&self, slot: Slot) -> Entry<'t> {
        match slot {
            Slot::UNDEFINED => Entry::Undefined,
            Slot::NAN => Entry::Number(f64::NAN),
            Slot::INFINITY => Entry::Number(f64::INFINITY),
            Slot::NEGATIVE_INFINITY => Entry::Number(f64::NEG_INFINITY),
            Slot::NEGATIVE_ZERO => Entry::Number(-0.0),
            Slot::ZERO => Entry::Number(0.0),
            _ => self.decode(self.position(slot)),
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
                elements.0.separators();
                match elements.0.peek() {
                    Some(b'"') => {
                        let tag = elements.0.quoted();
                        Entry::Tagged(tag.tag(), tag, elements)
                    }
                    Some(b'-') => {
                        let whole = elements;
                        if number(elements.0.token()) == -7.0 {
                            Entry::Sparse(elements)
                        } else {
                            Entry::Array(whole)
                        }
                    }
                    _ => Entry::Array(elements),
                }
            }
            Some(b't') => Entry::Bool(true),
            Some(b'f') => Entry::Bool(false),
            Some(b'-' | b'0'..=b'9') => {
                let small = elements.0.small_number();
                Entry::Number(small.map_or_else(|| number(elements.0.token()), f64::from))
            }
            Some(b'n') => Entry::Null,
            // Out of bounds if the node belongs to another document.
            _ => Entry::Undefined,
        }
    }

    /// Resolves an index like devalue: a sentinel, then an entry, and `undefined` for any other number that is not an
    /// index.
    #[inline]
    pub(crate) fn follow(&self, item: Item<'t>) -> Result<Reference, Error> {
        let Item::Number(digits, at) = item else {
            return Err(Error::format(item.position(), "expected an index"));
        };
        let number = number(digits);
        if number == -2.0 {
            return Ok(Reference::Hole);
        }
        if number < 0.0 {
            return Ok(Reference::To(sentinel(number)));
        }
        if number >= self.count() as f64 {
            return Err(Error::format(at, "an index that is out of range"));
        }
        if number.fract() != 0.0 {
            return Ok(Reference::To(Slot::UNDEFINED));
        }
        // The index of an entry is below 2^32, so this is exact.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Reference::To(Slot(number as u32)))
    }

    /// Returns the entry that an item refers to; `None` if it is no index of an entry, such as a special value.
    #[inline]
    pub(crate) fn target(&self, item: Item<'t>) -> Result<Option<u32>, Error> {
        match item {
            Item::Number(..) => match self.follow(item)? {
                Reference::To(slot) => Ok(slot.index()),
                Reference::Hole => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// Returns the entries that an entry refers to. For an unknown tag, these are all that it may refer to.
    pub(crate) fn targets(&self, index: u32) -> Vec<u32> {
        let references = self.references(index).into_iter();
        references.flatten().flatten().collect()
    }

    /// Returns each reference of an entry as the entry that it refers to, if any, or the error that it is. For an unknown
    /// tag, these are all numbers in it, at any depth.
    pub(crate) fn references(&self, index: u32) -> Vec<Result<Option<u32>, Error>> {
        if let Some(mut references) = self.entry(Slot(index)).references() {
            let targets = std::iter::from_fn(|| references.next_target(*self));
            return targets.map(|found| Ok(found?.1)).collect();
        }
        let mut numbers = Vec::new();
        let text = self.entry_text(index).unwrap_or_default();
        let mut cursor = Cursor { text, at: 0 };
        while let Some(byte) = cursor.peek() {
            match byte {
                b'"' => drop(cursor.quoted()),
                b'-' | b'0'..=b'9' => {
                    let at = cursor.at;
                    numbers.push(self.target(Item::Number(cursor.token(), at)));
                }
                _ => cursor.at += 1,
            }
        }
        numbers
    }

    /// Returns the next member of an object if it is simple: a key without escapes and an index, without white space.
    #[inline]
    pub(crate) fn next_plain_member(&self, elements: &mut Elements<'t>) -> Option<(&'t str, Slot)> {
        let bytes = self.text.as_bytes();
        let mut from = elements.0.at;
        if bytes.get(from) == Some(&b',') {
            from += 1;
        }
        // A key that may be `__proto__` is not simple.
        let [b'"', rest @ ..] = bytes.get(from..)? else {
            return None;
        };
        if rest.first() == Some(&b'_') {
            return None;
        }
        from += 1;
        let length = plain_prefix(rest);
        let [b'"', b':', value @ ..] = rest.get(length..)? else {
            return None;
        };
        let (slot, digits) = match value {
            [b'-', b'1', b',' | b'}', ..] => (Slot::UNDEFINED, 2),
            _ => {
                let (index, digits) = small_index(value)?;
                ((index as usize) < self.count()).then_some((Slot(index), digits))?
            }
        };
        elements.0.at = from + length + 2 + digits;
        work::count(length + 2 + digits);
        Some((self.text.get(from..from + length)?, slot))
    }

    /// Resolves the reference of the next element.
    #[inline]
    pub(crate) fn next_reference(
        &self,
        elements: &mut Elements<'t>,
    ) -> Option<Result<Reference, Error>> {
        let bytes = self.text.as_bytes();
        let after_comma = elements.0.at + usize::from(elements.0.peek() == Some(b','));
        if let Some((index, digits)) = bytes.get(after_comma..).and_then(small_index)
            && (index as usize) < self.count()
        {
            elements.0.at = after_comma + digits;
            work::count(1 + digits);
            return Some(Ok(Reference::To(Slot(index))));
        }
        elements.0.separators();
        let at = elements.0.at;
        match elements.0.small_number() {
            Some(index) if (index as usize) < self.count() => Some(Ok(Reference::To(Slot(index)))),
            Some(_) => Some(Err(Error::format(at, "an index that is out of range"))),
            None => elements.next().map(|item| self.follow(item)),
        }
    }

    /// Returns an error if the tag is not declared.
    pub(crate) fn check_tag(&self, tag: Quoted<'t>) -> Result<(), Error> {
        match tag.text().into_utf8() {
            Some(name) if self.options.accepts(&name) => Ok(()),
            _ => Err(Error::new(ErrorKind::UnknownTag, tag.at, "an unknown tag")),
        }
    }
}

fn sentinel(number: f64) -> Slot {
    match number {
        -3.0 => Slot::NAN,
        -4.0 => Slot::INFINITY,
        -5.0 => Slot::NEGATIVE_INFINITY,
        -6.0 => Slot::NEGATIVE_ZERO,
        _ => Slot::UNDEFINED,
    }
}

/// Parses an index of at most nine digits that is directly followed by a comma or a bracket. Returns it with the number
/// of digits.
#[inline]
fn small_index(bytes: &[u8]) -> Option<(u32, usize)> {
    // Most have one or two digits.
    match bytes {
        [one @ b'0'..=b'9', b',' | b'}' | b']', ..] => return Some((u32::from(one - b'0'), 1)),
        [ten @ b'0'..=b'9', one @ b'0'..=b'9', b',' | b'}' | b']', ..] => {
            return Some((u32::from(ten - b'0') * 10 + u32::from(one - b'0'), 2));
        }
        _ => {}
    }
    let mut index = 0;
    for (digits, byte) in bytes.iter().enumerate().take(10) {
        match byte {
            b'0'..=b'9' if digits < 9 => index = index * 10 + u32::from(byte - b'0'),
            b',' | b'}' | b']' if digits > 0 => return Some((index, digits)),
            _ => return None,
        }
    }
    None
}

/// Returns the nearest double of a JSON number.
#[inline]
pub(crate) fn number(digits: &str) -> f64 {
    work::count(digits.len());
    // A double represents integers of up to fifteen digits exactly.
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

/// A cursor in the text.
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

    /// Skips white space, commas and colons. The scan has already checked their positions.
    #[inline]
    fn separators(&mut self) {
        let from = self.at;
        while let Some(b' ' | b'\n' | b'\r' | b'\t' | b',' | b':') = self.peek() {
            self.at += 1;
        }
        work::count(self.at - from);
    }

    #[inline]
    fn quoted(&mut self) -> Quoted<'t> {
        let at = self.at;
        let plain = self.skip_string();
        Quoted {
            raw: self.text.get(at + 1..self.at - 1).unwrap_or_default(),
            at,
            plain,
        }
    }

    /// Skips a string literal, and returns whether it contains no escapes.
    #[inline]
    fn skip_string(&mut self) -> bool {
        let at = self.at;
        let bytes = self.text.as_bytes();
        let mut end = at + 1;
        let mut plain = true;
        loop {
            end += plain_prefix(bytes.get(end..).unwrap_or_default());
            match bytes.get(end) {
                Some(b'\\') => {
                    plain = false;
                    end += 2;
                }
                // The scan has rejected control characters.
                _ => break,
            }
        }
        self.at = end + 1;
        work::count(end - at);
        plain
    }

    /// Parses an integer of at most nine digits.
    #[inline]
    fn small_number(&mut self) -> Option<u32> {
        let mut number = 0;
        let mut at = self.at;
        let bytes = self.text.as_bytes();
        while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
            if at - self.at == 9 {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
            at += 1;
        }
        if at == self.at || matches!(bytes.get(at), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at = at;
        Some(number)
    }

    /// Parses a number or a literal.
    #[inline]
    fn token(&mut self) -> &'t str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest
            .bytes()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')))
            .unwrap_or(rest.len());
        self.at += end;
        work::count(end);
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
            work::count(1);
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

/// The remaining elements of an array, or keys and values of an object.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'t>(Cursor<'t>);

impl<'t> Iterator for Elements<'t> {
    type Item = Item<'t>;

    #[inline]
    fn next(&mut self) -> Option<Item<'t>> {
        self.0.item()
    }
}

impl<'t> Elements<'t> {
    /// Skips the next element, which is a key in valid devalue.
    #[inline]
    fn skip_key(&mut self) -> Option<()> {
        self.0.separators();
        if self.0.peek() == Some(b'"') {
            self.0.skip_string();
            return Some(());
        }
        self.next().map(drop)
    }

    /// Returns the next element as a key. It is an error if it is no string.
    #[inline]
    pub(crate) fn next_key(&mut self) -> Option<Result<Quoted<'t>, Error>> {
        self.0.separators();
        if self.0.peek() == Some(b'"') {
            return Some(Ok(self.0.quoted()));
        }
        self.next()
            .map(|item| Err(Error::format(item.position(), "a key that is no string")))
    }

    /// Returns `true` if there are no more elements. Where it is `false`, there may be white space.
    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        matches!(self.0.peek(), Some(b']' | b'}'))
    }

    /// Returns `true` if there are no more elements.
    pub(crate) fn is_empty(mut self) -> bool {
        self.0.separators();
        matches!(self.0.peek(), Some(b']' | b'}') | None)
    }

    /// Returns the position in the text.
    pub(crate) fn position(&self) -> usize {
        self.0.at
    }
}
