//! Edits a document without decoding what it does not change.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;
use serde::Serialize;

use crate::cycle::reachable;
use crate::document::{Document, NodeId};
use crate::error::{Error, ErrorKind};
use crate::limits::ParseOptions;
use crate::node::Node;
use crate::options::WriteOptions;
use crate::writer::Writer;

/// An editor of a document whose root is a Map.
///
/// ```
/// use serde_devalue::{Document, WriteOptions};
///
/// let document = Document::parse(r#"[["Map",1,2,3,4],"user","Ann","home",["URL","file:////server/x"]]"#)?;
/// let mut edit = document.edit()?;
/// edit.set("visits", &8);
/// edit.remove("user");
/// let text = edit.finish(WriteOptions::new())?;
/// assert_eq!(text, r#"[["Map",1,2,3,4],"home",["URL","file:////server/x"],"visits",8]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// - A value that is not changed is copied as text, of whatever type and form it is. Only references are renumbered. A
///   shared value is copied once, so the cost is linear in the size of the text.
/// - What the Map no longer reaches is left out, so a removed secret does not stay in the text.
/// - A new name is appended. A name that exists keeps its position.
/// - The references of an unknown tag are unknown. If the text has one, all entries keep their indices, new ones are
///   appended, and those that nothing refers to any more are blanked. Each number in the unknown value counts as a
///   reference. One that refers to nothing is an error, since it would refer to what is appended.
///
/// `Debug` shows only the number of entries.
pub struct Edit<'a> {
    document: Option<&'a Document>,
    entries: Vec<Entry<'a>>,
    /// The positions of the entries by key, if they are more than [`FEW`].
    positions: HashMap<Key<'a>, usize>,
}

/// This many entries are searched linearly.
const FEW: usize = 16;

/// A key of the Map. Those that are not strings are only kept or removed.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Key<'a> {
    Text(Cow<'a, str>),
    Other(NodeId),
}

struct Entry<'a> {
    /// `None` if it was removed.
    key: Option<Key<'a>>,
    /// The key in the document.
    node: Option<Node<'a>>,
    value: Value<'a>,
}

enum Value<'a> {
    Kept(Node<'a>),
    New(Write<'a>),
}

type Write<'a> = Box<dyn Fn(&mut Writer) -> Result<(), Error> + 'a>;

impl Document {
    /// Starts to edit the document. It is an error if the root is not a Map.
    pub fn edit(&self) -> Result<Edit<'_>, Error> {
        let mut edit = Edit {
            document: Some(self),
            entries: Vec::with_capacity(8),
            ..Edit::new()
        };
        for entry in self.root().map_entries()? {
            let (node, value) = entry?;
            let key = node.as_str().map_or(Key::Other(node.id()), Key::Text);
            // As in JavaScript, the last of several values counts, at the place of the first.
            edit.put(key, Some(node), Value::Kept(value));
        }
        Ok(edit)
    }

    /// Writes the document anew, with the entries of its Map that `write` writes: alternating keys and values.
    ///
    /// ```
    /// use serde_devalue::{Document, WriteOptions};
    ///
    /// let document = Document::parse(r#"[["Map",1,2,3,4],"user","Ann","home",["URL","file:////server/x"]]"#)?;
    /// let rewritten = document.rewrite(WriteOptions::new(), |writer| {
    ///     let (name, url) = document.root().map_entries()?.nth(1).unwrap()?;
    ///     writer.copy(name)?;
    ///     writer.copy(url)
    /// })?;
    /// assert_eq!(rewritten.as_bytes(), r#"[["Map",1,2],"home",["URL","file:////server/x"]]"#);
    /// # Ok::<_, serde_devalue::Error>(())
    /// ```
    ///
    /// It is for programs that know the entries already. Values are copied as in an [`Edit`], which finds them by name.
    /// `write` may run several times, and must not write a key twice.
    pub fn rewrite(
        &self,
        options: WriteOptions,
        write: impl Fn(&mut Writer) -> Result<(), Error>,
    ) -> Result<Document, Error> {
        let mut writer = Writer::new(options);
        match self.write_map(&mut writer, &write, None) {
            Ok(()) => writer.take_document(ParseOptions::default()),
            Err(error) if error.kind() == ErrorKind::UnknownTag => {
                Document::parse(self.append(options, &write)?)
            }
            Err(error) => Err(error),
        }
    }

    fn write_map(
        &self,
        writer: &mut Writer,
        write: &dyn Fn(&mut Writer) -> Result<(), Error>,
        keep: Option<usize>,
    ) -> Result<(), Error> {
        let entries = self.root().document().entries();
        writer.reserve(entries.text.len(), entries.count());
        writer.begin_map();
        if let Some(count) = keep {
            writer.keep_indices(self.root(), count)?;
        }
        write(writer)?;
        writer.end();
        Ok(())
    }

    /// Writes the text with the indices of the document.
    fn append(
        &self,
        options: WriteOptions,
        write: &dyn Fn(&mut Writer) -> Result<(), Error>,
    ) -> Result<String, Error> {
        let count = self.root().document().entries().count();
        // Entries at the end that are not used any more make room for new ones, so that the text does not grow.
        let text = |keep| {
            let mut writer = Writer::new(options);
            self.write_map(&mut writer, write, Some(keep))?;
            writer.finish()
        };
        let (_, used) = used_entries(text(count)?)?;
        let kept = used.iter().take(count).rposition(|used| *used);
        let kept = kept.map_or(1, |last| last + 1);
        let (document, used) = used_entries(text(kept)?)?;
        let mut text = String::with_capacity(document.as_bytes().len());
        for (index, used) in (0..).zip(used) {
            text.push(if index == 0 { '[' } else { ',' });
            let entry = document.root().document().entries().entry_text(index);
            text.push_str(entry.filter(|_| used).unwrap_or("0"));
        }
        text.push(']');
        Ok(text)
    }
}

