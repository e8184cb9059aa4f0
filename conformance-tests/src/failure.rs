//! Failures of cases, and the assertions that produce them.

use std::fmt;

use session_core::Error;

/// The result of a case.
pub(crate) type CaseResult = Result<(), Failure>;

/// What a case expected, and what the driver did instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the contract requires.
    pub expected: String,
    /// What the driver did.
    pub got: String,
}

impl Failure {
    /// Creates a failure from two descriptions.
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            got: got.into(),
        }
    }

    /// Says where it is.
    pub(crate) fn at(self, place: impl std::fmt::Display) -> Self {
        Self {
            expected: format!("{} ({place})", self.expected),
            got: self.got,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new("the operation to succeed", describe(&error))
    }
}

/// An error with its kind, its outcome and its sources.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = format!(
        "the error: {error} ({:?}, {:?})",
        error.kind(),
        error.outcome()
    );
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("; caused by: {cause}"));
        source = cause.source();
    }
    text
}

/// The start of a value, escaped, and its length.
pub(crate) fn excerpt(value: &[u8]) -> String {
    const SHOWN: usize = 48;
    let escaped = |part: &[u8]| part.escape_ascii().to_string();
    let (start, end) = (
        value.get(..SHOWN),
        value.get(value.len().saturating_sub(8)..),
    );
    match (start, end) {
        (Some(start), Some(end)) if value.len() > SHOWN + 8 => {
            format!(
                "the {} bytes \"{}…{}\"",
                value.len(),
                escaped(start),
                escaped(end)
            )
        }
        _ => format!("the {} bytes \"{}\"", value.len(), escaped(value)),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; got {}", self.expected, self.got)
    }
}

/// Passes if `holds` is true.
pub(crate) fn check(
    holds: bool,
    expected: impl Into<String>,
    got: impl Into<String>,
) -> CaseResult {
    if holds {
        return Ok(());
    }
    Err(Failure::new(expected, got))
}

/// Passes if `got` equals `expected`. Both are shown in the failure, so they should be short.
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, got: T, expected: T) -> CaseResult {
    if got == expected {
        return Ok(());
    }
    Err(Failure::new(
        format!("{what} to be {expected:?}"),
        format!("{got:?}"),
    ))
}
