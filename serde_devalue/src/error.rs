//! The error type of the crate.

use std::fmt;

/// An error from reading or writing.
///
/// ```
/// let error = serde_devalue::from_str::<u8>("[\"seven\"]").unwrap_err();
/// assert_eq!(error.kind(), serde_devalue::ErrorKind::Data);
/// assert_eq!(error.position(), Some(1));
/// assert!(!error.to_string().contains("seven"));
/// ```
///
/// `Display` and `Debug` show what is wrong and where, but never the data, since it may be secret. The message of a
/// `Deserialize` implementation often quotes the data, so it is separate, in [`detail`](Self::detail).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    position: Option<usize>,
    message: Box<str>,
    detail: Option<Box<str>>,
}

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not valid JSON or not valid UTF-8.
    Syntax,
    /// The text is JSON, but not valid devalue.
    Format,
    /// A tag that is neither part of the format nor declared by the reader.
    UnknownTag,
    /// A string with a lone surrogate cannot be read as a Rust string.
    LoneSurrogate,
    /// A circular value cannot be read as this Rust type.
    Cycle,
    /// The nesting exceeds the depth limit.
    TooDeep,
    /// The text exceeds the size limit.
    TooLarge,
    /// Shared references expand to more than the limit.
    TooExpanded,
    /// The data does not match the Rust type.
    Data,
    /// The value cannot be represented in devalue, or the calls to the writer are unbalanced.
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

    /// Returns the error with `position`, if it has none.
    #[cold]
    pub(crate) fn at(mut self, position: usize) -> Self {
        self.locate(position);
        self
    }

    /// Sets `position` if it has none.
    #[cold]
    pub(crate) fn locate(&mut self, position: usize) {
        self.0.position.get_or_insert(position);
    }

    /// Returns a copy without the detail.
    #[cold]
    pub(crate) fn again(&self) -> Self {
        Self::new(self.0.kind, self.0.position, self.0.message.clone())
    }

    /// The kind of an error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the byte offset of the invalid byte, or of the entry that could not be decoded.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// Returns the message of a `Serialize` or `Deserialize` implementation, which may quote the data.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// let error = serde_devalue::from_str::<IpAddr>("[\"nowhere\"]").unwrap_err();
    /// assert!(error.detail().is_some());
    /// assert!(!format!("{error} {error:?}").contains("nowhere"));
    /// ```
    ///
    /// Do not log it if the data is secret.
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

/// Describes an unexpected value without the value itself.
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
