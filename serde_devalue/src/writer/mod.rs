//! The streaming writer.

use std::fmt;

use hashbrown::HashMap;
use serde::Serialize;
use smallvec::SmallVec;

use container::{
    Child, HOLE, INFINITY, NAN, NEGATIVE_INFINITY, NEGATIVE_ZERO, Shape, UNDEFINED, has_duplicates,
    push_int, repeats, write_array, write_sparse, write_tail,
};
use copy::Copied;
use primitives::Primitives;

use crate::error::{Error, ErrorKind};
use crate::escape::{write_number, write_str, write_text};
use crate::limits::{Limits, VISIT};
use crate::node::Node;
use crate::options::WriteOptions;
use crate::ser::Serializer;
use crate::string::{JsString, Text};
use crate::tag::ViewKind;
use crate::value::AnchorId;

mod container;
mod copy;
mod finish;
mod primitives;
mod sharing;

pub(crate) use container::any_twice;
pub(crate) use primitives::mark;

/// A streaming writer with the numbering and sharing of `devalue.stringify`.
///
/// ```
/// use serde_devalue::{WriteOptions, Writer};
///
/// let mut writer = Writer::new(WriteOptions::astro());
/// writer.begin_map();
/// writer.string("user");
/// writer.begin_object();
/// writer.key("data");
/// writer.serialize("alice")?;
/// writer.key("expires");
/// writer.undefined();
/// writer.end();
/// writer.end();
/// assert_eq!(writer.finish()?, r#"[["Map",1,2],"user",{"data":3,"expires":-1},"alice"]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Primitives are shared by value. Each `begin_…` creates a new object. Nodes of one [`Document`](crate::Document) keep
/// their sharing, including cycles. In an object, each value follows a [`key`](Self::key). In a Map, keys and values
/// alternate.
///
/// Most methods do not return errors. [`finish`](Self::finish) returns the first error, such as an unsupported value or
/// unbalanced calls. It also fails after an error of [`node`](Self::node) or [`serialize`](Self::serialize).
pub struct Writer {
    pub(crate) options: WriteOptions,
    /// The finished entries in the order of completion, each after a comma.
    arena: String,
    /// The position in the arena of each entry, by index.
    entries: SmallVec<[Span; 16]>,
    primitives: Primitives,
    frames: SmallVec<[Frame; 4]>,
    /// The children of the open containers so far.
    children: SmallVec<[Child; 16]>,
    /// The member keys of the open objects and the tags of other containers.
    keys: String,
    /// The new references of objects from other documents.
    known: HashMap<(u64, u32), i32>,
    /// The new references of the entries of the document that is copied, and of those before.
    copied: Copied,
    copied_before: HashMap<u64, Copied>,
    /// What reading the repeated primitives costs.
    repeated: usize,
    anchors: HashMap<AnchorId, i32>,
    pending_anchor: Option<AnchorId>,
    /// The range of the open view. Views do not nest.
    window: Option<(usize, usize)>,
    /// The sizes of the written buffers.
    buffers: HashMap<i32, usize>,
    root: Option<i32>,
    error: Option<Error>,
    /// Whether the order differs from devalue's, so that `finish` must renumber.
    disordered: bool,
    /// Whether the input is already in order.
    ordered: bool,
    lone_surrogate: bool,
}

#[derive(Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
}

struct Frame {
    shape: Shape,
    index: usize,
    /// The number of children and the length of keys that belong to outer containers.
    children: usize,
    keys: usize,
    /// The start of the latest key, if it has no value yet.
    key: Option<usize>,
    /// The highest integer key so far, and whether there was another key.
    integer_key: Option<u32>,
    named_key: bool,
    /// Whether its keys are known to be unique.
    distinct: bool,
}

impl Writer {
    /// Creates a writer for one value.
    pub fn new(options: WriteOptions) -> Self {
        Self {
            options,
            arena: String::new(),
            entries: SmallVec::new(),
            primitives: Primitives::new(),
            frames: SmallVec::new(),
            children: SmallVec::new(),
            keys: String::new(),
            known: HashMap::default(),
            copied: Copied::default(),
            copied_before: HashMap::default(),
            repeated: 0,
            anchors: HashMap::default(),
            pending_anchor: None,
            window: None,
            buffers: HashMap::default(),
            root: None,
            error: None,
            disordered: false,
            ordered: false,
            lone_surrogate: false,
        }
    }

