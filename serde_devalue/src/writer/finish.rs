//! Produces the final text.

use memchr::memchr;

use super::{Span, Writer};
use crate::document::Document;
use crate::error::Error;
use crate::escape::replace_lone_surrogates;
use crate::limits::{Limits, ParseOptions};
use crate::options::{Version, WriteOptions};
use crate::scan::{self, Index, Spans};

impl Writer {
    /// Returns the text. It is an error if the calls were not balanced or a value could not be written.
    pub fn finish(mut self) -> Result<String, Error> {
        let root = self.finished_root()?;
        if root < 0 {
            return Ok(root.to_string());
        }
        let mut text = self.in_order();
        if self.disordered && !self.ordered {
            return reorder(text, self.options);
        }
        if self.lone_surrogate && self.options.version == Version::V5 {
            text = replace_lone_surrogates(&text);
        }
        Ok(text)
    }

    /// Returns the document. It is not parsed, unless it is so large or its order so unusual that its entries must be found
    /// anew.
    ///
    /// It is an error if the calls were not balanced or a value could not be written.
    pub fn finish_document(mut self) -> Result<Document, Error> {
        self.take_document(ParseOptions::default())
    }

    /// Returns the document, as if its text were parsed.
    pub(crate) fn take_document(&mut self, options: ParseOptions) -> Result<Document, Error> {
        let root = self.finished_root()?;
        let is_changed = self.lone_surrogate && self.options.version == Version::V5;
        if root < 0 || self.disordered && !self.ordered || is_changed {
            let writer = std::mem::replace(self, Self::new(self.options));
            return Document::parse_with(writer.finish()?, options);
        }
        let text = self.in_order();
        if text.len() > scan::Span::LONGEST {
            return Document::parse_with(text, options);
        }
        let has_escapes = memchr(b'\\', text.as_bytes()).is_some();
        let mut start = 1;
        let spans = self.entries.iter().map(|entry| {
            let end = start + entry.to - entry.from;
            let is_escaped = has_escapes && {
                let bytes = text.as_bytes().get(start..end).unwrap_or_default();
                memchr(b'\\', bytes).is_some()
            };
            let span = scan::Span::new(start, end, is_escaped);
            start = end + 1;
            span
        });
        let index = Index::Entries(spans.collect::<Spans>());
        debug_assert!(
            scan::scan(&text, &options.limits).is_ok_and(|scanned| scanned == index),
            "what was written is found otherwise when it is parsed"
        );
        Ok(Document::new(text.into(), index, options))
    }

    fn finished_root(&mut self) -> Result<i32, Error> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.root {
            Some(root) if self.frames.is_empty() => Ok(root),
            _ => Err(Error::unwritable(
                "a container was not ended, or no value was written",
            )),
        }
    }

    /// Writes the entries in index order.
    fn in_order(&mut self) -> String {
        let mut next = 1;
        let is_in_order = self.entries.iter().all(|span| {
            let follows = span.from == next;
            next = span.to + 1;
            follows
        });
        // Unless it has too much spare capacity, which a stored text would keep.
        let is_tight = self.arena.capacity() <= self.arena.len() + 16;
        if is_in_order && is_tight && next == self.arena.len() + 1 {
            self.arena.push(']');
            return std::mem::take(&mut self.arena);
        }
        let size: usize = self.entries.iter().map(|span| span.to - span.from).sum();
        let mut text = String::with_capacity(size + self.entries.len() + 1);
        text.push('[');
        // Entries that are adjacent in the arena are copied together, with their commas.
        let mut spans = self.entries.iter().copied().peekable();
        while let Some(Span { from, mut to }) = spans.next() {
            while let Some(next) = spans.next_if(|next| next.from == to + 1) {
                to = next.to;
            }
            text.push_str(self.arena.get(from..to).unwrap_or_default());
            text.push(if spans.peek().is_some() { ',' } else { ']' });
        }
        text
    }
}

/// Renumbers entries that were not written in devalue's order, because of late integer keys or duplicate keys.
#[cold]
fn reorder(text: String, options: WriteOptions) -> Result<String, Error> {
    let limits = Limits {
        size: usize::MAX,
        depth: options.depth,
        expansion: usize::MAX,
    };
    let options_for_parsing = ParseOptions::new().limits(limits).any_custom_tag();
    let value = crate::Document::parse_with(text, options_for_parsing)?
        .root()
        .to_value()?;
    let mut writer = Writer::new(options);
    writer.ordered = true;
    writer.value(&value);
    writer.finish()
}
