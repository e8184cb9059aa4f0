use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use session_core::{Error, ErrorKind, Result};

/// Builds a header value of `prefix` and `secret`, such as `Bearer …`, whose `Debug` does not show the secret.
///
/// ```
/// use http_support::{SecretString, secret_header};
///
/// let header = secret_header("token", "Bearer ", &SecretString::from("abc"))?;
/// assert_eq!(header, "Bearer abc");
/// assert_eq!(format!("{header:?}"), "Sensitive");
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// If the secret is empty or contains characters that a header cannot hold, the error is of kind
/// [`InvalidConfig`](ErrorKind::InvalidConfig) and names `option`.
pub fn secret_header(option: &str, prefix: &str, secret: &SecretString) -> Result<HeaderValue> {
    let secret = secret.expose_secret();
    let invalid = |what: &str| Error::new(ErrorKind::InvalidConfig, format!("`{option}` {what}"));
    if secret.is_empty() {
        return Err(invalid("is empty"));
    }
    let mut value = HeaderValue::try_from([prefix, secret].concat()).map_err(|_| {
        invalid("contains characters that a header cannot hold, such as a line break")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_no_header_can_hold_is_refused_without_being_shown() {
        for secret in ["", "secret\n", "sec\rret"] {
            let error = secret_header("token", "Bearer ", &secret.into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains("`token`") && !shown.contains("sec"),
                "{shown}"
            );
        }
    }
}