    /// Writes `undefined`.
    pub fn undefined(&mut self) {
        self.attach(UNDEFINED);
    }

    /// Writes a hole in an array.
    pub fn hole(&mut self) {
        match self.frames.last() {
            Some(Frame {
                shape: Shape::Array,
                ..
            }) => self.attach(HOLE),
            _ => self.fail("a hole outside of an array"),
        }
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        let reference = self.null_reference();
        self.attach(reference);
    }

    fn null_reference(&mut self) -> i32 {
        match self.primitives.null {
            Some(reference) => reference,
            None => {
                let reference = self.entry(|arena| arena.push_str("null"));
                self.primitives.null = Some(reference);
                reference
            }
        }
    }

    /// Writes a boolean.
    pub fn bool(&mut self, bool: bool) {
        let reference = self.bool_reference(bool);
        self.attach(reference);
    }

    fn bool_reference(&mut self, bool: bool) -> i32 {
        let [no, yes] = self.primitives.bools;
        let known = if bool { yes } else { no };
        known.unwrap_or_else(|| {
            let reference = self.entry(|arena| arena.push_str(if bool { "true" } else { "false" }));
            let [no, yes] = &mut self.primitives.bools;
            *(if bool { yes } else { no }) = Some(reference);
            reference
        })
    }

    /// Writes a number.
    pub fn number(&mut self, number: f64) {
        if number.is_nan() {
            self.attach(NAN);
        } else if number == f64::INFINITY {
            self.attach(INFINITY);
        } else if number == f64::NEG_INFINITY {
            self.attach(NEGATIVE_INFINITY);
        } else if number == 0.0 && number.is_sign_negative() {
            self.attach(NEGATIVE_ZERO);
        } else {
            self.primitive(mark(&number.to_le_bytes()), |arena| {
                write_number(arena, number)
            });
        }
    }

    /// Writes a string.
    pub fn string(&mut self, text: &str) {
        // A comma, two quotes, and the final bracket.
        self.arena.reserve(text.len() + 4);
        self.primitive(mark(text.as_bytes()), |arena| write_str(arena, text));
    }

    /// Writes a string that may have lone surrogates.
    pub fn js_string(&mut self, text: &JsString) {
        self.text(&text.as_text());
    }

    pub(crate) fn text(&mut self, text: &Text<'_>) {
        let mut lone = false;
        let mark = match text {
            Text::Utf8(text) => mark(text.as_bytes()),
            Text::Utf16(_) => 0,
        };
        self.primitive(mark, |arena| lone = write_text(arena, text));
        self.lone_surrogate |= lone;
    }

    /// Writes a BigInt from canonical decimal digits.
    pub(crate) fn bigint_digits(&mut self, digits: &str) {
        self.primitive(mark(digits.as_bytes()), |arena| {
            arena.push_str("[\"BigInt\",\"");
            arena.push_str(digits);
            arena.push_str("\"]");
        });
    }

    /// Writes an object without children from its text.
    pub(crate) fn leaf(&mut self, write: impl FnOnce(&mut String)) -> i32 {
        let reference = self.entry(write);
        self.anchor(reference);
        self.attach(reference);
        reference
    }

    /// Begins a Map. Alternating keys and values follow.
    pub fn begin_map(&mut self) {
        self.begin(Shape::Map);
    }

    /// Begins a Set.
    pub fn begin_set(&mut self) {
        self.begin(Shape::Set);
    }

    /// Begins an array.
    pub fn begin_array(&mut self) {
        self.begin(Shape::Array);
    }

    /// Begins an array of this length. Positions without an [`index`](Self::index) are holes.
    pub fn begin_sparse_array(&mut self, length: u32) {
        self.begin(Shape::Sparse(length));
    }

