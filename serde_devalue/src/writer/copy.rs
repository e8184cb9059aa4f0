//! Copies values of a document as text.

use super::container::{Child, push_int};
use super::primitives::mark;
use super::{Span, Writer, reference};
use smallvec::SmallVec;

use crate::cycle::reachable;
use crate::entry::{Entries, Entry, References, Slot, number};
use crate::error::{Error, ErrorKind};
use crate::node::Node;
use crate::tag::Tag;

/// The new references of the entries of a document, or [`Copied::NONE`].
#[derive(Default)]
pub(super) struct Copied {
    document: u64,
    references: Vec<i32>,
}

impl Copied {
    const NONE: i32 = i32::MIN;

    fn new(document: u64, count: usize) -> Self {
        let references = vec![Self::NONE; count];
        Self {
            document,
            references,
        }
    }
}

/// The open containers of most values.
type Nested<'t> = SmallVec<[Open<'t>; 2]>;

/// A container whose references are being copied.
struct Open<'t> {
    text: &'t str,
    /// Where its text starts in the document.
    start: usize,
    references: References<'t>,
    index: usize,
    /// The number of children that belong to outer containers.
    children: usize,
}

impl Writer {
    /// Copies a node with everything in it as text, and renumbers the references.
    ///
    /// ```
    /// use serde_devalue::{Document, WriteOptions, Writer};
    ///
    /// let document = Document::parse(r#"[[1,2],"a",["URL",3],"file:////server/x"]"#)?;
    /// let mut writer = Writer::new(WriteOptions::new());
    /// writer.copy(document.root().elements()?.nth(1).unwrap()?)?;
    /// assert_eq!(writer.finish()?, r#"[["URL",1],"file:////server/x"]"#);
    /// # Ok::<_, serde_devalue::Error>(())
    /// ```
    ///
    /// Unlike [`node`](Self::node), it decodes nothing, so it changes nothing and checks nothing but references, and shared
    /// values cost nothing. Nodes of one document keep their sharing. An unknown tag is an error, since its references are
    /// unknown too. The order of object keys is not corrected in a text with copied values.
    pub fn copy(&mut self, node: Node<'_>) -> Result<(), Error> {
        let Some(entry) = node.slot().index() else {
            self.attach(node.slot().reference());
            return Ok(());
        };
        self.ordered = true;
        let (entries, document) = (node.document().entries(), node.document().serial());
        let head = entries.head(node.slot()).map(|(_, byte)| byte);
        let result = if entries.count() == 1 && !matches!(head, Some(b'[' | b'{')) {
            // A primitive that nothing else refers to is found by its text.
            self.copy_entry(entries, entry, &mut [Copied::NONE])
        } else {
            if self.copied.document != document || self.copied.references.is_empty() {
                self.switch(document, entries.count());
            }
            let mut copied = std::mem::take(&mut self.copied.references);
            let result = self.copy_entry(entries, entry, &mut copied);
            self.copied.references = copied;
            result
        };
        match result {
            Ok(reference) => {
                self.attach(reference);
                Ok(())
            }
            Err(error) => self.poison(Err(error)),
        }
    }

    /// Takes out what is known of another document.
    fn switch(&mut self, document: u64, count: usize) {
        let known = self.copied_before.remove(&document);
        let new = known.unwrap_or_else(|| Copied::new(document, count));
        let before = std::mem::replace(&mut self.copied, new);
        if !before.references.is_empty() {
            self.copied_before.insert(before.document, before);
        }
    }

    fn copy_entry(
        &mut self,
        entries: Entries<'_, '_>,
        entry: u32,
        copied: &mut [i32],
    ) -> Result<i32, Error> {
        let mut open = Nested::new();
        let root = self.copy_one(entries, entry, copied, &mut open)?;
        while let Some(top) = open.last_mut() {
            match top.references.next_target(entries) {
                Some(next) => {
                    if let (place, Some(target)) = next? {
                        // The children of the target follow this one.
                        let child = self.children.len();
                        self.children.push(Child {
                            reference: 0,
                            place,
                        });
                        let reference = self.copy_one(entries, target, copied, &mut open)?;
                        if let Some(child) = self.children.get_mut(child) {
                            child.reference = reference;
                        }
                    }
                }
                None => {
                    if let Some(top) = open.pop() {
                        self.close(&top);
                    }
                }
            }
        }
        Ok(root)
    }

