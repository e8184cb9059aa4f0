use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use session_core::Error;

use crate::config::{DEFAULT_PORT, invalid};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Endpoint {
    pub(crate) fn tcp(host: impl Into<String>, port: u16) -> Self {
        Self::Tcp {
            host: host.into(),
            port,
        }
    }

    /// Reads `HOST:PORT`, `HOST`, `[IPv6]:PORT`, an IPv6 address alone, or a URL.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        if text.contains("://") {
            return Url::parse(text).ok().map(|url| url.endpoint);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']')?;
            let port = match port.strip_prefix(':') {
                Some(port) => port.parse().ok()?,
                None => port.is_empty().then_some(default_port)?,
            };
            return Some(Self::tcp(host, port));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port.parse().ok()?),
            _ => (text, default_port),
        };
        (!host.is_empty()).then(|| Self::tcp(host, port))
    }

    /// Reads `HOST:PORT` as servers write it, where a host without brackets may be an IPv6 address and an empty one
    /// is that of the server which says so.
    pub(crate) fn announced(text: &str, by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Self::announced_parts(host, port.parse().ok()?, by)
    }

    /// The same of a host and a port.
    pub(crate) fn announced_parts(host: &str, port: u16, by: &Self) -> Option<Self> {
        match (host, by) {
            ("" | "?", Self::Tcp { host, .. }) => Some(Self::tcp(host.clone(), port)),
            ("" | "?", Self::Unix(_)) => None,
            _ => Some(Self::tcp(host, port)),
        }
    }

    pub(crate) fn tcp_or_default(&self) -> (String, u16) {
        match self {
            Self::Tcp { host, port } => (host.clone(), *port),
            Self::Unix(_) => (DEFAULT_HOST.to_owned(), DEFAULT_PORT),
        }
    }
}

const DEFAULT_HOST: &str = "127.0.0.1";

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// What a URL says.
pub(crate) struct Url {
    pub(crate) endpoint: Endpoint,
    pub(crate) tls: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) db: u32,
}

impl Default for Url {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::tcp(DEFAULT_HOST, DEFAULT_PORT),
            tls: false,
            username: None,
            password: None,
            db: 0,
        }
    }
}

impl Url {
    /// Reads a URL; the error holds nothing of it, since it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let malformed = || {
            invalid(
                "`url` must be redis://USER:PASSWORD@HOST:PORT/DB, rediss:// for TLS, or unix:///PATH; characters \
                 of a password that are special to URLs must be percent-encoded",
            )
        };
        let url = url::Url::parse(text).map_err(|_| malformed())?;
        let decoded = |text: &str| {
            let text = percent_decode_str(text)
                .decode_utf8()
                .map_err(|_| malformed())?;
            Ok::<_, Error>((!text.is_empty()).then(|| text.into_owned()))
        };
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            "unix" | "redis+unix" | "valkey+unix" => return Self::of_socket(&url, malformed),
            _ => return Err(malformed()),
        };
        let path = url.path().trim_start_matches('/');
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .unwrap_or(DEFAULT_HOST);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            endpoint: Endpoint::tcp(host, url.port().unwrap_or(DEFAULT_PORT)),
            tls,
            username: decoded(url.username())?,
            password: decoded(url.password().unwrap_or_default())?,
            db: match path.is_empty() {
                true => 0,
                false => path.parse().map_err(|_| malformed())?,
            },
        })
    }

    /// `unix:///PATH?db=1&user=U&pass=P`.
    fn of_socket(url: &url::Url, malformed: impl Fn() -> Error) -> Result<Self, Error> {
        if cfg!(not(unix)) {
            return Err(invalid(
                "`url`: Unix sockets are not supported on this platform; use `redis://HOST:PORT`",
            ));
        }
        let path = percent_decode_str(url.path()).decode_utf8();
        let mut parsed = Self {
            endpoint: Endpoint::Unix(path.map_err(|_| malformed())?.into_owned().into()),
            ..Self::default()
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => parsed.db = value.parse().map_err(|_| malformed())?,
                "user" => parsed.username = Some(value.into_owned()),
                "pass" => parsed.password = Some(value.into_owned()),
                _ => return Err(malformed()),
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let tcp = |host: &str, port| Some(Endpoint::tcp(host, port));
        for (text, expected) in [
            ("redis.example:7000", tcp("redis.example", 7000)),
            ("redis.example", tcp("redis.example", 1)),
            ("[::1]:7000", tcp("::1", 7000)),
            ("[::1]", tcp("::1", 1)),
            ("::1", tcp("::1", 1)),
            ("redis://u:p@h:7000/3", tcp("h", 7000)),
            ("h:port", None),
            ("", None),
        ] {
            assert_eq!(Endpoint::parse(text, 1), expected, "{text}");
        }
    }

    #[test]
    fn servers_may_leave_their_host_out() {
        let by = Endpoint::tcp("here", 1);
        assert_eq!(
            Endpoint::announced(":7000", &by),
            Some(Endpoint::tcp("here", 7000))
        );
        assert_eq!(
            Endpoint::announced("::1:7000", &by),
            Some(Endpoint::tcp("::1", 7000))
        );
        assert_eq!(Endpoint::announced("nothing", &by), None);
    }

    #[test]
    fn a_url_has_all_parts() {
        let url = Url::parse("rediss://us%40er:p%3Ass@h:7000/3").unwrap();
        assert_eq!(url.endpoint, Endpoint::tcp("h", 7000));
        assert_eq!(url.username.as_deref(), Some("us@er"));
        assert_eq!(url.password.as_deref(), Some("p:ss"));
        assert!(url.tls);
        assert_eq!(url.db, 3);
        let url = Url::parse("redis://[::1]").unwrap();
        assert_eq!(url.endpoint, Endpoint::tcp("::1", 6379));
        let url = Url::parse("unix:///run/redis.sock?db=2&pass=x").unwrap();
        assert_eq!(url.endpoint, Endpoint::Unix("/run/redis.sock".into()));
        assert_eq!((url.db, url.password.as_deref()), (2, Some("x")));
    }

    #[test]
    fn an_error_about_a_url_does_not_hold_it() {
        for url in [
            "redis://:hush@h:port",
            "http://:hush@h",
            "redis://:hush@h/x",
            "hush",
            "unix:///x?hush=1",
        ] {
            let error = Url::parse(url).err().unwrap();
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
    }
}
