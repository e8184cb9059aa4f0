use std::fmt;

use session_core::Error;

/// What a case ends with.
pub(crate) type CaseResult = Result<(), Failure>;

/// What a case expected of the driver, and what came instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the contract promises.
    pub expected: String,
    /// What the driver did.
    pub got: String,
}

impl Failure {
    /// A failure in words.
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            got: got.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new("the operation to succeed", format!("the error: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; got {}", self.expected, self.got)
    }
}

/// Passes if `holds`.
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

/// Passes if `got` is `expected`, where both are short enough to show.
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: &str, got: T, expected: T) -> CaseResult {
    if got == expected {
        return Ok(());
    }
    Err(Failure::new(
        format!("{what} to be {expected:?}"),
        format!("{got:?}"),
    ))
}
