//! Writing a record by copying the entries that it keeps as they stand in the old text, and counting their indices anew.
//!
//! It writes what [`Writer`](serde_devalue::Writer) would, byte for byte, or nothing: strings and numbers in another form
//! than that one's, tagged values and all else that is unusual are left to it.

use memchr::{memchr, memchr2};
use serde_devalue::{Assembly, Document, RawEntries};
use smallvec::SmallVec;

use super::{Name, Value};
use crate::session::lifetime::{RecordLifetime, Timeout};
use crate::session::record::{LIFETIME_ENTRY, to_expires, wrapper};

/// The most strings, numbers and the like in a record that is written so; each is compared with all before it.
const PRIMITIVES: usize = 64;
/// The most entries in a text that is copied from.
const ENTRIES: usize = 2_048;
/// How deep values may nest.
const DEPTH: usize = 16;
/// How many members an object may have; each key is compared with all before it.
const MEMBERS: usize = 32;
/// How many bytes of strings may be referred to, each reference counted: far less than what the general way allows.
const EXPANSION: usize = 1 << 20;

/// The text of a record with these entries; `None` if anything about it is unusual.
pub(super) fn write(
    base: Option<&Document>,
    entries: &[(Name<'_>, Value<'_>)],
    lifetime: Option<&RecordLifetime>,
) -> Option<Document> {
    let mut buffers = [(); NUMBERS].map(|()| itoa::Buffer::new());
    let mut numbers = Numbers(buffers.iter_mut());
    // Here, since they are large to be moved.
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

/// Where numbers are written that are not in any text yet.
struct Numbers<'a>(std::slice::IterMut<'a, itoa::Buffer>);

/// The most of them in a record: the ends of values that were set, and what the lifetime holds.
const NUMBERS: usize = 8;

impl<'a> Numbers<'a> {
    /// The text of a number, if it is a positive whole one that is written with its digits alone.
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

/// A text that entries are copied from, and where in `references` it stands what each has become.
#[derive(Clone, Copy)]
struct Source<'a> {
    document: &'a Document,
    raw: RawEntries<'a>,
    known: usize,
}

impl Source<'_> {
    /// Whether this is the same document, in which the same entry is the same object.
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
    /// As it stands in a text.
    Copy(&'a str),
    /// A string that is in no text yet.
    Quoted(&'a str),
    /// An array or object whose references have changed: from where in `references` on they stand.
    Renumbered(&'a str, usize),
    /// `{data, expires}` of a value that was set.
    Wrapper { data: i32, expires: i32 },
    /// The lifetime; 0 where it has no such field.
    Lifetime([i32; 4]),
}

/// The new text in the making.
struct Repack<'a, 'b> {
    pieces: &'b mut SmallVec<[Piece<'a>; 32]>,
    /// The references of the record's map; what each entry of a source has become, 0 where it was not met yet; and the
    /// references of arrays and objects.
    references: &'b mut SmallVec<[i32; 128]>,
    /// How many of the map's references are there.
    map: usize,
    /// Marks of the primitives that were met, and which entries they are.
    marks: [u32; PRIMITIVES],
    marked: [i32; PRIMITIVES],
    primitives: usize,
    /// How many bytes of primitives have been referred to.
    expanded: usize,
    /// How long the pieces are in all.
    length: usize,
}

const LIFETIME_FIELDS: [&str; 4] = ["created", "deadline", "idle", "persistent"];

impl<'a, 'b> Repack<'a, 'b> {
    /// A text whose map has room for so many references.
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
            marks: [0; PRIMITIVES],
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

    /// What an entry of a source, and all that it holds, becomes.
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

    /// A new string.
    fn string(&mut self, text: &'a str) -> Option<i32> {
        let is_plain = !text
            .bytes()
            .any(|byte| byte < b' ' || byte == b'"' || byte == b'\\');
        if !is_plain || !is_as_written(text, true) {
            return None;
        }
        self.primitive(text, true)
    }

    /// The entry of a primitive, of which there is one for all that are the same.
    fn primitive(&mut self, text: &'a str, is_string: bool) -> Option<i32> {
        let piece = if is_string {
            Piece::Quoted(text)
        } else {
            Piece::Copy(text)
        };
        let mark = mark(text.as_bytes(), is_string);
        // Without a way out of the loop, it is a few instructions on vectors; and most primitives are new.
        if (self.marks.iter()).fold(false, |any, known| any | (*known == mark)) {
            let known = self.marks.iter().zip(&self.marked).take(self.primitives);
            for (_, &index) in known.filter(|(known, _)| **known == mark) {
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
        *self.marks.get_mut(self.primitives)? = mark;
        *self.marked.get_mut(self.primitives)? = index;
        self.primitives += 1;
        self.pieces.push(piece);
        self.length += text.len() + if is_string { 2 } else { 0 };
        Some(index)
    }

    fn next(&self) -> i32 {
        // There are at most as many as the sources have and a few more, and those are few.
        i32::try_from(self.pieces.len()).unwrap_or(i32::MAX)
    }

    /// An entry that what it holds comes before.
    fn begin(&mut self) -> i32 {
        let index = self.next();
        self.pieces.push(Piece::Open);
        index
    }

    /// Completes what `begin` began.
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

    /// Puts a name and its value into the map.
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
                // NaN and its kin; another mark may mean another thing.
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

    /// Appends what an array or an object without any key twice refers to.
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
        // Exact, for it may be stored with all its capacity. Each piece has a comma before it, but the map, which has a
        // bracket behind it, as all of them have.
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

/// What is in an array or object of indices.
struct Inner<'a> {
    text: &'a str,
    rest: &'a [u8],
    is_object: bool,
    /// Where the latest reference begins in the text.
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

    /// The next reference, with its key in an object: one that looks like a word, and is neither a number nor `__proto__`.
    /// `Some(None)` at the end, `None` if it is anything else.
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

/// Whether the inner text of a string, which is valid, is what a writer makes of the string.
fn is_as_written(inner: &str, is_plain: bool) -> bool {
    let bytes = inner.as_bytes();
    // `<`, and the first byte of two characters that are escaped as well.
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

/// Whether this is written as it stands: a whole number that a double holds, with its digits alone.
fn is_small_integer(digits: &[u8]) -> bool {
    match digits {
        b"0" => true,
        [b'-', digits @ ..] => digits != b"0" && is_small_integer(digits),
        _ => digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit),
    }
}

/// Something that differs between most texts that differ: their ends and their length.
fn mark(text: &[u8], is_string: bool) -> u32 {
    // An odd number without a pattern, which spreads what differs over the upper half.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let ends = match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => (text.iter()).fold(0, |mark, byte| mark << 8 | u64::from(*byte)),
    };
    let whole = ends ^ (text.len() as u64) << 1 ^ u64::from(is_string);
    (whole.wrapping_mul(SPREAD) >> 32) as u32
}

/// How many characters a reference takes.
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
