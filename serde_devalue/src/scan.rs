//! One pass over the text that checks its JSON syntax and finds the entries.

use smallvec::SmallVec;

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;

/// The maximum nesting of the syntax. Devalue writes two levels.
const NESTING: usize = 512;

/// The positions of the entries of a document.
#[derive(Debug, PartialEq)]
pub(crate) enum Index {
    /// The text is a single negative number.
    Sentinel(f64),
    /// The text is an array with these elements.
    Entries(Spans),
}

/// The spans of the entries. Small documents need no allocation.
pub(crate) type Spans = SmallVec<[Span; 12]>;

impl Index {
    /// Returns the index of an array with one entry without escapes.
    pub(crate) fn of_scalar(text: &str) -> Self {
        Self::Entries(SmallVec::from_slice(&[Span::new(1, text.len() - 1, false)]))
    }
}

/// The position of an entry in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    /// The end of the entry. The highest bit is set if it contains a backslash.
    end: u32,
}

/// The flag in `Span::end` for a backslash. No text has an offset this large.
const ESCAPED: u32 = 1 << 31;

impl Span {
    /// The maximum size of the text.
    pub(crate) const LONGEST: usize = ESCAPED as usize - 1;

    #[inline]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the caller has checked the size of the text"
    )]
    pub(crate) fn new(start: usize, end: usize, is_escaped: bool) -> Self {
        Self {
            start: start as u32,
            end: end as u32 | if is_escaped { ESCAPED } else { 0 },
        }
    }

    pub(crate) fn end(self) -> usize {
        (self.end & !ESCAPED) as usize
    }

    pub(crate) fn is_escaped(self) -> bool {
        self.end & ESCAPED != 0
    }
}

/// Checks the syntax of the whole text and finds the entries.
pub(crate) fn scan(text: &str, limits: &Limits) -> Result<Index, Error> {
    let bytes = text.as_bytes();
    if bytes.len() > limits.size || bytes.len() > Span::LONGEST {
        return Err(Error::new(
            ErrorKind::TooLarge,
            None,
            "the text is larger than the limit",
        ));
    }
    let mut scanner = Scanner {
        bytes,
        at: 0,
        open: Nesting::default(),
        escaped: false,
    };
    scanner.whitespace();
    let index = match scanner.peek() {
        Some(b'[') => {
            scanner.at += 1;
            Index::Entries(scanner.entries()?)
        }
        Some(b'-' | b'0'..=b'9') => {
            let from = scanner.at;
            scanner.number()?;
            let number = text
                .get(from..scanner.at)
                .and_then(|digits| digits.parse().ok())
                .unwrap_or(f64::NAN);
            if ![-1.0, -3.0, -4.0, -5.0, -6.0].contains(&number) {
                return Err(Error::format(from, "a number that is no sentinel"));
            }
            Index::Sentinel(number)
        }
        Some(b'{' | b'"' | b't' | b'f' | b'n') => {
            let from = scanner.at;
            scanner.value()?;
            return Err(Error::format(from, "neither an array nor a number"));
        }
        _ => return Err(scanner.unexpected()),
    };
    scanner.whitespace();
    if scanner.at < bytes.len() {
        return Err(scanner.unexpected());
    }
    Ok(index)
}

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    open: Nesting,
    /// Whether a backslash was found since this was last reset.
    escaped: bool,
}

