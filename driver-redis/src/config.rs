use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use session_core::{Error, ErrorKind};

use crate::endpoint::{Endpoint, Url};

/// The port of Redis, where none is named.
pub(crate) const DEFAULT_PORT: u16 = 6379;

/// The port of a sentinel, where none is named.
const DEFAULT_SENTINEL_PORT: u16 = 26379;

/// Options of the driver; every one has a default, and a URL alone is enough.
///
/// ```
/// use driver_redis::RedisOptions;
/// use std::time::Duration;
///
/// let options = RedisOptions {
///     base: Some("sessions".to_owned()),
///     ttl: Some(Duration::from_secs(3_600)),
///     ..RedisOptions::new("rediss://app:secret@redis.example:6380/2")
/// };
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase;
/// times are in seconds there. Names are those of unstorage and of ioredis, where they have one.
#[derive(Clone, Default)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct RedisOptions {
    /// `redis://USER:PASSWORD@HOST:PORT/DB`, or `rediss://` for TLS, `unix:///PATH?db=DB` for a socket; `valkey://` and
    /// `valkeys://` are the same. Options beside it override its parts. Default: none.
    pub url: Option<String>,
    /// The server's name or address. Default: `127.0.0.1`.
    pub host: Option<String>,
    /// The server's port. Default: 6379.
    pub port: Option<u16>,
    /// The ACL user. Default: the server's `default`.
    pub username: Option<String>,
    /// The password. Default: none.
    pub password: Option<String>,
    /// The number of the database; a cluster has 0 alone. Default: 0.
    pub db: Option<u32>,
    /// TLS, and whom to trust. Default: as the URL says, else none.
    pub tls: Option<Tls>,
    /// Keep all keys below this prefix. Default: none.
    pub base: Option<String>,
    /// How long an entry lives that is written without an expiry of its own. Default: for ever.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// About how many keys the server looks at in one step of a listing, from 1 to 100,000. Default: as many as the
    /// page asks for, from 10 to 1,000.
    pub scan_count: Option<usize>,
    /// Some nodes of a Redis Cluster, from which the others are found: `HOST:PORT` or a URL each. Default: none; the
    /// server stands alone.
    pub cluster: Option<Vec<Node>>,
    /// The sentinels that know which server is the primary. Default: none.
    pub sentinel: Option<Sentinel>,
    /// How long an operation may take, connecting included. Default: 4 s, within the 5 s that an operation has when it
    /// is opened by configuration.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::optional_seconds")
    )]
    pub timeout: Option<Duration>,
    /// How long one attempt to connect may take. Default: 2 s.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::optional_seconds")
    )]
    pub connect_timeout: Option<Duration>,
    /// How many connections to each server, from 1 to 64; each serves any number of callers at once. Default: 1.
    pub connections: Option<usize>,
    /// Whether [`open`](crate::RedisDriver::open) waits for a connection, and fails without. Default: true.
    pub pre_connect: Option<bool>,
    /// How bytes are stored that are no text. Default: [`RawFormat::Binary`].
    pub raw_format: RawFormat,
    /// Which servers are read. Default: [`ReadFrom::Primary`].
    pub read_from: ReadFrom,
}

/// How values are stored that are not UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum RawFormat {
    /// As they are, as unstorage 2 stores them.
    #[default]
    Binary,
    /// As the text `base64:` with their base64, as unstorage 1 stores them; also a text that begins with `base64:`.
    Base64,
}

/// Which servers are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum ReadFrom {
    /// The primary.
    #[default]
    Primary,
    /// A replica where one serves; what it does not have is looked for at the primary. Wants `cluster` or `sentinel`.
    Replica,
}

/// TLS: whether, and whom to trust.
///
/// In configuration it is `true`, `false`, or a table of what follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default, deny_unknown_fields))]
pub struct TlsOptions {
    /// A file with the certificates, in PEM, of the authorities to trust. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// A file with the client's certificate and those that lead to its authority, in PEM; wants `key`.
    pub cert: Option<PathBuf>,
    /// A file with the key of the client's certificate, in PEM.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must have. Default: the host's.
    #[cfg_attr(feature = "config", serde(alias = "servername", alias = "serverName"))]
    pub server_name: Option<String>,
}

/// TLS, or none although the URL may say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain TCP.
    Off,
    /// TLS.
    On(TlsOptions),
}

/// A server to begin with: `HOST:PORT`, `HOST`, or a URL whose host and port are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(transparent))]
pub struct Node(pub String);

impl<T: Into<String>> From<T> for Node {
    fn from(address: T) -> Self {
        Self(address.into())
    }
}

/// The sentinels, and what they watch over.
#[derive(Clone, Default)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct Sentinel {
    /// The name by which the sentinels know the primary: `mymaster` in Redis's own examples.
    pub name: String,
    /// Some of the sentinels: `HOST:PORT` each, the port being 26379 where none is named.
    pub nodes: Vec<Node>,
    /// The ACL user at the sentinels, which may differ from the one at the servers. Default: `default`.
    #[cfg_attr(feature = "config", serde(default))]
    pub username: Option<String>,
    /// The password at the sentinels. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub password: Option<String>,
}

