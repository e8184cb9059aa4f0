//! Addresses of servers, and what a URL says about one.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::settings::{DEFAULT_PORT, Login};

const DEFAULT_HOST: &str = "127.0.0.1";

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Endpoint {
    /// The address of a server as another one announces it. An empty host means the host of the server that says so.
    pub(crate) fn announced(host: &str, port: u16, by: &Self) -> Option<Self> {
        match (host, by) {
            ("" | "?", Self::Tcp(host, _)) => Some(Self::Tcp(host.clone(), port)),
            ("" | "?", Self::Unix(_)) => None,
            _ => Some(Self::Tcp(host.to_owned(), port)),
        }
    }

    /// Whether nobody else can listen to what is sent there.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(host, _) => {
                let address = host.parse::<IpAddr>();
                host == "localhost" || address.is_ok_and(|address| address.is_loopback())
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// What a URL or `HOST:PORT` says about a server.
pub(crate) struct Address {
    pub(crate) endpoint: Endpoint,
    /// `None` where there is no scheme.
    pub(crate) tls: Option<bool>,
    pub(crate) login: Login,
    pub(crate) db: u32,
}

impl Address {
    pub(crate) fn of_url(text: &str) -> Option<Self> {
        Self::parse(text, DEFAULT_PORT).filter(|_| text.contains("://"))
    }

    /// Parses a URL, `HOST:PORT`, `HOST`, or an IPv6 address with or without brackets.
    ///
    /// There is no error to show, since the text may contain a password. Parts that have no meaning here are refused.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let has_scheme = text.contains("://");
        let url = match (has_scheme, text.parse::<Ipv6Addr>()) {
            (true, _) => Url::parse(text).ok()?,
            (false, Ok(address)) => Url::parse(&format!("redis://[{address}]")).ok()?,
            (false, Err(_)) => Url::parse(&format!("redis://{text}")).ok()?,
        };
        let tls = match url.scheme() {
            _ if url.fragment().is_some() => return None,
            "unix" | "redis+unix" | "valkey+unix" if cfg!(unix) => return Self::of_socket(&url),
            _ if url.query().is_some() => return None,
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return None,
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.or(has_scheme.then_some(DEFAULT_HOST))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let db = url.path().trim_matches('/');
        Some(Self {
            endpoint: Endpoint::Tcp(decoded(host)?, url.port().unwrap_or(default_port)),
            tls: has_scheme.then_some(tls),
            login: Login {
                username: decoded_if_any(url.username())?,
                password: decoded_if_any(url.password().unwrap_or_default())?.map(Into::into),
            },
            db: match db.is_empty() {
                true => 0,
                false => db.parse().ok()?,
            },
        })
    }

    /// Parses `unix:///PATH?db=1&user=U&pass=P`.
    fn of_socket(url: &Url) -> Option<Self> {
        let mut address = Self {
            endpoint: Endpoint::Unix(decoded(url.path())?.into()),
            tls: None,
            login: Login::default(),
            db: 0,
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => address.db = value.parse().ok()?,
                "user" => address.login.username = Some(value.into_owned()),
                "pass" => address.login.password = Some(value.into_owned().into()),
                _ => return None,
            }
        }
        Some(address)
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    Some(text.into_owned())
}

fn decoded_if_any(text: &str) -> Option<Option<String>> {
    Some(Some(decoded(text)?).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn parse(text: &str) -> Option<Address> {
        Address::parse(text, 1)
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let tcp = |host: &str, port| Some(Endpoint::Tcp(host.to_owned(), port));
        for (text, expected) in [
            ("redis.example:7000", tcp("redis.example", 7000)),
            ("redis.example", tcp("redis.example", 1)),
            ("[::1]:7000", tcp("::1", 7000)),
            ("[::1]", tcp("::1", 1)),
            ("::1", tcp("::1", 1)),
            ("redis://u:p@h:7000/3", tcp("h", 7000)),
            ("redis://[::1]", tcp("::1", 1)),
            ("redis://", tcp("127.0.0.1", 1)),
            ("h:port", None),
            ("", None),
        ] {
            let endpoint = parse(text).map(|address| address.endpoint);
            assert_eq!(endpoint, expected, "{text}");
        }
    }

    #[test]
    fn a_url_has_all_parts() {
        let url = parse("rediss://us%40er:p%3Ass@h:7000/3").unwrap();
        assert_eq!(url.endpoint, Endpoint::Tcp("h".to_owned(), 7000));
        assert_eq!(url.login.username.as_deref(), Some("us@er"));
        assert_eq!(url.login.password.unwrap().expose_secret(), "p:ss");
        assert_eq!((url.tls, url.db), (Some(true), 3));
        assert_eq!(parse("valkey://h").unwrap().tls, Some(false));
        assert_eq!(parse("h").unwrap().tls, None);
    }

    #[cfg(unix)]
    #[test]
    fn a_url_of_a_socket_has_all_parts() {
        let url = parse("unix:///run/redis.sock?db=2&pass=x").unwrap();
        assert_eq!(url.endpoint, Endpoint::Unix("/run/redis.sock".into()));
        assert_eq!(url.login.password.unwrap().expose_secret(), "x");
        assert_eq!(url.db, 2);
    }

    #[test]
    fn what_a_url_says_without_a_meaning_is_refused() {
        for url in [
            "http://h",
            "redis://h/x",
            "rediss://h#insecure",
            "redis://h?protocol=resp2",
            "unix:///x?other=1",
        ] {
            assert!(parse(url).is_none(), "{url}");
        }
    }

    #[test]
    fn servers_may_leave_their_host_out() {
        let by = Endpoint::Tcp("here".to_owned(), 1);
        let here = Endpoint::Tcp("here".to_owned(), 7000);
        assert_eq!(Endpoint::announced("", 7000, &by), Some(here));
        let there = Endpoint::Tcp("::1".to_owned(), 7000);
        assert_eq!(Endpoint::announced("::1", 7000, &by), Some(there));
    }

    #[test]
    fn only_loopback_is_local() {
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("localhost", true),
            ("10.0.0.1", false),
            ("redis.example", false),
        ] {
            assert_eq!(parse(address).unwrap().endpoint.is_local(), expected);
        }
    }
}
