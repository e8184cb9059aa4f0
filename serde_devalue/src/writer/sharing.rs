//! Shared objects: anchors of a value, and nodes of a document.

use super::container::Shape;
use super::{Writer, reference};
use crate::value::AnchorId;

impl Writer {
    pub(super) fn anchor(&mut self, reference: i32) {
        if let Some(anchor) = self.pending_anchor.take() {
            self.anchors.insert(anchor, reference);
        }
    }

    /// Assigns this anchor to the next object.
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

    /// Checks the open view against its buffer, and drops its range if it covers the whole buffer.
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

    /// Returns the new reference of an object from a document.
    pub(crate) fn known(&self, document: u64, entry: u32) -> Option<i32> {
        self.known.get(&(document, entry)).copied()
    }

    /// Records that the next entry is this object of a document.
    pub(crate) fn expect_known(&mut self, document: u64, entry: u32) {
        if self.known.is_empty() {
            self.known.reserve(14);
        }
        self.known
            .insert((document, entry), reference(self.entries.len()));
    }
}
