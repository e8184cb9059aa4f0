use reqwest::Url;
use session_core::{Error, ErrorKind, Result};

/// Parses the URL of a server. Errors do not show it, since it may contain a secret.
pub(crate) fn parse(text: &str) -> Result<Url> {
    let invalid = |what: &str| {
        Err(Error::new(
            ErrorKind::InvalidConfig,
            format!("the URL {what}"),
        ))
    };
    let Ok(url) = Url::parse(text.trim()) else {
        return invalid("is not valid; expected one such as `https://host/path`");
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return invalid("must begin with `https://` or `http://`, followed by a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid(
            "must not contain a user name or a password; use the options for credentials",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return invalid("must not have a query or a fragment");
    }
    Ok(url)
}

/// Whether the server is on this machine: its host is a loopback address or `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_url_is_refused_and_not_shown() {
        for text in [
            "",
            "secret.example",
            "ftp://secret.example",
            "redis://secret.example",
            "https://",
            "https://user:secret@host.example",
            "https://secret@host.example",
            "https://host.example/?token=secret",
            "https://host.example/#secret",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{text}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{text}");
        }
    }

    #[test]
    fn loopback_servers_are_recognized() {
        for (text, local) in [
            ("http://127.0.0.1:80", true),
            ("http://127.1.2.3/x", true),
            ("http://[::1]:3000", true),
            ("http://localhost", true),
            ("http://localhost.example", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&parse(text).unwrap()), local, "{text}");
        }
    }
}
