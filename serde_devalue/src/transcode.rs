//! Writes documents and [`Value`]s with a [`Writer`].

use base64::Engine;

use crate::error::Error;
use crate::escape::write_str;
use crate::leaf::BASE64;
use crate::node::Node;
use crate::options::UrlForm;
use crate::string::Text;
use crate::url::Url;
use crate::value::{Value, View};
use crate::walk::{Container, Primitive, Sink, walk};
use crate::writer::Writer;

pub(crate) fn node(writer: &mut Writer, node: Node<'_>) -> Result<(), Error> {
    let document = node.document();
    let mut sink = Transcoder {
        writer,
        document: document.serial(),
    };
    let entries = document.entries();
    walk(entries, node.slot(), &mut sink, &entries.budget())
}

/// Writes the entries of one document.
struct Transcoder<'w> {
    writer: &'w mut Writer,
    document: u64,
}

impl<'t> Sink<'t> for Transcoder<'_> {
    fn primitive(&mut self, primitive: Primitive<'t>) {
        match primitive {
            Primitive::Undefined => self.writer.undefined(),
            Primitive::Null => self.writer.null(),
            Primitive::Bool(bool) => self.writer.bool(bool),
            Primitive::Number(number) => self.writer.number(number),
            Primitive::Text(text) => self.writer.text(&text),
            Primitive::BigInt(int) => self.writer.bigint_digits(int.as_str()),
        }
    }

    fn leaf(&mut self, entry: u32, value: Value) {
        self.writer.expect_known(self.document, entry);
        self.writer.leaf_value(&value);
    }

    fn begin(&mut self, entry: u32, container: Container<'t>) {
        self.writer.expect_known(self.document, entry);
        match container {
            Container::Array => self.writer.begin_array(),
            Container::Sparse(length) => self.writer.begin_sparse_array(length),
            // The walk visits each key once.
            Container::Object(_) => self.writer.begin_struct(),
            Container::NullObject(_) => self.writer.begin_null_object(),
            Container::Map => self.writer.begin_map(),
            Container::Set => self.writer.begin_set(),
            Container::Boxed => self.writer.begin_boxed(),
            Container::View(kind, offset, length, whole) => {
                self.writer
                    .begin_view(kind, (!whole).then_some((offset, length)));
            }
            Container::Custom(tag) => self.writer.begin_custom(&tag),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        self.writer.end();
        Ok(())
    }

    fn key(&mut self, key: Text<'t>) {
        self.writer.text_key(&key);
    }

    fn index(&mut self, index: u32) {
        self.writer.index(index);
    }

    fn hole(&mut self) {
        self.writer.hole();
    }

    fn again(&mut self, entry: u32) -> bool {
        match self.writer.known(self.document, entry) {
            Some(reference) => {
                self.writer.attach(reference);
                true
            }
            None => false,
        }
    }
}

impl Writer {
    /// Writes a value.
    ///
    /// Each call has its own set of anchors and aliases.
    pub fn value(&mut self, value: &Value) {
        self.clear_anchors();
        self.any_value(value, 0);
        self.clear_anchors();
    }

    fn any_value(&mut self, value: &Value, depth: usize) {
        if depth > self.options.depth || self.has_failed() {
            return self.too_deep();
        }
        let depth = depth + 1;
        match value {
            Value::Undefined => self.undefined(),
            Value::Null => self.null(),
            Value::Bool(bool) => self.bool(*bool),
            Value::Number(number) => self.number(*number),
            Value::String(text) => self.js_string(text),
            Value::BigInt(int) => self.bigint_digits(int.as_str()),
            Value::Array(items) => {
                self.begin_array();
                items.iter().for_each(|item| self.any_value(item, depth));
                self.end();
            }
            Value::SparseArray(array) => {
                self.begin_sparse_array(array.length);
                for (index, item) in &array.items {
                    self.index(*index);
                    self.any_value(item, depth);
                }
                self.end();
            }
            Value::Object(object) => {
                if object.has_null_prototype() {
                    self.begin_null_object();
                } else {
                    self.begin_object();
                }
                for (key, value) in object.iter() {
                    self.text_key(&key.as_text());
                    self.any_value(value, depth);
                }
                self.end();
            }
            Value::Map(entries) => {
                self.begin_map();
                for (key, value) in entries {
                    self.any_value(key, depth);
                    self.any_value(value, depth);
                }
                self.end();
            }
            Value::Set(items) => {
                self.begin_set();
                items.iter().for_each(|item| self.any_value(item, depth));
                self.end();
            }
            Value::Boxed(primitive) => {
                self.begin_boxed();
                match &**primitive {
                    Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::BigInt(_) => {
                        self.any_value(primitive, depth);
                    }
                    _ => self.fail("a box around something else than a primitive"),
                }
                self.end();
            }
            Value::View(view) => self.view(view),
            Value::Custom(custom) => {
                self.begin_custom(&custom.tag);
                self.any_value(&custom.value, depth);
                self.end();
            }
            Value::Anchor(anchor, value) => {
                if matches!(**value, Value::Anchor(..) | Value::Alias(_)) {
                    return self.fail("an anchor of an anchor");
                }
                self.expect_anchor(*anchor);
                self.any_value(value, depth);
            }
            Value::Alias(anchor) => self.alias(*anchor),
            Value::Date(_)
            | Value::RegExp(_)
            | Value::Url(_)
            | Value::UrlSearchParams(_)
            | Value::Temporal(..)
            | Value::ArrayBuffer(_) => self.leaf_value(value),
        }
    }

