//! Objects that are met again: by the anchors of a value, or as nodes of a document that others came from.

use super::container::Shape;
use super::{Writer, reference};
use crate::value::AnchorId;

impl Writer {
    pub(super) fn anchor(&mut self, reference: i32) {
        if let Some(anchor) = self.pending_anchor.take() {
            self.anchors.insert(anchor, reference);
        }
    }

    /// Lets the next object be known by this anchor.
    pub(crate) fn expect_anchor(&mut self, anchor: AnchorId) {
        self.pending_anchor = Some(anchor);
    }

    pub(crate) fn clear_anchors(&mut self) {
        self.pending_anchor = None;
        self.anchors.clear();
    }

    pub(crate) fn alias(&mut self, anchor: AnchorId) {
        match self.anchors.get(&anchor) {
            Some(&reference) => self.attach(reference),
            None => self.fail("an alias without its anchor"),
        }
    }

    pub(crate) fn note_buffer(&mut self, reference: i32, size: usize) {
        self.buffers.insert(reference, size);
    }

    /// Checks the view that is open against the buffer that it has got, and drops its window if that is all of it.
    pub(crate) fn fit_view(&mut self) {
        let buffer = self
            .children
            .last()
            .and_then(|child| self.buffers.get(&child.reference));
        let fits = match (self.frames.last().map(|frame| frame.shape), buffer) {
            (Some(Shape::View(kind)), Some(&size)) => {
                let (offset, length) = self.window.unwrap_or_default();
                let bytes = length.saturating_mul(kind.element_size());
                if bytes == size && offset == 0 {
                    self.window = None;
                }
                offset % kind.element_size() == 0 && offset.saturating_add(bytes) <= size
            }
            _ => false,
        };
        if !fits {
            self.fail("a view without a buffer, or beyond it");
        }
    }

    /// What an object of a document has become here.
    pub(crate) fn known(&self, document: u64, entry: u32) -> Option<i32> {
        self.known.get(&(document, entry)).copied()
    }

    /// Notes that the next entry is what this object of a document becomes.
    pub(crate) fn expect_known(&mut self, document: u64, entry: u32) {
        if self.known.is_empty() {
            self.known.reserve(14);
        }
        self.known
            .insert((document, entry), reference(self.entries.len()));
    }
}