    /// Sets the index of the next element of a sparse array. Indices must increase.
    pub fn index(&mut self, index: u32) {
        let rising = match self.frames.last_mut() {
            Some(
                frame @ Frame {
                    shape: Shape::Sparse(_),
                    key: None,
                    ..
                },
            ) => {
                let Shape::Sparse(length) = frame.shape else {
                    return;
                };
                frame.key = Some(index as usize);
                let rising = frame.integer_key.is_none_or(|last| last < index);
                frame.integer_key = Some(index);
                if index < length { Some(rising) } else { None }
            }
            _ => None,
        };
        match rising {
            Some(rising) => self.disordered |= !rising,
            None => self.fail("an index where none can be"),
        }
    }

    /// Begins an object.
    pub fn begin_object(&mut self) {
        self.begin(Shape::Object);
    }

    /// Begins an object whose keys are known to be unique.
    pub(crate) fn begin_struct(&mut self) {
        self.begin_object();
        if let Some(frame) = self.frames.last_mut() {
            frame.distinct = true;
        }
    }

    /// Begins an object without a prototype.
    pub fn begin_null_object(&mut self) {
        self.begin(Shape::NullObject);
    }

    /// Writes the key of the next value of an object.
    pub fn key(&mut self, key: &str) {
        if key == "__proto__" {
            self.fail("an object with a key `__proto__`");
        }
        let integer = array_index(key);
        self.key_with(integer, |keys| {
            write_str(keys, key);
            false
        });
    }

    pub(crate) fn text_key(&mut self, key: &Text<'_>) {
        match key {
            Text::Utf8(key) => self.key(key),
            Text::Utf16(_) => self.key_with(None, |keys| write_text(keys, key)),
        }
    }

    /// Writes a key that is known to be unique, not an integer and not `__proto__`, such as a struct field.
    #[inline]
    fn key_with(&mut self, integer: Option<u32>, write: impl FnOnce(&mut String) -> bool) {
        let from = self.keys.len();
        let Some(frame) = self.frames.last_mut() else {
            return self.fail("a key outside of an object");
        };
        if !matches!(frame.shape, Shape::Object | Shape::NullObject) || frame.key.is_some() {
            return self.fail("a key where none can be");
        }
        if let Some(integer) = integer {
            if frame.named_key || frame.integer_key.is_some_and(|last| integer <= last) {
                self.disordered = true;
            }
            frame.integer_key = Some(integer);
        } else {
            frame.named_key = true;
        }
        let (before, after) = match frame.shape {
            Shape::NullObject => (",", ","),
            _ if from == frame.keys => ("", ":"),
            _ => (",", ":"),
        };
        frame.key = Some(from + before.len());
        self.keys.push_str(before);
        self.lone_surrogate |= write(&mut self.keys);
        self.keys.push_str(after);
    }

    /// Begins a boxed primitive.
    pub(crate) fn begin_boxed(&mut self) {
        self.begin(Shape::Boxed);
    }

    pub(crate) fn begin_url(&mut self) {
        self.begin(Shape::Url);
    }

    /// Begins a view of the buffer that follows, with a range unless it is the whole buffer.
    pub(crate) fn begin_view(&mut self, kind: ViewKind, window: Option<(usize, usize)>) {
        self.begin(Shape::View(kind));
        self.window = window;
    }

    /// Begins a value with a custom tag. One value follows.
    ///
    /// ```
    /// use serde_devalue::{WriteOptions, Writer};
    ///
    /// let mut writer = Writer::new(WriteOptions::new());
    /// writer.begin_custom("Money");
    /// writer.number(1250.0);
    /// writer.end();
    /// assert_eq!(writer.finish()?, r#"[["Money",1],1250]"#);
    /// # Ok::<_, serde_devalue::Error>(())
    /// ```
    pub fn begin_custom(&mut self, tag: &str) {
        if self.options.portable {
            self.fail("a custom tag, which a reader may not know");
        }
        self.begin(Shape::Custom);
        write_str(&mut self.keys, tag);
    }