    /// Writes an object that contains no other values.
    pub(crate) fn leaf_value(&mut self, value: &Value) {
        match value {
            Value::Date(date) => self.date(*date),
            Value::Url(url) => self.url(url),
            Value::ArrayBuffer(bytes) => self.array_buffer(bytes),
            Value::UrlSearchParams(params) => self.tagged_text("URLSearchParams", params),
            Value::Temporal(..) if self.options.portable => {
                self.fail("a Temporal value, which a reader may not know");
            }
            Value::Temporal(kind, text) => self.tagged_text(kind.name(), text),
            Value::RegExp(regexp) => {
                self.leaf(|arena| {
                    arena.push_str("[\"RegExp\",");
                    write_str(arena, regexp.source());
                    if !regexp.flags().is_empty() {
                        arena.push(',');
                        write_str(arena, regexp.flags());
                    }
                    arena.push(']');
                });
            }
            _ => self.fail("a value that is no leaf"),
        }
    }

    fn tagged_text(&mut self, tag: &str, text: &str) {
        self.leaf(|arena| {
            arena.push_str("[\"");
            arena.push_str(tag);
            arena.push_str("\",");
            write_str(arena, text);
            arena.push(']');
        });
    }

    /// Writes a BigInt.
    pub fn bigint(&mut self, int: &crate::BigInt) {
        self.bigint_digits(int.as_str());
    }

    /// Writes a Date.
    pub fn date(&mut self, date: crate::Date) {
        self.leaf(|arena| {
            arena.push_str("[\"Date\",\"");
            date.write_iso(arena);
            arena.push_str("\"]");
        });
    }

    /// Writes a URL in the configured form.
    pub fn url(&mut self, url: &Url) {
        match self.options.url {
            UrlForm::Inline => self.tagged_text("URL", url.as_str()),
            UrlForm::Reference => {
                self.begin_url();
                self.string(url.as_str());
                self.end();
            }
        }
    }

    /// Writes an ArrayBuffer.
    pub fn array_buffer(&mut self, bytes: &[u8]) {
        let reference = self.leaf(|arena| {
            arena.push_str("[\"ArrayBuffer\",\"");
            BASE64.encode_string(bytes, arena);
            arena.push_str("\"]");
        });
        self.note_buffer(reference, bytes.len());
    }

    /// Writes a Uint8Array with a new buffer.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.begin_view(crate::ViewKind::Uint8Array, None);
        self.array_buffer(bytes);
        self.end();
    }

    fn view(&mut self, view: &View) {
        self.begin_view(view.kind, Some((view.byte_offset, view.length)));
        match &view.buffer {
            Value::ArrayBuffer(bytes) => self.array_buffer(bytes),
            Value::Alias(anchor) => self.alias(*anchor),
            Value::Anchor(anchor, buffer) => match &**buffer {
                Value::ArrayBuffer(bytes) => {
                    self.expect_anchor(*anchor);
                    self.array_buffer(bytes);
                }
                _ => self.fail("a view without a buffer"),
            },
            _ => self.fail("a view without a buffer"),
        }
        self.fit_view();
        self.end();
    }
}
