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