impl<'a> Edit<'a> {
    /// Starts with an empty Map.
    pub fn new() -> Self {
        Self {
            document: None,
            entries: Vec::new(),
            positions: HashMap::default(),
        }
    }

    /// Sets the value of a name.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: impl Into<Cow<'a, str>>, value: &'a T) {
        self.set_with(name, |writer| writer.serialize(value));
    }

    /// Sets the value of a name to the one that `write` writes.
    ///
    /// It may [`copy`](Writer::copy) nodes of the document that is edited, and of others. It may run several times.
    pub fn set_with(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        write: impl Fn(&mut Writer) -> Result<(), Error> + 'a,
    ) {
        self.put(Key::Text(name.into()), None, Value::New(Box::new(write)));
    }

    /// Removes a name and its value. Returns whether it existed.
    pub fn remove(&mut self, name: &'a str) -> bool {
        let key = Key::Text(Cow::Borrowed(name));
        let position = self.position(&key);
        self.positions.remove(&key);
        let entry = position.and_then(|position| self.entries.get_mut(position));
        entry.is_some_and(|entry| entry.key.take().is_some())
    }

    /// Removes the entries of the document for which `keep` returns `false`. It does not see values that were set.
    pub fn retain(&mut self, mut keep: impl FnMut(Node<'a>, Node<'a>) -> bool) {
        for entry in &mut self.entries {
            if let (Some(node), Value::Kept(value)) = (entry.node, &entry.value)
                && entry.key.is_some()
                && !keep(node, *value)
                && let Some(key) = entry.key.take()
            {
                self.positions.remove(&key);
            }
        }
    }

    fn position(&self, key: &Key<'_>) -> Option<usize> {
        if self.entries.len() > FEW {
            return self.positions.get(key).copied();
        }
        let is_it = |entry: &Entry<'_>| entry.key.as_ref() == Some(key);
        self.entries.iter().position(is_it)
    }

    /// Replaces the value of this key, or appends it.
    fn put(&mut self, key: Key<'a>, node: Option<Node<'a>>, value: Value<'a>) {
        let position = self.position(&key);
        if let Some(entry) = position.and_then(|position| self.entries.get_mut(position)) {
            entry.node = node.or(entry.node);
            entry.value = value;
            return;
        }
        let next = self.entries.len();
        if next == FEW {
            let keys = self.entries.iter().enumerate();
            let keys = keys.filter_map(|(position, entry)| Some((entry.key.clone()?, position)));
            self.positions.extend(keys);
        }
        if next >= FEW {
            self.positions.insert(key.clone(), next);
        }
        let key = Some(key);
        self.entries.push(Entry { key, node, value });
    }

    /// Returns the edited text.
    ///
    /// The options are for the values that were set.
    pub fn finish(self, options: WriteOptions) -> Result<String, Error> {
        let write = |writer: &mut Writer| self.write(writer);
        let mut writer = Writer::new(options);
        let Some(document) = self.document else {
            writer.begin_map();
            write(&mut writer)?;
            writer.end();
            return writer.finish();
        };
        match document.write_map(&mut writer, &write, None) {
            Ok(()) => writer.finish(),
            Err(error) if error.kind() == ErrorKind::UnknownTag => document.append(options, &write),
            Err(error) => Err(error),
        }
    }

    fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        for entry in &self.entries {
            match (&entry.key, entry.node) {
                (None, _) | (Some(Key::Other(_)), None) => continue,
                (Some(_), Some(node)) => writer.copy(node)?,
                (Some(Key::Text(name)), None) => writer.string(name),
            }
            match &entry.value {
                Value::Kept(value) => writer.copy(*value)?,
                Value::New(write) => writer.one_value(write)?,
            }
        }
        Ok(())
    }
}

impl Default for Edit<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Edit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Parses a text, and returns which entries the root leads to.
fn used_entries(text: String) -> Result<(Document, Vec<bool>), Error> {
    let document = Document::parse_with(text, crate::token::parse_options())?;
    let used = reachable(document.root().document().entries(), vec![0]);
    Ok((document, used))
}
