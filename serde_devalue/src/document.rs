//! A document that is parsed once and decoded where it is looked at.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use bytestring::ByteString;

use crate::entry::{Entries, Slot};
use crate::error::Error;
use crate::limits::ParseOptions;
use crate::node::Node;
use crate::raw::RawEntries;
use crate::scan::{Index, scan};

/// A devalue text whose syntax has been checked, and whose values are decoded when they are asked for.
///
/// ```
/// use serde_devalue::Document;
///
/// let document = Document::parse(r#"[["Map",1,2,3,4],"user","alice","visits",7]"#)?;
/// for entry in document.root().map_entries()? {
///     let (key, value) = entry?;
///     match key.as_str().as_deref() {
///         Some("user") => assert_eq!(value.deserialize::<&str>()?, "alice"),
///         Some("visits") => assert_eq!(value.as_f64(), Some(7.0)),
///         _ => unreachable!(),
///     }
/// }
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Parsing is one pass that notes where each entry begins: an allocation, and another if there are many. What an entry means is
/// checked when it is looked at, so that a document with a broken part serves its other parts; [`Node::to_value`] of
/// the root looks at everything. A clone shares the text. `Debug` shows sizes only, since the data may be secret.
#[derive(Clone)]
pub struct Document(Arc<Inner>);

pub(crate) struct Inner {
    text: ByteString,
    index: Index,
    options: ParseOptions,
    /// Tells documents apart for as long as the process runs, which an address does not.
    serial: u64,
}

static SERIAL: AtomicU64 = AtomicU64::new(0);

impl Document {
    /// Parses a text under the default [`Limits`](crate::Limits).
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        Self::parse_with(bytes, ParseOptions::default())
    }

    /// Parses a text, under limits of one's own or with custom tags.
    pub fn parse_with(
        bytes: impl Into<Bytes>,
        options: impl Into<ParseOptions>,
    ) -> Result<Self, Error> {
        let options = options.into();
        let bytes = bytes.into();
        // Checked here as well as in the scan, for a text above the limit is not worth the look for its UTF-8.
        if bytes.len() > options.limits.size {
            return Err(Error::new(
                crate::ErrorKind::TooLarge,
                None,
                "the text is larger than the limit",
            ));
        }
        let text = match ByteString::try_from(bytes) {
            Ok(text) => text,
            Err(error) => return Err(Error::syntax(error.valid_up_to(), "not UTF-8")),
        };
        let index = scan(&text, &options.limits)?;
        Ok(Self::new(text, index, options))
    }

    /// The document of an array of one entry without escapes.
    pub(crate) fn of_scalar(text: String) -> Self {
        let index = Index::of_scalar(&text);
        Self::new(text.into(), index, crate::token::parse_options())
    }

    #[inline]
    pub(crate) fn new(text: ByteString, index: Index, options: ParseOptions) -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Inner {
            text,
            index,
            options,
            serial,
        }))
    }

    /// The text, as it was given.
    pub fn as_bytes(&self) -> &Bytes {
        self.0.text.as_bytes()
    }

    /// The value that the document stands for.
    pub fn root(&self) -> Node<'_> {
        Node::new(&self.0, self.0.entries().root())
    }

    /// The entries as they stand in the text.
    #[inline]
    pub fn raw(&self) -> RawEntries<'_> {
        RawEntries::new(&self.0)
    }

    /// The value that an earlier node of this document had; undefined if this document has no such node.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        let is_past =
            id.0.index()
                .is_some_and(|index| index as usize >= self.0.entries().count());
        let slot = if is_past { Slot::UNDEFINED } else { id.0 };
        Node::new(&self.0, slot)
    }
}

impl Inner {
    #[inline]
    pub(crate) fn entries(&self) -> Entries<'_, '_> {
        Entries::new(&self.text, &self.index, &self.options)
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("bytes", &self.0.text.len())
            .field("entries", &self.0.entries().count())
            .finish_non_exhaustive()
    }
}

/// The name of a node within its document.
///
/// ```
/// let document = serde_devalue::Document::parse("[[1],2]")?;
/// let root = document.root().id();
/// assert_eq!(document.node(root).kind(), serde_devalue::Kind::Array);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Two nodes of one document have the same id if and only if they are the same entry: a shared object, or a string that
/// was written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(crate) Slot);

impl NodeId {
    /// The number of its entry; `None` for a value without one, such as undefined.
    pub fn index(self) -> Option<u32> {
        self.0.index()
    }
}
