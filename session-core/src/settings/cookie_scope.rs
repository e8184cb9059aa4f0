//! Which names, domains and paths of a cookie browsers keep (RFC 6265, sections 4.1, 5.2 and 5.3).

use std::fmt;

/// What browsers tell cookies apart by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CookieScope<'a> {
    pub(crate) name: &'a str,
    /// `None`: only the host that set it.
    pub(crate) domain: Option<&'a str>,
    pub(crate) path: &'a str,
}

/// Why browsers would not keep a cookie: the option, and what to do.
pub(super) struct Refusal {
    pub(super) option: &'static str,
    pub(super) advice: String,
}

impl Refusal {
    fn new(option: &'static str, advice: impl Into<String>) -> Self {
        Self {
            option,
            advice: advice.into(),
        }
    }
}

/// Browsers ignore attributes that are longer.
const LONGEST_ATTRIBUTE: usize = 1024;

impl CookieScope<'_> {
    /// Checks for what browsers would silently reject or ignore.
    pub(super) fn check(&self, secure: bool) -> Result<(), Refusal> {
        if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            let advice = "must be a token: letters, digits and !#$%&'*+-.^_`|~ only";
            return Err(Refusal::new("name", advice));
        }
        if let Some(domain) = self.domain {
            check_domain(domain).map_err(|advice| Refusal::new("domain", advice))?;
        }
        check_path(self.path).map_err(|advice| Refusal::new("path", advice))?;
        if is_bound_to_host(self.name) && (!secure || self.path != "/" || self.domain.is_some()) {
            let advice = "begins with `__Host-`, so it needs `secure = true`, `path = \"/\"` and no `domain`";
            return Err(Refusal::new("name", advice));
        }
        if !secure && (has_prefix(self.name, "__secure-") || has_prefix(self.name, "__http-")) {
            let advice = "begins with `__Secure-` or `__Http-`, so it needs `secure = true`";
            return Err(Refusal::new("name", advice));
        }
        Ok(())
    }

    /// Whether browsers take both for one cookie.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let domain = |scope: &Self| {
            let domain = scope.domain?.to_ascii_lowercase();
            Some(
                domain
                    .strip_prefix('.')
                    .map(str::to_owned)
                    .unwrap_or(domain),
            )
        };
        self.name == other.name && self.path == other.path && domain(self) == domain(other)
    }
}

impl fmt::Display for CookieScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` with path `{}` and ", self.name, self.path)?;
        match self.domain {
            Some(domain) => write!(f, "domain `{domain}`"),
            None => f.write_str("no domain"),
        }
    }
}

/// Whether browsers keep a cookie of this name for one host and the path `/` only.
pub(super) fn is_bound_to_host(name: &str) -> bool {
    has_prefix(name, "__host-")
}

/// Browsers compare these prefixes without regard to case.
fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn check_domain(domain: &str) -> Result<(), String> {
    const EXAMPLE: &str = "a host name such as `example.com`";
    // Browsers ignore one leading dot.
    let host = domain.strip_prefix('.').unwrap_or(domain);
    let refused = if domain.is_empty() {
        "is empty; leave it out for a cookie of one host".to_owned()
    } else if host.contains("://") {
        format!("must be {EXAMPLE}, without a scheme (`https://`)")
    } else if host.contains('/') {
        format!("must be {EXAMPLE}, without a path; the path is an option of its own")
    } else if host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[') {
        "must not be an IP address, which has no subdomains; leave it out for a cookie of one host"
            .to_owned()
    } else if host.contains(':') {
        format!("must be {EXAMPLE}, without a port; a cookie is valid for all ports of a host")
    } else if !host.is_ascii() {
        format!(
            "must be {EXAMPLE}; write other letters in punycode, such as `xn--bcher-kva.example`"
        )
    } else if host.contains('*') {
        format!("must be {EXAMPLE}, without `*`; all subdomains get the cookie anyway")
    } else if host.ends_with('.') {
        format!("must be {EXAMPLE}, without a dot at its end")
    } else if host.len() > 253 {
        format!("must be {EXAMPLE}, of at most 253 characters")
    } else if !host.split('.').all(is_label) {
        format!(
            "must be {EXAMPLE}: labels of 1 to 63 letters, digits and inner hyphens, with a dot in between"
        )
    } else if host.rsplit('.').next().is_some_and(is_number) {
        // Browsers take such a host for an IPv4 address.
        format!("must be {EXAMPLE}; the last label must not be a number")
    } else {
        return Ok(());
    };
    Err(refused)
}