impl RedisOptions {
    /// The options of the server at `url`, with defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// Checks them, and joins what stands in the URL with what stands beside it.
    pub(crate) fn settle(self) -> Result<Settings, Error> {
        let mut url = match &self.url {
            Some(url) => Url::parse(url)?,
            None => Url::default(),
        };
        if self.host.is_some() || self.port.is_some() {
            let (host, port) = url.endpoint.tcp_or_default();
            url.endpoint = Endpoint::Tcp {
                host: self.host.unwrap_or(host),
                port: self.port.unwrap_or(port),
            };
        }
        let tls = match self.tls {
            Some(Tls::Off) => None,
            Some(Tls::On(tls)) => Some(tls),
            None => url.tls.then(TlsOptions::default),
        };
        let db = self.db.unwrap_or(url.db);
        let place = place(&self.cluster, self.sentinel, url.endpoint)?;
        if matches!(place, Place::Cluster(_)) && db != 0 {
            return Err(invalid(
                "a cluster has the database 0 alone; leave `db` out",
            ));
        }
        if matches!(place, Place::Alone(_)) && self.read_from == ReadFrom::Replica {
            return Err(invalid(
                "`read_from` can be `replica` with `cluster` or `sentinel` alone, which know the replicas",
            ));
        }
        let connections = self.connections.unwrap_or(1);
        if !(1..=64).contains(&connections) {
            return Err(invalid("`connections` must be from 1 to 64"));
        }
        if self
            .scan_count
            .is_some_and(|count| !(1..=100_000).contains(&count))
        {
            return Err(invalid("`scan_count` must be from 1 to 100000"));
        }
        let timeout = self.timeout.unwrap_or(Duration::from_secs(4));
        let connect_timeout = self.connect_timeout.unwrap_or(Duration::from_secs(2));
        for (name, time) in [("timeout", timeout), ("connect_timeout", connect_timeout)] {
            if !(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&time) {
                return Err(invalid(format!(
                    "`{name}` must be from a millisecond to a day"
                )));
            }
        }
        Ok(Settings {
            place,
            login: Login {
                username: self.username.or(url.username),
                password: self.password.or(url.password),
            },
            db,
            tls,
            base: self.base.unwrap_or_default(),
            ttl: self.ttl,
            scan_count: self.scan_count,
            timeout,
            connect_timeout,
            connections,
            pre_connect: self.pre_connect.unwrap_or(true),
            raw_format: self.raw_format,
            read_from: self.read_from,
        })
    }
}

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

fn place(
    cluster: &Option<Vec<Node>>,
    sentinel: Option<Sentinel>,
    alone: Endpoint,
) -> Result<Place, Error> {
    match (cluster, sentinel) {
        (Some(_), Some(_)) => Err(invalid("`cluster` and `sentinel` exclude each other")),
        (Some(nodes), None) => Ok(Place::Cluster(endpoints(nodes, DEFAULT_PORT, "cluster")?)),
        (None, Some(sentinel)) => {
            if sentinel.name.is_empty() {
                return Err(invalid(
                    "`sentinel.name` is empty; name what the sentinels watch over",
                ));
            }
            let nodes = endpoints(&sentinel.nodes, DEFAULT_SENTINEL_PORT, "sentinel.nodes")?;
            Ok(Place::Sentinels {
                nodes,
                name: sentinel.name,
                login: Login {
                    username: sentinel.username,
                    password: sentinel.password,
                },
            })
        }
        (None, None) => Ok(Place::Alone(alone)),
    }
}

fn endpoints(nodes: &[Node], port: u16, option: &str) -> Result<Vec<Endpoint>, Error> {
    if nodes.is_empty() {
        return Err(invalid(format!(
            "`{option}` is empty; name one server at least"
        )));
    }
    nodes
        .iter()
        .map(|node| Endpoint::parse(&node.0, port))
        .collect::<Option<_>>()
        .ok_or_else(|| invalid(format!("`{option}` must hold `HOST:PORT` or URLs")))
}

/// The options, checked and whole.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) place: Place,
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) base: String,
    pub(crate) ttl: Option<Duration>,
    pub(crate) scan_count: Option<usize>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) pre_connect: bool,
    pub(crate) raw_format: RawFormat,
    pub(crate) read_from: ReadFrom,
}

/// Where the servers are.
#[derive(Clone)]
pub(crate) enum Place {
    Alone(Endpoint),
    Sentinels {
        nodes: Vec<Endpoint>,
        name: String,
        login: Login,
    },
    Cluster(Vec<Endpoint>),
}

/// How a server lets us in.
#[derive(Clone, Default)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

/// Whether a secret is there, and not what it is.
fn hidden(secret: &Option<String>) -> Option<&'static str> {
    secret.as_ref().map(|_| "***")
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &hidden(&self.url))
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .field("password", &hidden(&self.password))
            .field("db", &self.db)
            .field("tls", &self.tls)
            .field("base", &self.base)
            .field("ttl", &self.ttl)
            .field("scan_count", &self.scan_count)
            .field("cluster", &self.cluster.as_ref().map(Vec::len))
            .field("sentinel", &self.sentinel)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("connections", &self.connections)
            .field("pre_connect", &self.pre_connect)
            .field("raw_format", &self.raw_format)
            .field("read_from", &self.read_from)
            .finish()
    }
}

impl fmt::Debug for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinel")
            .field("name", &self.name)
            .field("nodes", &self.nodes.len())
            .field("username", &self.username)
            .field("password", &hidden(&self.password))
            .finish()
    }
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
