use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use session_core::{Error, ErrorKind, Result};

/// The header that is `prefix` and then `secret`, as in `Bearer …`; its `Debug` does not show it.
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
/// A secret that is empty, or that no header can hold, is an error of kind
/// [`InvalidConfig`](ErrorKind::InvalidConfig) which names `option`.
pub fn secret_header(option: &str, prefix: &str, secret: &SecretString) -> Result<HeaderValue> {
    let secret = secret.expose_secret();
    let wrong = |what: &str| Error::new(ErrorKind::InvalidConfig, format!("`{option}` {what}"));
    if secret.is_empty() {
        return Err(wrong("is empty"));
    }
    let mut value = HeaderValue::try_from([prefix, secret].concat())
        .map_err(|_| wrong("has characters that cannot be sent, such as the end of a line"))?;
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