/// Underscores are not in RFC 6265, but browsers keep such cookies.
fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_path(path: &str) -> Result<(), String> {
    let refused = if !path.starts_with('/') {
        "must start with `/`, without a scheme or a host"
    } else if path.contains(';') || path.bytes().any(|byte| byte.is_ascii_control()) {
        "must contain neither `;` nor control characters"
    } else if !path.is_ascii() || path.contains(' ') {
        "must be as in the address of a request, so write spaces and other letters percent-encoded, such as `/my%20shop`"
    } else if path.contains(['?', '#']) {
        "must end before `?` and `#`, which are no part of the path of a request"
    } else if path.len() > LONGEST_ATTRIBUTE {
        "must have at most 1,024 characters"
    } else {
        return Ok(());
    };
    Err(refused.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_domain(domain: &str) -> String {
        check_domain(domain).expect_err(domain)
    }

    #[test]
    fn a_domain_that_browsers_would_drop_is_refused_with_what_to_do() {
        let too_long = "a.".repeat(126) + "com";
        let long_label = format!("{}.com", "a".repeat(64));
        for (domain, advice) in [
            ("https://example.com", "without a scheme"),
            ("example.com:3000", "without a port"),
            ("example.com/shop", "without a path"),
            ("*.example.com", "without `*`"),
            ("bücher.example", "punycode"),
            ("example.com.", "without a dot at its end"),
            ("", "leave it out"),
            ("127.0.0.1", "IP address"),
            ("::1", "IP address"),
            ("[::1]", "IP address"),
            ("[::1]:3000", "IP address"),
            ("1.2.3", "not be a number"),
            (".", "labels"),
            ("..example.com", "labels"),
            ("a..b", "labels"),
            ("exam ple.com", "labels"),
            (" example.com", "labels"),
            ("example.com,example.org", "labels"),
            ("example.com;x", "labels"),
            ("-a.example", "labels"),
            ("a-.example", "labels"),
            (&long_label, "labels"),
            (&too_long, "253"),
        ] {
            let refused = refused_domain(domain);
            assert!(refused.contains(advice), "{domain}: {refused}");
        }
    }

    #[test]
    fn a_domain_that_browsers_keep_is_accepted() {
        let longest_label = format!("{}.com", "a".repeat(63));
        for domain in [
            "example.com",
            ".example.com",
            "Shop.Example.COM",
            "localhost",
            "xn--bcher-kva.example",
            "my_app.example.com",
            "3com.example",
            "1.example",
            &longest_label,
        ] {
            assert_eq!(check_domain(domain), Ok(()), "{domain}");
        }
    }

    #[test]
    fn a_path_that_matches_no_request_is_refused_with_what_to_do() {
        let too_long = format!("/{}", "a".repeat(1_024));
        for (path, advice) in [
            ("", "start with `/`"),
            ("shop", "start with `/`"),
            ("https://example.com/shop", "without a scheme"),
            ("/a;Secure", "neither `;`"),
            ("/a\n", "control characters"),
            ("/my shop", "percent-encoded"),
            ("/bücher", "percent-encoded"),
            ("/shop?a=1", "before `?`"),
            ("/shop#top", "before `?`"),
            (&too_long, "1,024"),
        ] {
            let refused = check_path(path).expect_err(path);
            assert!(refused.contains(advice), "{path}: {refused}");
        }
        for path in ["/", "/shop", "/shop/", "/my%20shop", "/~a/b.c,d=e"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn prefixes_are_found_in_any_case() {
        let scope = |name| CookieScope {
            name,
            domain: None,
            path: "/",
        };
        assert!(is_bound_to_host("__HOST-a"));
        assert!(scope("__http-a").check(false).is_err());
        assert!(scope("__http-a").check(true).is_ok());
        assert!(!is_bound_to_host("ä__Host-"));
    }
}
