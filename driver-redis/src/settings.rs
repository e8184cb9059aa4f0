//! The options, validated and merged with what URLs say.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use session_core::{Error, ErrorKind, Prefix, Result};

use crate::address::{Address, Endpoint};
use crate::options::{Node, ReadFrom, RedisOptions, Tls, TlsOptions};

/// The port of Redis, where none is named.
pub(crate) const DEFAULT_PORT: u16 = 6379;

/// The port of a sentinel, where none is named.
const DEFAULT_SENTINEL_PORT: u16 = 26379;

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Validated options.
pub(crate) struct Settings {
    pub(crate) place: Place,
    /// The credentials at the servers, not at sentinels.
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) prefix: Prefix,
    /// All options, of which the others are used as they are.
    pub(crate) options: RedisOptions,
}

/// How the servers are found.
pub(crate) enum Place {
    Server(Endpoint),
    /// By some nodes of a cluster.
    Cluster(Vec<Endpoint>),
    Sentinels(Vec<Endpoint>, String, Login),
    /// By a client of the application.
    Client(redis::Client),
}

/// The credentials for a server.
#[derive(Clone, Default)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
}

impl Login {
    fn as_text(&self) -> (Option<&str>, Option<&str>) {
        let password = self.password.as_ref().map(SecretString::expose_secret);
        (self.username.as_deref(), password)
    }

    /// These credentials, and what they leave open from `other`.
    fn or(self, other: Self) -> Self {
        Self {
            username: self.username.or(other.username),
            password: self.password.or(other.password),
        }
    }
}

impl Settings {
    pub(crate) fn new(options: RedisOptions) -> Result<Self> {
        let own = Login {
            username: options.username.clone(),
            password: options.password.clone(),
        };
        let names_one = options.url.is_some() || options.host.is_some() || options.port.is_some();
        let (place, login, tls, db) = match (&options.cluster, &options.sentinel) {
            (Some(_), Some(_)) => {
                return Err(invalid("give either `cluster` or `sentinel`, not both"));
            }
            (Some(_), None) | (None, Some(_)) if names_one => {
                return Err(invalid(
                    "`url`, `host` and `port` name one server; remove them, or `cluster` and `sentinel`",
                ));
            }
            (Some(nodes), None) => {
                let nodes = Nodes::parse(nodes, DEFAULT_PORT, "cluster", &options.tls)?;
                let login = own.or(nodes.login);
                (Place::Cluster(nodes.endpoints), login, nodes.tls, 0)
            }
            (None, Some(sentinel)) => {
                if sentinel.name.is_empty() {
                    return Err(invalid(
                        "`sentinel.name` is empty; give the name under which the sentinels know the primary",
                    ));
                }
                let (nodes, port) = (&sentinel.nodes, DEFAULT_SENTINEL_PORT);
                let nodes = Nodes::parse(nodes, port, "sentinel.nodes", &options.tls)?;
                let login = Login {
                    username: sentinel.username.clone(),
                    password: sentinel.password.clone(),
                };
                let (name, login) = (sentinel.name.clone(), login.or(nodes.login));
                (
                    Place::Sentinels(nodes.endpoints, name, login),
                    own,
                    nodes.tls,
                    0,
                )
            }
            (None, None) => {
                let url = options.url.as_ref().map(SecretString::expose_secret);
                let url = Address::of_url(url.unwrap_or("redis://")).ok_or_else(|| {
                    invalid(
                        "`url` must be redis://USER:PASSWORD@HOST:PORT/DB, rediss:// for TLS, or unix:///PATH on \
                         Unix, without other parts; special characters in a password must be percent-encoded",
                    )
                })?;
                let endpoint = match (options.host.clone(), options.port, url.endpoint) {
                    (None, None, endpoint) => endpoint,
                    (host, port, Endpoint::Tcp(url_host, url_port)) => {
                        Endpoint::Tcp(host.unwrap_or(url_host), port.unwrap_or(url_port))
                    }
                    (_, _, Endpoint::Unix(_)) => {
                        return Err(invalid("`host` and `port` contradict the socket in `url`"));
                    }
                };
                let tls = match &options.tls {
                    Some(tls) => Some(*tls != Tls::Off),
                    None => url.tls,
                };
                (Place::Server(endpoint), own.or(url.login), tls, url.db)
            }
        };
        let settings = Self {
            place,
            login,
            db: options.db.unwrap_or(db),
            tls: match &options.tls {
                Some(Tls::On(tls)) => Some(tls.clone()),
                _ => tls.unwrap_or_default().then(TlsOptions::default),
            },
            prefix: Prefix::from_option(options.prefix.as_deref().unwrap_or_default())?,
            options,
        };
        settings.check()?;
        if let Some(server) = settings.plain_text() {
            tracing::warn!(%server, "the password is sent without encryption; use `rediss://` or `tls`");
        }
        Ok(settings)
    }

