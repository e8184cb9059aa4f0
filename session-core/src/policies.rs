//! What sessions do in cases where an application may want something else.

use serde::Deserialize;

/// What happens to a response whose session could not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCommitError {
    /// The response is replaced by an error, so that no visitor is told that something was stored when it was not.
    #[default]
    Fail,
    /// The response is sent unchanged, without the session's cookie. The error is reported to the hook.
    Keep,
}

/// What happens to a response whose changes were lost, because another request destroyed the session or changed the
/// same value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLostChange {
    /// The response is replaced by an empty one with status 409. A response to `GET` or `HEAD` is sent as it is.
    #[default]
    Fail,
    /// The response is sent as it is. The loss is reported to the hook.
    Report,
}

/// What happens to a stored record that cannot be parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCorruptRecord {
    /// Reads are errors, and the record is not changed. `regenerate` starts an empty session, and `destroy` removes it.
    #[default]
    Fail,
    /// The visitor gets an empty session, as if there were no record. Each case is reported to the hook.
    Discard,
}
