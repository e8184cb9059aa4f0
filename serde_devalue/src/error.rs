//! The one error type of the crate.

use std::fmt;

/// An error of reading or writing.
///
/// ```
/// let error = serde_devalue::from_str::<u8>("[\"seven\"]").unwrap_err();
/// assert_eq!(error.kind(), serde_devalue::ErrorKind::Data);
/// assert_eq!(error.position(), Some(1));
/// assert!(!error.to_string().contains("seven"));
/// ```
///
/// Neither `Display` nor `Debug` ever shows a part of the data, for that may be secret: they show what was wrong and
/// where. What a type's own `Deserialize` said, which often quotes the data, is kept apart in [`detail`](Self::detail).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    position: Option<usize>,
    message: Box<str>,
    detail: Option<Box<str>>,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not JSON (or not UTF-8): truncated, garbled, or something else altogether.
    Syntax,
    /// The text is JSON, but not what devalue writes, and devalue would refuse it.
    Format,
    /// A tag that is neither one of the format's nor one that the reader was told of.
    UnknownTag,
    /// A string with a lone surrogate was asked for as a Rust string, which cannot hold one.
    LoneSurrogate,
    /// A value that contains itself was asked for as a Rust type, which cannot hold one.
    Cycle,
    /// Nested too deeply, for the limit that was set.
    TooDeep,
    /// Larger than the limit that was set.
    TooLarge,
    /// Shared references would expand to more than the limit that was set.
    TooExpanded,
    /// The data does not fit the Rust type that was asked for.
    Data,
    /// What was given to the writer has no form in devalue, or its calls were unbalanced.
    Unwritable,
}

impl Error {
    #[cold]
    pub(crate) fn new(
        kind: ErrorKind,
        position: impl Into<Option<usize>>,
        message: impl Into<Box<str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            position: position.into(),
            message: message.into(),
            detail: None,
        }))
    }

    #[cold]
    pub(crate) fn syntax(position: usize, message: &str) -> Self {
        Self::new(ErrorKind::Syntax, position, message)
    }

    #[cold]
    pub(crate) fn format(position: usize, message: &str) -> Self {
        Self::new(ErrorKind::Format, position, message)
    }

    #[cold]
    pub(crate) fn unwritable(message: impl Into<Box<str>>) -> Self {
        Self::new(ErrorKind::Unwritable, None, message)
    }

    /// The same error, at `position` if it had none.
    #[cold]
    pub(crate) fn at(mut self, position: usize) -> Self {
        self.locate(position);
        self
    }

    /// Puts it at `position` if it has none.
    #[cold]
    pub(crate) fn locate(&mut self, position: usize) {
        self.0.position.get_or_insert(position);
    }

    /// The same error once more, without the detail.
    #[cold]
    pub(crate) fn again(&self) -> Self {
        Self::new(self.0.kind, self.0.position, self.0.message.clone())
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The byte offset in the text that was read: of the offending byte, or of the entry that could not be decoded.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// What the `Serialize` or `Deserialize` of a type said, in its own words, which may quote the data.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// let error = serde_devalue::from_str::<IpAddr>("[\"nowhere\"]").unwrap_err();
    /// assert!(error.detail().is_some());
    /// assert!(!format!("{error} {error:?}").contains("nowhere"));
    /// ```
    ///
    /// It is for a developer's eyes: do not log it where the data is secret.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.position {
            Some(position) => write!(f, "{} at byte {position}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("position", &self.0.position)
            .field("message", &self.0.message)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut error = Self::unwritable("a type refused to be serialized");
        error.0.detail = Some(message.to_string().into());
        error
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let mut error = Self::new(ErrorKind::Data, None, "the data does not fit the type");
        error.0.detail = Some(message.to_string().into());
        error
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        let found = name_of(&found);
        Self::new(
            ErrorKind::Data,
            None,
            format!("invalid type: {found}, expected {expected}"),
        )
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        let found = name_of(&found);
        Self::new(
            ErrorKind::Data,
            None,
            format!("invalid value: {found}, expected {expected}"),
        )
    }

    fn invalid_length(length: usize, expected: &dyn serde::de::Expected) -> Self {
        Self::new(
            ErrorKind::Data,
            None,
            format!("invalid length {length}, expected {expected}"),
        )
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let mut error = Self::new(
            ErrorKind::Data,
            None,
            format!("unknown variant, expected one of {expected:?}"),
        );
        error.0.detail = Some(format!("unknown variant `{variant}`").into());
        error
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut error = Self::new(
            ErrorKind::Data,
            None,
            format!("unknown field, expected one of {expected:?}"),
        );
        error.0.detail = Some(format!("unknown field `{field}`").into());
        error
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorKind::Data, None, format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(ErrorKind::Data, None, format!("duplicate field `{field}`"))
    }
}

/// What was found, without its value.
fn name_of(found: &serde::de::Unexpected<'_>) -> &'static str {
    use serde::de::Unexpected::*;
    match found {
        Bool(_) => "boolean",
        Unsigned(_) | Signed(_) => "integer",
        Float(_) => "number",
        Char(_) | Str(_) => "string",
        Bytes(_) => "bytes",
        Unit => "null or undefined",
        Option => "optional value",
        NewtypeStruct => "wrapped value",
        Seq => "array",
        Map => "object or map",
        Enum | UnitVariant | NewtypeVariant | TupleVariant | StructVariant => "enum variant",
        Other(_) => "something else",
    }
}