    /// Returns the new reference of an entry. A container that is not copied yet is opened.
    fn copy_one<'t>(
        &mut self,
        entries: Entries<'_, 't>,
        entry: u32,
        copied: &mut [i32],
        open: &mut Nested<'t>,
    ) -> Result<i32, Error> {
        let Some(place) = copied.get_mut(entry as usize) else {
            return Err(Error::format(0, "a node of another document"));
        };
        if *place != Copied::NONE {
            return Ok(*place);
        }
        let slot = Slot::of_entry(entry);
        let text = entries.entry_text(entry).unwrap_or_default();
        let new = match entries.head(slot) {
            Some((span, b'{')) => {
                let members = entries.object(span);
                let references = References::of_object(members);
                self.open(text, entries.position(slot), references, open)
            }
            Some((_, b'[')) => {
                let value = entries.entry(slot);
                if let Entry::Tagged(Tag::BigInt, ..) = value {
                    let digits = text.strip_prefix("[\"BigInt\",\"").unwrap_or(text);
                    let digits = digits.strip_suffix("\"]").unwrap_or(digits);
                    self.intern(mark(digits.as_bytes()), |arena| arena.push_str(text))
                } else {
                    let start = entries.position(slot);
                    let references = value.references().ok_or_else(|| {
                        Error::new(ErrorKind::UnknownTag, start, "an unknown tag")
                    })?;
                    self.open(text, start, references, open)
                }
            }
            Some((_, b'"')) => {
                let mark = entries.string(slot).map_or(0, |quoted| quoted.mark());
                self.intern(mark, |arena| arena.push_str(text))
            }
            Some((_, b'n')) => self.null_reference(),
            Some((_, bool @ (b't' | b'f'))) => self.bool_reference(bool == b't'),
            _ => self.intern(mark(&number(text).to_le_bytes()), |arena| {
                arena.push_str(text);
            }),
        };
        *place = new;
        Ok(new)
    }

    #[inline]
    fn open<'t>(
        &mut self,
        text: &'t str,
        start: usize,
        references: References<'t>,
        open: &mut Nested<'t>,
    ) -> i32 {
        let index = self.entries.len();
        self.entries.push(Span { from: 0, to: 0 });
        open.push(Open {
            text,
            start,
            references,
            index,
            children: self.children.len(),
        });
        reference(index)
    }

    /// Writes a container with its new references.
    fn close(&mut self, open: &Open<'_>) {
        self.separate();
        let from = self.arena.len();
        let mut rest = 0;
        for child in self.children.get(open.children..).unwrap_or_default() {
            let at = child.place - open.start;
            self.arena
                .push_str(open.text.get(rest..at).unwrap_or_default());
            push_int(&mut self.arena, child.reference);
            let after = open.text.as_bytes().get(at..).unwrap_or_default();
            let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            rest = at + after.iter().take_while(is_digit).count();
        }
        self.arena
            .push_str(open.text.get(rest..).unwrap_or_default());
        let to = self.arena.len();
        if let Some(span) = self.entries.get_mut(open.index) {
            *span = Span { from, to };
        }
        self.children.truncate(open.children);
    }

    /// Takes over entries of a document with their indices, up to `count` and but for the first, after `begin_map`.
    pub(crate) fn keep_indices(&mut self, node: Node<'_>, count: usize) -> Result<(), Error> {
        let entries = node.document().entries();
        let reachable = reachable(entries, vec![0]);
        for (index, reachable) in (0..).zip(reachable).take(count) {
            // An index that is out of range now must not lead to an entry that is appended.
            if reachable {
                let mut references = entries.references(index).into_iter();
                references.try_for_each(|reference| reference.map(drop))?;
            }
            if index > 0 {
                let text = entries.entry_text(index).unwrap_or_default();
                self.entry(|arena| arena.push_str(text));
            }
        }
        self.switch(node.document().serial(), 0);
        self.copied.references = (0..entries.count()).map(reference).collect();
        self.ordered = true;
        Ok(())
    }
}