impl Scanner<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn whitespace(&mut self) {
        // One comparison is enough for nearly every text.
        while self.peek().is_some_and(|byte| byte <= b' ') {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                _ => return,
            }
        }
    }

    #[cold]
    fn unexpected(&self) -> Error {
        match self.peek() {
            Some(_) => Error::syntax(self.at, "unexpected character"),
            None => Error::syntax(self.at, "unexpected end"),
        }
    }

    fn entries(&mut self) -> Result<Spans, Error> {
        self.whitespace();
        if self.peek() == Some(b']') {
            return Err(Error::format(self.at, "an array without entries"));
        }
        // This capacity fits typical records. A text with many short entries grows it.
        let mut spans = Spans::with_capacity((self.bytes.len() / 16 + 4).min(1 << 16));
        loop {
            self.whitespace();
            let start = self.at;
            self.escaped = false;
            let rest = self.bytes.get(start..).unwrap_or_default();
            match after_simple(rest) {
                Some(after) => self.at = self.bytes.len() - after.len(),
                None => self.value()?,
            }
            spans.push(Span::new(start, self.at, self.escaped));
            self.whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(spans);
                }
                _ => return Err(self.unexpected()),
            }
        }
    }

    /// Skips one value of any nesting, without recursion.
    #[inline]
    fn value(&mut self) -> Result<(), Error> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'[' | b'{') => self.nested(),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<(), Error> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(self.unexpected()),
        }
    }

    fn nested(&mut self) -> Result<(), Error> {
        let floor = self.open.depth;
        loop {
            self.whitespace();
            let opened = match self.peek() {
                Some(b'[') => {
                    self.enter(false)?;
                    self.peek() != Some(b']')
                }
                Some(b'{') => {
                    self.enter(true)?;
                    let filled = self.peek() != Some(b'}');
                    if filled {
                        self.key()?;
                    }
                    filled
                }
                Some(b'"') => {
                    self.string()?;
                    false
                }
                _ => {
                    self.scalar()?;
                    false
                }
            };
            if opened {
                continue;
            }
            loop {
                self.whitespace();
                match (self.peek(), self.open.is_object()) {
                    (Some(b','), in_object) => {
                        self.at += 1;
                        if in_object {
                            self.whitespace();
                            self.key()?;
                        }
                        break;
                    }
                    (Some(b']'), false) | (Some(b'}'), true) => {
                        self.at += 1;
                        self.open.leave();
                        if self.open.depth == floor {
                            return Ok(());
                        }
                    }
                    _ => return Err(self.unexpected()),
                }
            }
        }
    }

    #[inline]
    fn enter(&mut self, object: bool) -> Result<(), Error> {
        if !self.open.enter(object) {
            return Err(Error::new(ErrorKind::TooDeep, self.at, "nested too deeply"));
        }
        self.at += 1;
        self.whitespace();
        Ok(())
    }

    #[inline]
    fn key(&mut self) -> Result<(), Error> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        self.string()?;
        self.whitespace();
        if self.peek() != Some(b':') {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn string(&mut self) -> Result<(), Error> {
        self.at += 1;
        loop {
            self.at += plain_prefix(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(Error::syntax(self.at, "a control character in a string")),
                None => return Err(self.unexpected()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        self.escaped = true;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.unexpected());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.unexpected()),
        }
        Ok(())
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Error> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected());
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<(), Error> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Error> {
        for &expected in literal {
            if self.peek() != Some(expected) {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        Ok(())
    }
}

/// Skips a simple entry without white space, escapes and fractions. Returns `None` for any other entry.
#[inline]
fn after_simple(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.first()? {
        b'"' => after_plain_string(bytes),
        b'[' | b'{' => after_flat(bytes),
        _ => match after_integer(bytes)? {
            [b'.' | b'e' | b'E', ..] => None,
            rest => Some(rest),
        },
    }
}

/// Skips an array of indices, possibly with a tag, or an object of indices.
#[inline]
fn after_flat(bytes: &[u8]) -> Option<&[u8]> {
    let (open, mut rest) = bytes.split_first()?;
    let is_object = *open == b'{';
    let end = if is_object { b'}' } else { b']' };
    if !is_object {
        while let Some(after) = after_plain_string(rest) {
            match after {
                [b',', after @ ..] => rest = after,
                [b']', after @ ..] => return Some(after),
                _ => return None,
            }
        }
    }
    loop {
        if is_object {
            let [b':', after @ ..] = after_plain_string(rest)? else {
                return None;
            };
            rest = after;
        }
        match after_integer(rest)? {
            [b',', after @ ..] => rest = after,
            [byte, after @ ..] if *byte == end => return Some(after),
            _ => return None,
        }
    }
}

/// Skips a string without escapes.
#[inline]
fn after_plain_string(bytes: &[u8]) -> Option<&[u8]> {
    let [b'"', rest @ ..] = bytes else {
        return None;
    };
    match rest.get(plain_prefix(rest)..) {
        Some([b'"', after @ ..]) => Some(after),
        _ => None,
    }
}

/// Skips the integer part of a number.
#[inline]
fn after_integer(bytes: &[u8]) -> Option<&[u8]> {
    let digits = match bytes {
        [b'-', digits @ ..] => digits,
        digits => digits,
    };
    match digits {
        [b'0', after @ ..] => Some(after),
        [b'1'..=b'9', after @ ..] => {
            let mut rest = after;
            while let [b'0'..=b'9', after @ ..] = rest {
                rest = after;
            }
            Some(rest)
        }
        _ => None,
    }
}

/// Returns the number of bytes before a quote, a backslash or a control character.
#[inline]
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    // Most strings are only a few words long.
    for (place, word) in words.iter().take(SHORT).enumerate() {
        if let Some(passed) = plain_in(*word) {
            return place * 8 + passed;
        }
    }
    if words.len() > SHORT {
        return SHORT * 8 + plain_prefix_of_long(bytes.get(SHORT * 8..).unwrap_or_default());
    }
    words.len() * 8 + plain_prefix_of_rest(rest)
}

/// How many words are checked one by one.
const SHORT: usize = 3;

/// Does the same in larger steps that compile to a few vector instructions each.
fn plain_prefix_of_long(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let is_plain = |block: &&[u8; 32]| {
        let marks = block
            .iter()
            .map(|&byte| u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\'));
        marks.fold(0, |any, mark| any | mark) == 0
    };
    let mut passed = 32 * blocks.iter().take_while(is_plain).count();
    let (words, rest) = bytes.get(passed..).unwrap_or_default().as_chunks::<8>();
    for word in words {
        if let Some(plain) = plain_in(*word) {
            return passed + plain;
        }
        passed += 8;
    }
    passed + plain_prefix_of_rest(rest)
}

fn plain_prefix_of_rest(bytes: &[u8]) -> usize {
    let is_plain = |byte: &&u8| **byte != b'"' && **byte != b'\\' && **byte >= 0x20;
    bytes.iter().take_while(is_plain).count()
}

/// Returns how many bytes of this word pass, or `None` if all do.
#[inline]
fn plain_in(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    // A byte smaller than the subtrahend borrows into its high bit. Only the lowest marked byte is reliable; higher
    // marks may be false positives.
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let marked = (control | quote | backslash) & !word & HIGHS;
    (marked != 0).then_some((marked.trailing_zeros() / 8) as usize)
}

/// A bit set of the open brackets: a set bit is a brace.
#[derive(Default)]
struct Nesting {
    depth: usize,
    objects: [u64; NESTING / 64],
}

impl Nesting {
    #[inline]
    fn enter(&mut self, object: bool) -> bool {
        let Some(word) = self.objects.get_mut(self.depth / 64) else {
            return false;
        };
        let bit = 1 << (self.depth % 64);
        if object {
            *word |= bit;
        } else {
            *word &= !bit;
        }
        self.depth += 1;
        true
    }

    #[inline]
    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    #[inline]
    fn is_object(&self) -> bool {
        let top = self.depth.wrapping_sub(1);
        self.objects
            .get(top / 64)
            .is_some_and(|word| word & (1 << (top % 64)) != 0)
    }
}
