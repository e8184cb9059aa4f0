//! A fast writer of records, which copies unchanged entries from the old text and renumbers their references.
//!
//! It writes the same bytes as [`Writer`](serde_devalue::Writer), or gives up: records with unusual strings, numbers or
//! tagged values are left to that one.

use memchr::{memchr, memchr2};
use serde_devalue::{Assembly, Document, RawEntries};
use smallvec::SmallVec;

use super::{Name, Value};
use crate::session::lifetime::{RecordLifetime, Timeout};
use crate::session::record::{LIFETIME_ENTRY, to_expires, wrapper};

/// The maximum number of primitives in a record; each is compared with all earlier ones.
const PRIMITIVES: usize = 64;
/// The maximum number of entries in a source text.
const ENTRIES: usize = 2_048;
/// The maximum depth of nested values.
const DEPTH: usize = 16;
/// The maximum number of members of an object; each key is compared with all earlier ones.
const MEMBERS: usize = 32;
/// The maximum number of bytes of referenced strings, counted for each reference; far below the general limit.
const EXPANSION: usize = 1 << 20;

/// Writes a record with these entries; `None` if any part of it is unusual.
pub(super) fn write(
    base: Option<&Document>,
    entries: &[(Name<'_>, Value<'_>)],
    lifetime: Option<&RecordLifetime>,
) -> Option<Document> {
    let mut buffers = [(); NUMBERS].map(|()| itoa::Buffer::new());
    let mut numbers = Numbers(buffers.iter_mut());
    // Allocated here, since they are too large to move.
    let mut pieces = SmallVec::new();
    let mut references = SmallVec::new();
    let mut repack = Repack::new(&mut pieces, &mut references, 2 * entries.len() + 2);
    let base = match base {
        Some(base) => Some(repack.source(base)?),
        None => None,
    };
    repack.begin();
    for (name, value) in entries {
        let name = match name {
            Name::Text(text) => repack.string(text)?,
            Name::Node(node) => {
                let (base, name) = (base?, node.id().index()?);
                base.raw.text(name)?.strip_prefix('"')?;
                repack.visit(base, name, 0)?
            }
        };
        let value = match value {
            Value::Entry(entry) => repack.visit(base?, entry.value.id().index()?, 0)?,
            Value::Item(item) => {
                let is_base = base.is_some_and(|base| base.is(&item.document));
                let source = repack.source(&item.document).filter(|_| !is_base)?;
                let wrapper = repack.begin();
                let data = repack.visit(source, item.node.index()?, 1)?;
                let expires = match item.expires {
                    Some(expires) => repack.primitive(numbers.write(expires)?, false)?,
                    None => UNDEFINED,
                };
                repack.wrapper(wrapper, data, expires)
            }
        };
        repack.entry(name, value)?;
    }
    if let Some(lifetime) = lifetime {
        let name = repack.primitive(LIFETIME_ENTRY, true)?;
        let value = repack.lifetime(lifetime, &mut numbers)?;
        repack.entry(name, value)?;
    }
    repack.document()
}

const UNDEFINED: i32 = -1;

/// Buffers for numbers that are not in a source text.
struct Numbers<'a>(std::slice::IterMut<'a, itoa::Buffer>);

/// The maximum number of new numbers in a record: the expiries of new values, and the fields of the lifetime.
const NUMBERS: usize = 8;

impl<'a> Numbers<'a> {
    /// The text of a number, if it is a positive integer that is written in plain digits.
    fn write(&mut self, number: f64) -> Option<&'a str> {
        const SAFE: f64 = 9_007_199_254_740_991.0;
        if !(1.0..=SAFE).contains(&number) || number.fract() != 0.0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is a positive integer below 2^53"
        )]
        let integer = number as u64;
        Some(self.0.next()?.format(integer))
    }
}

/// A text that entries are copied from, and the position in `references` of their new indices.
#[derive(Clone, Copy)]
struct Source<'a> {
    document: &'a Document,
    raw: RawEntries<'a>,
    known: usize,
}