    fn begin(&mut self, shape: Shape) {
        if self.frames.len() >= self.options.depth {
            self.too_deep();
        }
        if self.arena.capacity() == 0 {
            // Enough for a typical session record without growth, and just below the size where allocators become
            // slower.
            self.reserve(744, 40);
        }
        let index = self.entries.len();
        self.entries.push(Span { from: 0, to: 0 });
        let reference = reference(index);
        self.anchor(reference);
        self.attach(reference);
        self.frames.push(Frame {
            shape,
            index,
            children: self.children.len(),
            keys: self.keys.len(),
            key: None,
            integer_key: None,
            named_key: false,
            distinct: false,
        });
    }

    /// Makes room for this many bytes and entries, and some more.
    pub(crate) fn reserve(&mut self, bytes: usize, entries: usize) {
        self.arena.reserve(bytes + 256);
        self.entries.reserve(entries + 8);
        self.keys.reserve(128);
    }

    /// Ends the latest open `begin_…`.
    pub fn end(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return self.fail("an end without a beginning");
        };
        self.separate();
        let children = self.children.get(frame.children..).unwrap_or_default();
        let keys = self.keys.get(frame.keys..).unwrap_or_default();
        let from = self.arena.len();
        let arena = &mut self.arena;
        let complete = match frame.shape {
            Shape::Array => {
                write_array(arena, children);
                true
            }
            Shape::Sparse(length) => {
                write_sparse(arena, length, children);
                true
            }
            Shape::Object => {
                self.disordered |= !self.ordered && has_duplicates(children, &self.keys);
                arena.push('{');
                arena.push_str(keys);
                arena.push('}');
                true
            }
            Shape::NullObject => {
                self.disordered |= !self.ordered && has_duplicates(children, &self.keys);
                arena.push_str("[\"null\"");
                arena.push_str(keys);
                arena.push(']');
                true
            }
            Shape::Map => {
                arena.push_str("[\"Map\"");
                write_tail(arena, children);
                self.disordered |= !self.ordered && repeats(children.iter().step_by(2));
                children.len() % 2 == 0
            }
            Shape::Set => {
                arena.push_str("[\"Set\"");
                write_tail(arena, children);
                self.disordered |= repeats(children.iter());
                true
            }
            Shape::Boxed | Shape::Url => {
                arena.push_str(if frame.shape == Shape::Boxed {
                    "[\"Object\""
                } else {
                    "[\"URL\""
                });
                write_tail(arena, children);
                children.len() == 1
            }
            Shape::Custom => {
                arena.push('[');
                arena.push_str(keys);
                write_tail(arena, children);
                children.len() == 1
            }
            Shape::View(kind) => {
                arena.push_str("[\"");
                arena.push_str(kind.name());
                arena.push('"');
                for child in children {
                    arena.push(',');
                    push_int(arena, child.reference);
                }
                if let Some((offset, length)) = self.window.take() {
                    for number in [offset, length] {
                        arena.push(',');
                        arena.push_str(itoa::Buffer::new().format(number));
                    }
                }
                arena.push(']');
                children.len() == 1
            }
        };
        if let Some(span) = self.entries.get_mut(frame.index) {
            *span = Span {
                from,
                to: self.arena.len(),
            };
        }
        self.children.truncate(frame.children);
        self.keys.truncate(frame.keys);
        if !complete || frame.key.is_some() {
            self.fail("a key without a value, or a tag without its one value");
        }
    }

    /// Writes a node of a document, as devalue would write it again.
    ///
    /// Nodes of one document keep their sharing. It is an error if devalue would reject any part of the node.
    pub fn node(&mut self, node: Node<'_>) -> Result<(), Error> {
        let result = crate::transcode::node(self, node);
        self.poison(result)
    }

    /// Serializes a value.
    pub fn serialize<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let result = value.serialize(Serializer::new(self));
        self.poison(result)
    }

    /// Writes the separator before an entry: a comma, or the opening bracket of the text.
    #[inline]
    fn separate(&mut self) {
        self.arena
            .push(if self.arena.is_empty() { '[' } else { ',' });
    }

    #[inline]
    fn entry(&mut self, write: impl FnOnce(&mut String)) -> i32 {
        self.separate();
        let from = self.arena.len();
        write(&mut self.arena);
        self.entries.push(Span {
            from,
            to: self.arena.len(),
        });
        reference(self.entries.len() - 1)
    }

    /// Writes the entry of a primitive, or finds the existing one. The hash is computed from the value, because reading back
    /// the text that was just written would be slow.
    #[inline]
    fn primitive(&mut self, mark: u32, write: impl FnOnce(&mut String)) {
        let reference = self.intern(mark, write);
        self.attach(reference);
    }

    /// Returns the entry of a primitive.
    #[inline]
    fn intern(&mut self, mark: u32, write: impl FnOnce(&mut String)) -> i32 {
        let end = self.arena.len();
        self.separate();
        let from = self.arena.len();
        write(&mut self.arena);
        let (arena, entries) = (&self.arena, &self.entries);
        let text_of = |index: i32| {
            let span = entries.get(index.unsigned_abs() as usize)?;
            arena.get(span.from..span.to)
        };
        let next = reference(entries.len());
        let found =
            self.primitives
                .find(mark, arena.get(from..).unwrap_or_default(), next, text_of);
        if found.is_some() {
            self.repeated += VISIT + self.arena.len() - from;
            self.arena.truncate(end);
        } else {
            self.entries.push(Span {
                from,
                to: self.arena.len(),
            });
        }
        found.unwrap_or(next)
    }

    /// Writes the value that `write` writes. It is an error if that is not exactly one.
    pub(crate) fn one_value(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (open, children) = (self.frames.len(), self.children.len());
        write(self)?;
        if (self.frames.len(), self.children.len()) != (open, children + 1) {
            self.fail("not exactly one value was written for a name");
        }
        self.check()
    }

    /// Returns `true` if the default limits may be too low to read what was written.
    pub(crate) fn repeats_much(&self) -> bool {
        self.repeated > Limits::default().expansion
    }

    /// Adds a value to the open container.
    pub(crate) fn attach(&mut self, reference: i32) {
        let Some(frame) = self.frames.last_mut() else {
            if self.root.is_some() {
                self.fail("a second value");
            }
            self.root = Some(reference);
            return;
        };
        let place = match (frame.shape, frame.key.take()) {
            (Shape::Object | Shape::NullObject, Some(key)) => {
                if !frame.distinct {
                    self.children.push(Child::of_key(key, self.keys.len()));
                }
                return push_int(&mut self.keys, reference);
            }
            (Shape::Sparse(_), Some(index)) => index,
            (Shape::Object | Shape::NullObject | Shape::Sparse(_), None) => {
                return self.fail("a value without a key");
            }
            _ => 0,
        };
        self.children.push(Child { reference, place });
    }

    pub(crate) fn too_deep(&mut self) {
        self.error.get_or_insert_with(|| {
            Error::new(ErrorKind::TooDeep, None, "nested too deeply to be written")
        });
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// Returns an error if one was recorded, so that an infinite type stops.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.error {
            Some(error) => Err(error.again()),
            None => Ok(()),
        }
    }

    /// Records the first error, which `finish` returns.
    #[cold]
    pub(crate) fn fail(&mut self, message: &str) {
        self.error.get_or_insert_with(|| Error::unwritable(message));
    }

    fn poison(&mut self, result: Result<(), Error>) -> Result<(), Error> {
        if let Err(error) = &result {
            self.error.get_or_insert_with(|| {
                Error::new(error.kind(), None, "an earlier value could not be written")
            });
        }
        result
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[inline]
fn reference(index: usize) -> i32 {
    // A text with this many entries would not fit into memory.
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// Returns the integer of a key, if JavaScript sorts it before other keys.
pub(crate) fn array_index(key: &str) -> Option<u32> {
    match key.as_bytes() {
        [b'0'] => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.len() < 10 && rest.iter().all(u8::is_ascii_digit) => {
            key.parse().ok().filter(|&index| index != u32::MAX)
        }
        _ => None,
    }
}