    /// The settings for a client of the application, which knows how to connect.
    pub(crate) fn of_client(client: redis::Client, options: RedisOptions) -> Result<Self> {
        let connects = options.url.is_some()
            || options.host.is_some()
            || options.port.is_some()
            || options.username.is_some()
            || options.password.is_some()
            || options.db.is_some()
            || options.tls.is_some()
            || options.cluster.is_some()
            || options.sentinel.is_some();
        if connects {
            return Err(invalid(
                "the client determines how to connect; remove the address, `username`, `password`, `db`, `tls`, `cluster` \
                 and `sentinel`",
            ));
        }
        let settings = Self::new(options)?;
        Ok(Self {
            place: Place::Client(client),
            ..settings
        })
    }

    fn check(&self) -> Result<()> {
        let options = &self.options;
        if self.db != 0 && matches!(self.place, Place::Cluster(_)) {
            return Err(invalid("a cluster has only database 0; remove `db`"));
        }
        if options.read_from == ReadFrom::Replica && matches!(self.place, Place::Server(_)) {
            return Err(invalid(
                "`read_from = \"replica\"` requires `cluster` or `sentinel`",
            ));
        }
        let times = [
            ("timeout", options.timeout),
            ("connect_timeout", options.connect_timeout),
        ];
        let range = SHORTEST_TIMEOUT..=LONGEST_TIMEOUT;
        if let Some((name, _)) = times.iter().find(|(_, time)| !range.contains(time)) {
            return Err(invalid(format!(
                "`{name}` must be from a millisecond to a day"
            )));
        }
        if !(1..=64).contains(&options.connections) {
            return Err(invalid("`connections` must be from 1 to 64"));
        }
        if !(1..=100_000).contains(&options.scan_count.unwrap_or(1)) {
            return Err(invalid("`scan_count` must be from 1 to 100000"));
        }
        Ok(())
    }

    /// A host to which a password is sent without encryption.
    fn plain_text(&self) -> Option<&Endpoint> {
        let (endpoints, login) = match &self.place {
            Place::Server(endpoint) => (std::slice::from_ref(endpoint), &self.login),
            Place::Cluster(nodes) => (nodes.as_slice(), &self.login),
            Place::Sentinels(nodes, _, login) => (nodes.as_slice(), login),
            Place::Client(_) => return None,
        };
        let has_password = self.login.password.is_some() || login.password.is_some();
        let is_plain = self.tls.is_none() && has_password;
        let mut others = endpoints.iter().filter(|endpoint| !endpoint.is_local());
        others.next().filter(|_| is_plain)
    }
}

/// What the addresses of several nodes say.
struct Nodes {
    endpoints: Vec<Endpoint>,
    tls: Option<bool>,
    login: Login,
}

impl Nodes {
    fn parse(nodes: &[Node], port: u16, option: &str, tls: &Option<Tls>) -> Result<Self> {
        let refused = |why: &str| Err(invalid(format!("`{option}` {why}")));
        if nodes.is_empty() {
            return refused("is empty; give at least one address");
        }
        let mut all = Self {
            endpoints: Vec::new(),
            tls: tls.as_ref().map(|tls| *tls != Tls::Off),
            login: Login::default(),
        };
        for node in nodes {
            let address = Address::parse(&node.0, port);
            let Some(address) = address.filter(|node| !matches!(node.endpoint, Endpoint::Unix(_)))
            else {
                return refused("must hold `HOST:PORT` or URLs");
            };
            if address.db != 0 {
                return refused("names a database; use the option `db`, which a cluster has not");
            }
            if all.tls.or(address.tls) != address.tls.or(all.tls) {
                return refused(
                    "mixes TLS and plain TCP; use one scheme for all nodes, in agreement with `tls`",
                );
            }
            let (known, own) = (all.login.as_text(), address.login.as_text());
            if known != own && known != (None, None) && own != (None, None) {
                return refused("has URLs with different credentials; use the same for all nodes");
            }
            all.tls = all.tls.or(address.tls);
            all.login = all.login.or(address.login);
            all.endpoints.push(address.endpoint);
        }
        Ok(all)
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(feature = "config")]
mod by_name {
    use std::fmt;
    use std::sync::Arc;

    use serde::de::value::MapAccessDeserializer;
    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Error, async_trait};

    use super::{RedisOptions, Tls, TlsOptions};
    use crate::RedisDriver;