impl Source<'_> {
    /// Whether this is the same document, in which equal indices are the same object.
    fn is(&self, document: &Document) -> bool {
        std::ptr::eq(
            self.document.as_bytes().as_ptr(),
            document.as_bytes().as_ptr(),
        )
    }
}

/// An entry of the new text.
#[derive(Clone, Copy)]
enum Piece<'a> {
    /// The record's map, which is written by itself, or an entry that is not complete yet.
    Open,
    /// A copy from a source text.
    Copy(&'a str),
    /// A new string.
    Quoted(&'a str),
    /// An array or object whose references have changed, and their start in `references`.
    Renumbered(&'a str, usize),
    /// `{data, expires}` of a value that was set.
    Wrapper { data: i32, expires: i32 },
    /// The lifetime; 0 where it has no such field.
    Lifetime([i32; 4]),
}

/// The new text under construction.
struct Repack<'a, 'b> {
    pieces: &'b mut SmallVec<[Piece<'a>; 32]>,
    /// The references of the record's map, then the new index of each source entry (0 if it was not visited yet), then the
    /// references of arrays and objects.
    references: &'b mut SmallVec<[i32; 128]>,
    /// The number of references of the map.
    map: usize,
    /// The hashes of the visited primitives, and their entries.
    hashes: [u32; PRIMITIVES],
    marked: [i32; PRIMITIVES],
    primitives: usize,
    /// The number of bytes of referenced primitives.
    expanded: usize,
    /// The total length of the pieces.
    length: usize,
}

const LIFETIME_FIELDS: [&str; 4] = ["created", "deadline", "idle", "persistent"];

impl<'a, 'b> Repack<'a, 'b> {
    /// Creates a text whose map has room for this many references.
    fn new(
        pieces: &'b mut SmallVec<[Piece<'a>; 32]>,
        references: &'b mut SmallVec<[i32; 128]>,
        map: usize,
    ) -> Self {
        references.resize(map, 0);
        Self {
            pieces,
            references,
            map: 0,
            hashes: [0; PRIMITIVES],
            marked: [0; PRIMITIVES],
            primitives: 0,
            expanded: 0,
            length: 0,
        }
    }

    fn source(&mut self, document: &'a Document) -> Option<Source<'a>> {
        let known = self.references.len();
        let raw = document.raw();
        let count = raw.len();
        if count > ENTRIES {
            return None;
        }
        self.references.resize(known + count, 0);
        Some(Source {
            document,
            raw,
            known,
        })
    }

    /// Adds an entry of a source with its children, and returns its new index.
    fn visit(&mut self, source: Source<'a>, entry: u32, depth: usize) -> Option<i32> {
        let text = source.raw.text(entry)?;
        let place = source.known + entry as usize;
        let (is_string, is_number) = match text.as_bytes() {
            [b'[' | b'{', ..] => {
                if let Some(&known) = self.references.get(place).filter(|known| **known != 0) {
                    return Some(known);
                }
                return self.container(source, place, text, depth);
            }
            [b'"', ..] => (true, false),
            [b't' | b'f' | b'n', ..] => (false, false),
            _ => (false, true),
        };
        self.expanded += text.len();
        if self.expanded > EXPANSION {
            return None;
        }
        if let Some(&known) = self.references.get(place).filter(|known| **known != 0) {
            return Some(known);
        }
        let new = if is_string {
            let inner = text.get(1..text.len() - 1)?;
            let is_plain = source.raw.plain_str(entry).is_some();
            if !is_as_written(inner, is_plain) {
                return None;
            }
            self.primitive(inner, true)?
        } else if is_number && !is_small_integer(text.as_bytes()) {
            return None;
        } else {
            self.primitive(text, false)?
        };
        *self.references.get_mut(place)? = new;
        Some(new)
    }

    /// Adds a new string.
    fn string(&mut self, text: &'a str) -> Option<i32> {
        let is_plain = !text
            .bytes()
            .any(|byte| byte < b' ' || byte == b'"' || byte == b'\\');
        if !is_plain || !is_as_written(text, true) {
            return None;
        }
        self.primitive(text, true)
    }

    /// Adds a primitive, or returns the index of an equal one.
    fn primitive(&mut self, text: &'a str, is_string: bool) -> Option<i32> {
        let piece = if is_string {
            Piece::Quoted(text)
        } else {
            Piece::Copy(text)
        };
        let hash = hash(text.as_bytes(), is_string);
        // Without an early exit the loop is vectorized, and most primitives are new.
        if (self.hashes.iter()).fold(false, |any, known| any | (*known == hash)) {
            let known = self.hashes.iter().zip(&self.marked).take(self.primitives);
            for (_, &index) in known.filter(|(known, _)| **known == hash) {
                let is_same = match self.pieces.get(usize::try_from(index).ok()?)? {
                    Piece::Quoted(known) => is_string && *known == text,
                    Piece::Copy(known) => !is_string && *known == text,
                    _ => false,
                };
                if is_same {
                    return Some(index);
                }
            }
        }
        let index = self.next();
        *self.hashes.get_mut(self.primitives)? = hash;
        *self.marked.get_mut(self.primitives)? = index;
        self.primitives += 1;
        self.pieces.push(piece);
        self.length += text.len() + if is_string { 2 } else { 0 };
        Some(index)
    }

    fn next(&self) -> i32 {
        // The number of entries is limited, so this never saturates.
        i32::try_from(self.pieces.len()).unwrap_or(i32::MAX)
    }

    /// Begins an entry that is completed after its children.
    fn begin(&mut self) -> i32 {
        let index = self.next();
        self.pieces.push(Piece::Open);
        index
    }

    /// Completes an entry of `begin`.
    fn complete(&mut self, index: i32, complete: Piece<'a>) {
        let piece = usize::try_from(index).ok();
        if let Some(piece) = piece.and_then(|index| self.pieces.get_mut(index)) {
            *piece = complete;
        }
    }

    fn wrapper(&mut self, index: i32, data: i32, expires: i32) -> i32 {
        self.length += "{'data':,'expires':}".len() + digits(data) + digits(expires);
        self.complete(index, Piece::Wrapper { data, expires });
        index
    }

    /// Adds a name and its value to the map.
    fn entry(&mut self, name: i32, value: i32) -> Option<()> {
        for reference in [name, value] {
            self.length += 1 + digits(reference);
            *self.references.get_mut(self.map)? = reference;
            self.map += 1;
        }
        Some(())
    }

    fn container(
        &mut self,
        source: Source<'a>,
        place: usize,
        text: &'a str,
        depth: usize,
    ) -> Option<i32> {
        if depth == DEPTH {
            return None;
        }
        let index = self.begin();
        *self.references.get_mut(place)? = index;
        let from = self.references.len();
        if let Some((data, expires)) = wrapper(text.as_bytes()) {
            let expires = expires.map_or(Some(UNDEFINED), |expires| i32::try_from(expires).ok());
            self.references
                .extend([i32::try_from(data).ok()?, expires?]);
        } else {
            self.read_references(text)?;
        }
        let count = self.references.len() - from;
        self.length += text.len();
        let mut is_same = true;
        for at in from..from + count {
            let old = *self.references.get(at)?;
            let new = match u32::try_from(old) {
                Ok(entry) => self.visit(source, entry, depth + 1)?,
                // The special values of devalue, such as NaN. Other negative indices are unknown.
                Err(_) if [UNDEFINED, -3, -4, -5, -6].contains(&old) => old,
                Err(_) => return None,
            };
            is_same &= old == new;
            self.length = self.length + digits(new) - digits(old);
            *self.references.get_mut(at)? = new;
        }
        let piece = if is_same {
            Piece::Copy(text)
        } else {
            Piece::Renumbered(text, from)
        };
        self.complete(index, piece);
        Some(index)
    }

    /// Appends the references of an array, or of an object without duplicate keys.
    fn read_references(&mut self, text: &str) -> Option<()> {
        let mut keys = [""; MEMBERS];
        let mut count = 0;
        let mut inner = Inner::of(text)?;
        while let Some((key, reference)) = inner.next()? {
            if let Some(key) = key {
                if keys.iter().take(count).any(|known| *known == key) {
                    return None;
                }
                *keys.get_mut(count)? = key;
                count += 1;
            }
            self.references.push(reference);
        }
        Some(())
    }

    fn lifetime(&mut self, lifetime: &RecordLifetime, numbers: &mut Numbers<'a>) -> Option<i32> {
        let wrapper = self.begin();
        let object = self.begin();
        let mut number = |time| self.primitive(numbers.write(to_expires(time))?, false);
        let created = number(lifetime.created)?;
        let deadline = match lifetime.deadline {
            Some(deadline) => number(deadline)?,
            None => 0,
        };
        let idle = match lifetime.idle {
            Timeout::Configured => 0,
            Timeout::After(idle) => number(super::idle_millis(idle))?,
            Timeout::Never => self.primitive("null", false)?,
        };
        let persistent = match lifetime.persistent {
            true => self.primitive("true", false)?,
            false => 0,
        };
        let fields = [created, deadline, idle, persistent];
        self.length += 1;
        for (name, field) in LIFETIME_FIELDS.iter().zip(fields) {
            if field != 0 {
                // With a brace or a comma, two quotes and a colon.
                self.length += name.len() + 4 + digits(field);
            }
        }
        self.complete(object, Piece::Lifetime(fields));
        Some(self.wrapper(wrapper, object, UNDEFINED))
    }

    fn document(&self) -> Option<Document> {
        const OPEN: &str = "[[\"Map\"";
        // The exact length, since the text may be stored with its capacity. It counts a comma before each piece and the
        // final bracket.
        let length = OPEN.len() + self.length + self.pieces.len() + 1;
        let mut assembly = Assembly::with_capacity(length);
        assembly.entry(|text| {
            text.push_str("[\"Map\"");
            for reference in self.references.iter().take(self.map) {
                text.push(',');
                push_reference(text, *reference);
            }
            text.push(']');
        });
        for piece in self.pieces.iter().skip(1) {
            assembly.entry(|text| self.write(text, piece));
        }
        let document = assembly.finish()?;
        debug_assert_eq!(document.as_bytes().len(), length);
        Some(document)
    }

    fn write(&self, text: &mut String, piece: &Piece<'a>) {
        match piece {
            Piece::Open => {}
            Piece::Copy(copied) => text.push_str(copied),
            Piece::Quoted(inner) => {
                text.push('"');
                text.push_str(inner);
                text.push('"');
            }
            Piece::Renumbered(old, from) => self.renumber(text, old, *from),
            Piece::Wrapper { data, expires } => {
                text.push_str("{\"data\":");
                push_reference(text, *data);
                text.push_str(",\"expires\":");
                push_reference(text, *expires);
                text.push('}');
            }
            Piece::Lifetime(fields) => {
                let mut before = "{\"";
                for (name, field) in LIFETIME_FIELDS.iter().zip(fields) {
                    if *field != 0 {
                        text.push_str(before);
                        text.push_str(name);
                        text.push_str("\":");
                        push_reference(text, *field);
                        before = ",\"";
                    }
                }
                text.push('}');
            }
        }
    }

    fn renumber(&self, text: &mut String, old: &str, from: usize) {
        let Some(mut inner) = Inner::of(old) else {
            return;
        };
        let references = self.references.get(from..).unwrap_or_default();
        let mut copied = 0;
        for reference in references {
            let Some(Some(_)) = inner.next() else { break };
            text.push_str(old.get(copied..inner.reference_at).unwrap_or_default());
            push_reference(text, *reference);
            copied = old.len() - inner.rest.len();
        }
        text.push_str(old.get(copied..).unwrap_or_default());
    }
}

/// The content of an array or object of references.
struct Inner<'a> {
    text: &'a str,
    rest: &'a [u8],
    is_object: bool,
    /// The start of the latest reference in the text.
    reference_at: usize,
}

