//! Builds a document from the texts of its entries.

use std::fmt;

use bytestring::ByteString;
use memchr::memchr;

use crate::document::Document;
use crate::limits::ParseOptions;
use crate::scan::{Index, Span, Spans};

/// Builds a document from the texts of its entries. It can copy entries of a parsed document.
///
/// ```
/// use serde_devalue::{Assembly, Document};
///
/// let old = Document::parse(r#"[{"user":1},"Ann"]"#)?;
/// let mut assembly = Assembly::with_capacity(32);
/// assembly.entry(|text| text.push_str(r#"{"author":1}"#));
/// assembly.entry(|text| text.push_str(old.raw().text(1).unwrap()));
/// let new = assembly.finish().unwrap();
/// assert_eq!(new.as_bytes(), r#"[{"author":1},"Ann"]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// The entries are not parsed again, so each must be valid JSON as returned by [`RawEntries::text`], without
/// surrounding white space. Invalid entries make an invalid document; a debug build panics. `Debug` shows only sizes,
/// since the data may be secret.
///
/// [`RawEntries::text`]: crate::RawEntries::text
pub struct Assembly {
    text: String,
    spans: Spans,
}

impl Assembly {
    /// Creates an empty document with capacity for this many bytes.
    #[inline]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('[');
        Self {
            text,
            spans: Spans::new(),
        }
    }

    /// Appends the entry that `write` appends to the string.
    #[inline]
    pub fn entry(&mut self, write: impl FnOnce(&mut String)) {
        if !self.spans.is_empty() {
            self.text.push(',');
        }
        let start = self.text.len();
        write(&mut self.text);
        let entry = self.text.as_bytes().get(start..).unwrap_or_default();
        let is_escaped =
            matches!(entry, [b'"' | b'[' | b'{', ..]) && memchr(b'\\', entry).is_some();
        self.spans
            .push(Span::new(start, self.text.len(), is_escaped));
    }

    /// Returns the document, or `None` if it has no entries or is larger than 2 GiB.
    #[inline]
    pub fn finish(mut self) -> Option<Document> {
        self.text.push(']');
        if self.spans.is_empty() || self.text.len() > Span::LONGEST {
            return None;
        }
        debug_assert!(
            crate::scan::scan(&self.text, &crate::token::parse_options().limits)
                .is_ok_and(|index| matches!(index, Index::Entries(spans) if spans == self.spans)),
            "not entries of JSON"
        );
        let index = Index::Entries(self.spans);
        let options = ParseOptions::default();
        Some(Document::new(ByteString::from(self.text), index, options))
    }
}

impl fmt::Debug for Assembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembly")
            .field("bytes", &self.text.len())
            .field("entries", &self.spans.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_reads_as_if_it_were_parsed() {
        let text = r#"[["Map",1,2,3,4],"a\"b",{"x":2,"y":-1},"plain",["Date","2026-03-04T05:06:07.089Z"]]"#;
        let parsed = Document::parse(text).unwrap();
        let mut assembly = Assembly::with_capacity(text.len());
        for index in 0..5 {
            assembly.entry(|new| new.push_str(parsed.raw().text(index).unwrap()));
        }
        let assembled = assembly.finish().unwrap();
        assert_eq!(assembled.as_bytes(), parsed.as_bytes());
        for index in 0..5 {
            let (one, other) = (assembled.raw(), parsed.raw());
            assert_eq!(one.text(index), other.text(index));
            assert_eq!(one.plain_str(index), other.plain_str(index));
        }
        assert_eq!(
            assembled.root().to_value().unwrap(),
            parsed.root().to_value().unwrap()
        );
    }

    #[test]
    fn nothing_is_no_document() {
        assert!(Assembly::with_capacity(0).finish().is_none());
    }

    #[test]
    #[should_panic(expected = "not entries of JSON")]
    #[cfg(debug_assertions)]
    fn what_is_no_entry_is_found_in_a_debug_build() {
        let mut assembly = Assembly::with_capacity(0);
        assembly.entry(|text| text.push_str("1,2"));
        let _ = assembly.finish();
    }
}