    impl<'de> Deserialize<'de> for Tls {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(TlsVisitor)
        }
    }

    struct TlsVisitor;

    impl<'de> Visitor<'de> for TlsVisitor {
        type Value = Tls;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false or a table")
        }

        fn visit_bool<E>(self, on: bool) -> Result<Tls, E> {
            Ok(match on {
                true => Tls::On(TlsOptions::default()),
                false => Tls::Off,
            })
        }

        fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Tls, A::Error> {
            TlsOptions::deserialize(MapAccessDeserializer::new(table)).map(Tls::On)
        }
    }

    #[async_trait]
    impl DriverOptions for RedisOptions {
        async fn open(mut self, context: &ConfigContext) -> Result<Arc<dyn Driver>, Error> {
            if let Some(Tls::On(tls)) = &mut self.tls {
                for path in [&mut tls.ca, &mut tls.cert, &mut tls.key]
                    .into_iter()
                    .flatten()
                {
                    *path = context.resolve(&*path);
                }
            }
            Ok(Arc::new(RedisDriver::open(self).await?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Sentinel;

    fn refused(options: RedisOptions) -> String {
        let error = Settings::new(options).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        error.to_string()
    }

    #[test]
    fn a_prefix_that_would_mean_another_is_refused() {
        for prefix in ["..", "?", "a?b", "/a"] {
            refused(RedisOptions::default().with_prefix(prefix));
        }
    }

    #[test]
    fn an_error_about_a_url_does_not_contain_it() {
        for url in [
            "redis://:hush@h:port",
            "http://:hush@h",
            "redis://:hush@h/x",
            "redis://:hush@h?protocol=resp2",
            "hush",
            "unix:///x?hush=1",
        ] {
            assert!(refused(RedisOptions::new(url)).contains("`url` must be"));
        }
    }

    #[test]
    fn the_scheme_of_nodes_counts() {
        let tls = |options| Settings::new(options).unwrap().tls.is_some();
        assert!(tls(RedisOptions::cluster(["rediss://a", "rediss://b"])));
        assert!(tls(RedisOptions::cluster(["rediss://a", "b"])));
        assert!(!tls(RedisOptions::cluster(["redis://a", "b"])));
        let sentinel = |node: &str| RedisOptions::sentinel(Sentinel::new("main", [node]));
        assert!(tls(sentinel("rediss://a")));
        assert!(!tls(sentinel("a")));
        assert!(tls(sentinel("a").with_tls(Tls::On(TlsOptions::new()))));
    }

    #[test]
    fn nodes_with_different_schemes_or_credentials_are_refused() {
        let text = refused(RedisOptions::cluster(["rediss://a", "redis://b"]));
        assert!(text.contains("`cluster` mixes TLS and plain TCP"), "{text}");
        let options = RedisOptions::cluster(["rediss://a"]).with_tls(Tls::Off);
        assert!(refused(options).contains("mixes TLS"));
        let options = RedisOptions::cluster(["redis://a"]).with_tls(Tls::On(TlsOptions::new()));
        assert!(refused(options).contains("mixes TLS"));
        let text = refused(RedisOptions::cluster([
            "redis://:hush@a",
            "redis://:hush2@b",
        ]));
        assert!(text.contains("different credentials"), "{text}");
        assert!(refused(RedisOptions::cluster(["redis://a/1"])).contains("names a database"));
        let both = RedisOptions::new("redis://a");
        let cluster = RedisOptions::cluster(["b"]).cluster;
        refused(RedisOptions { cluster, ..both });
    }

    #[test]
    fn the_credentials_in_a_url_of_a_node_count() {
        let settings = Settings::new(RedisOptions::cluster(["redis://u:p@a", "b"])).unwrap();
        assert_eq!(settings.login.as_text(), (Some("u"), Some("p")));
        let sentinel = Sentinel::new("main", ["redis://u:p@a"]);
        let settings = Settings::new(RedisOptions::sentinel(sentinel)).unwrap();
        assert_eq!(settings.login.as_text(), (None, None));
        let Place::Sentinels(_, _, login) = settings.place else {
            panic!("sentinels");
        };
        assert_eq!(login.as_text(), (Some("u"), Some("p")));
    }

    #[test]
    fn a_password_that_goes_to_another_host_without_tls_is_noticed() {
        let noticed = |options| Settings::new(options).unwrap().plain_text().is_some();
        assert!(noticed(RedisOptions::new("redis://:p@redis.example")));
        assert!(noticed(
            RedisOptions::cluster(["localhost", "a"]).with_password("p")
        ));
        let sentinel = Sentinel::new("main", ["a"]).with_password("p");
        assert!(noticed(RedisOptions::sentinel(sentinel)));
        for url in [
            "redis://redis.example",
            "rediss://:p@redis.example",
            "redis://:p@[::1]",
        ] {
            assert!(!noticed(RedisOptions::new(url)), "{url}");
        }
    }
}
