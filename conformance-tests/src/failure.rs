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