impl<'a> Inner<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (open, rest) = text.as_bytes().split_first()?;
        Some(Self {
            text,
            rest,
            is_object: *open == b'{',
            reference_at: 0,
        })
    }

    /// Returns the next reference, with its key in an object: a word, but not a number or `__proto__`.
    ///
    /// It is `Some(None)` at the end, and `None` for any other content.
    #[inline]
    fn next(&mut self) -> Option<Option<(Option<&'a str>, i32)>> {
        let end = if self.is_object { b'}' } else { b']' };
        let is_first = self.text.len() - self.rest.len() == 1;
        let mut rest = match self.rest {
            [byte] if *byte == end => return Some(None),
            [b',', rest @ ..] if !is_first => rest,
            rest if is_first => rest,
            _ => return None,
        };
        let mut key = None;
        if self.is_object {
            let [b'"', quoted @ ..] = rest else {
                return None;
            };
            let length = quoted.iter().position(|byte| *byte == b'"')?;
            let from = self.text.len() - quoted.len();
            let text = self.text.get(from..from + length)?;
            let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-$. ".contains(byte);
            let begins_otherwise = matches!(text.as_bytes(), [b'0'..=b'9' | b'_', ..]);
            if begins_otherwise || !text.as_bytes().iter().all(is_usual) {
                return None;
            }
            rest = quoted.get(length..)?.strip_prefix(b"\":")?;
            key = Some(text);
        }
        self.reference_at = self.text.len() - rest.len();
        let (sign, digits) = match rest {
            [b'-', digits @ ..] => (-1, digits),
            digits => (1, digits),
        };
        let mut reference = 0;
        rest = digits;
        while let [digit @ b'0'..=b'9', after @ ..] = rest {
            if digits.len() - after.len() > 9 {
                return None;
            }
            reference = reference * 10 + i32::from(digit - b'0');
            rest = after;
        }
        if rest.len() == digits.len() {
            return None;
        }
        self.rest = rest;
        Some(Some((key, sign * reference)))
    }
}

