//! A document that is parsed once and decoded lazily.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use bytestring::ByteString;

use crate::entry::{Entries, Slot};
use crate::error::Error;
use crate::limits::ParseOptions;
use crate::node::Node;
use crate::scan::{Index, scan};

/// A parsed devalue text whose values are decoded lazily.
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
/// Parsing is one pass that checks the syntax and records where each entry starts. It takes one allocation, or two if
/// there are many entries. Each value is checked when it is decoded, so the valid parts of a broken document are
/// readable. [`Node::to_value`] of the root checks everything. Clones share the text. `Debug` shows only sizes, since
/// the data may be secret.
#[derive(Clone)]
pub struct Document(Arc<Inner>);

pub(crate) struct Inner {
    text: ByteString,
    index: Index,
    options: ParseOptions,
    /// A number that is unique in the process, unlike an address.
    serial: u64,
}

static SERIAL: AtomicU64 = AtomicU64::new(0);

impl Document {
    /// Parses a text with the default [`Limits`](crate::Limits).
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        Self::parse_with(bytes, ParseOptions::default())
    }

    /// Parses a text with custom limits or tags.
    pub fn parse_with(
        bytes: impl Into<Bytes>,
        options: impl Into<ParseOptions>,
    ) -> Result<Self, Error> {
        let options = options.into();
        let bytes = bytes.into();
        // Also checked in the scan. Checking here skips the UTF-8 validation of a text over the limit.
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

    /// Creates the document of an array with one entry without escapes.
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

    /// Returns the original text.
    pub fn as_bytes(&self) -> &Bytes {
        self.0.text.as_bytes()
    }

    /// Returns the root value.
    pub fn root(&self) -> Node<'_> {
        Node::new(&self.0, self.0.entries().root())
    }

    /// Returns the node with this id, or an undefined node if the document has no such node.
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

/// The id of a node within its document.
///
/// ```
/// let document = serde_devalue::Document::parse("[[1],2]")?;
/// let root = document.root().id();
/// assert_eq!(document.node(root).kind(), serde_devalue::Kind::Array);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Two nodes of a document have the same id if they are the same entry: a shared object, or a deduplicated string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(crate) Slot);

impl NodeId {
    /// Returns the index of its entry, or `None` for a value without an entry, such as `undefined`.
    pub fn index(self) -> Option<u32> {
        self.0.index()
    }
}