/// Whether the valid inner text of a string is what the writer would write.
fn is_as_written(inner: &str, is_plain: bool) -> bool {
    let bytes = inner.as_bytes();
    // `<`, and the first byte of the two other characters that are escaped.
    if memchr2(b'<', 0xe2, bytes).is_some() && inner.contains(['<', '\u{2028}', '\u{2029}']) {
        return false;
    }
    is_plain || are_escapes_as_written(bytes)
}

fn are_escapes_as_written(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(backslash) = memchr(b'\\', rest) {
        rest = match rest.get(backslash + 1..) {
            Some([b'"' | b'\\' | b'n' | b'r' | b't' | b'b' | b'f', after @ ..]) => after,
            Some(
                [b'u', b'0', b'0', b'3', b'C', after @ ..]
                | [b'u', b'2', b'0', b'2', b'8' | b'9', after @ ..],
            ) => after,
            _ => return false,
        };
    }
    true
}

/// Whether this is an integer in plain digits that a double represents exactly.
fn is_small_integer(digits: &[u8]) -> bool {
    match digits {
        b"0" => true,
        [b'-', digits @ ..] => digits != b"0" && is_small_integer(digits),
        _ => digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit),
    }
}

/// A cheap hash of a text: of its length, its start and its end.
fn hash(text: &[u8], is_string: bool) -> u32 {
    // An odd number without a pattern, which mixes the differing bits into the upper half.
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let ends = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => (text.iter()).fold(0, |hash, byte| hash << 8 | u64::from(*byte)),
    };
    let whole = ends ^ (text.len() as u64) << 1 ^ u64::from(is_string);
    (whole.wrapping_mul(MULTIPLIER) >> 32) as u32
}

/// The number of characters of a reference.
#[inline]
fn digits(reference: i32) -> usize {
    match reference {
        0..10 => 1,
        10..100 | -9..0 => 2,
        _ => itoa::Buffer::new().format(reference).len(),
    }
}

#[inline]
fn push_reference(text: &mut String, reference: i32) {
    match u8::try_from(reference) {
        Ok(digit @ 0..10) => text.push(char::from(b'0' + digit)),
        Ok(digits @ 10..100) => {
            text.push(char::from(b'0' + digits / 10));
            text.push(char::from(b'0' + digits % 10));
        }
        _ => text.push_str(itoa::Buffer::new().format(reference)),
    }
}
