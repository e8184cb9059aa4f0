use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
#[cfg(feature = "config")]
use session_core::config::durations;
use session_core::{Error, ErrorKind, Prefix};

use crate::endpoint::{Endpoint, Url};

/// The port of Redis, where none is named.
pub(crate) const DEFAULT_PORT: u16 = 6379;

/// The port of a sentinel, where none is named.
const DEFAULT_SENTINEL_PORT: u16 = 26379;

/// Options of the driver. Each has a default, and a URL alone is enough.
///
/// ```
/// use driver_redis::RedisOptions;
/// use std::time::Duration;
///
/// let options = RedisOptions::new("rediss://app:secret@redis.example:6380/2")
///     .with_prefix("sessions")
///     .with_ttl(Duration::from_secs(3_600));
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase. Durations
/// are in seconds there. Names are those of unstorage and of ioredis, where they have one.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
#[non_exhaustive]
pub struct RedisOptions {
    /// `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://` for TLS, or `unix:///PATH?db=DB` for a Unix socket. `valkey://`
    /// and `valkeys://` are the same as `redis://` and `rediss://`. Other options override its parts. Default: none.
    pub url: Option<SecretString>,
    /// The server's name or address. Default: `127.0.0.1`.
    pub host: Option<String>,
    /// The server's port. Default: 6379.
    pub port: Option<u16>,
    /// The ACL user. Default: the server's `default`.
    pub username: Option<String>,
    /// The password. Default: none.
    pub password: Option<SecretString>,
    /// The number of the database. A cluster has only 0. Default: 0.
    pub db: Option<u32>,
    /// Whether to use TLS, and which certificates to trust. Default: as the URL says, else no TLS.
    pub tls: Option<Tls>,
    /// Keep all keys below this prefix; unstorage's name `base` is accepted too. Default: none.
    #[cfg_attr(feature = "config", serde(alias = "base"))]
    pub prefix: Option<String>,
    /// How long an entry lives that is written without an expiry of its own. Default: for ever.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// About how many keys the server looks at in one step of a listing, from 1 to 100,000. Default: the page's limit,
    /// from 10 to 1,000.
    pub scan_count: Option<usize>,
    /// Some nodes of a Redis Cluster, from which the others are found: `HOST:PORT` or a URL each. Default: none, so that
    /// the server is standalone.
    pub cluster: Option<Vec<Node>>,
    /// The sentinels that know which server is the primary. Default: none.
    pub sentinel: Option<Sentinel>,
    /// How long an operation may take, connecting included. Default: 4 s, within the 5 s that an operation has when the
    /// driver is opened by configuration.
    #[cfg_attr(feature = "config", serde(deserialize_with = "durations::seconds"))]
    pub timeout: Duration,
    /// How long one attempt to connect may take. Default: 2 s.
    #[cfg_attr(feature = "config", serde(deserialize_with = "durations::seconds"))]
    pub connect_timeout: Duration,
    /// How many connections to each server, from 1 to 64. Each serves any number of callers at once. Default: 1.
    pub connections: usize,
    /// Whether [`open`](crate::RedisDriver::open) waits for a connection, and fails without one. Default: true.
    pub pre_connect: bool,
    /// How bytes that are not UTF-8 are stored. Default: [`RawFormat::Binary`].
    pub raw_format: RawFormat,
    /// Which servers are read. Default: [`ReadFrom::Primary`].
    pub read_from: ReadFrom,
}

/// How values that are not UTF-8 are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum RawFormat {
    /// As raw bytes, as unstorage 2 stores them.
    #[default]
    Binary,
    /// As `base64:` followed by the base64 of the bytes, as unstorage 1 stores them. Text that begins with `base64:` is
    /// encoded as well.
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
    /// A replica, if one is available. A miss is confirmed on the primary. It requires `cluster` or `sentinel`.
    Replica,
}

/// Which certificates to trust, and which one to present.
///
/// In configuration, `tls` is `true`, `false`, or a table of these options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct TlsOptions {
    /// A PEM file with the certificate authorities to trust. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// A PEM file with the client's certificate chain. It requires `key`.
    pub cert: Option<PathBuf>,
    /// A PEM file with the key of the client's certificate.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must have. Default: the host.
    #[cfg_attr(feature = "config", serde(alias = "servername", alias = "serverName"))]
    pub server_name: Option<String>,
}

impl TlsOptions {
    /// The authorities of the system, and no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts only the certificate authorities in this PEM file.
    #[must_use]
    pub fn with_ca(mut self, ca: impl Into<PathBuf>) -> Self {
        self.ca = Some(ca.into());
        self
    }

    /// Presents the client certificate in the PEM file `cert`, whose key is in the PEM file `key`.
    #[must_use]
    pub fn with_client_certificate(
        mut self,
        cert: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.cert = Some(cert.into());
        self.key = Some(key.into());
        self
    }

    /// Sets the name that the server's certificate must have.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

/// Whether to use TLS, whatever the URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain TCP.
    Off,
    /// TLS.
    On(TlsOptions),
}

/// The address of a server: `HOST:PORT`, `HOST`, or a URL of which only host and port are used.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(transparent))]
pub struct Node(pub String);

impl<T: Into<String>> From<T> for Node {
    fn from(address: T) -> Self {
        Self(address.into())
    }
}

/// Shows the host and the port alone, since a URL may hold a password.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Endpoint::parse(&self.0, DEFAULT_PORT) {
            Some(endpoint) => endpoint.fmt(f),
            None => f.write_str("(invalid address)"),
        }
    }
}

/// The sentinels, and the name of the primary that they monitor.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[non_exhaustive]
pub struct Sentinel {
    /// The name by which the sentinels know the primary: `mymaster` in Redis's own examples.
    pub name: String,
    /// Some of the sentinels: `HOST:PORT` each. The default port is 26379.
    pub nodes: Vec<Node>,
    /// The ACL user at the sentinels, which may differ from the one at the servers. Default: `default`.
    #[cfg_attr(feature = "config", serde(default))]
    pub username: Option<String>,
    /// The password at the sentinels. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub password: Option<SecretString>,
}

impl Sentinel {
    /// The sentinels at `nodes`, which monitor the primary under `name`.
    pub fn new<N: Into<Node>>(name: impl Into<String>, nodes: impl IntoIterator<Item = N>) -> Self {
        Self {
            name: name.into(),
            nodes: nodes.into_iter().map(Into::into).collect(),
            username: None,
            password: None,
        }
    }

    /// Sets the ACL user at the sentinels.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the password at the sentinels.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<SecretString>) -> Self {
        self.password = Some(password.into());
        self
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            username: None,
            password: None,
            db: None,
            tls: None,
            prefix: None,
            ttl: None,
            scan_count: None,
            cluster: None,
            sentinel: None,
            timeout: Duration::from_secs(4),
            connect_timeout: Duration::from_secs(2),
            connections: 1,
            pre_connect: true,
            raw_format: RawFormat::default(),
            read_from: ReadFrom::default(),
        }
    }
}

impl RedisOptions {
    /// The options of the server at `url`, with defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into().into()),
            ..Self::default()
        }
    }

    /// The options of a Redis Cluster, of which `nodes` are some nodes.
    pub fn cluster<N: Into<Node>>(nodes: impl IntoIterator<Item = N>) -> Self {
        Self {
            cluster: Some(nodes.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }

    /// The options of a primary that sentinels monitor.
    pub fn sentinel(sentinel: Sentinel) -> Self {
        Self {
            sentinel: Some(sentinel),
            ..Self::default()
        }
    }

    /// Sets the server's name or address.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the server's port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the ACL user.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<SecretString>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets the number of the database.
    #[must_use]
    pub fn with_db(mut self, db: u32) -> Self {
        self.db = Some(db);
        self
    }

    /// Sets whether to use TLS, and which certificates to trust.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Keeps all keys below `prefix`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sets how long an entry lives that is written without an expiry of its own.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets about how many keys the server looks at in one step of a listing.
    #[must_use]
    pub fn with_scan_count(mut self, count: usize) -> Self {
        self.scan_count = Some(count);
        self
    }

    /// Sets how long an operation may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long one attempt to connect may take.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the number of connections to each server.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets whether opening waits for a connection.
    #[must_use]
    pub fn with_pre_connect(mut self, pre_connect: bool) -> Self {
        self.pre_connect = pre_connect;
        self
    }

    /// Sets how bytes that are not UTF-8 are stored.
    #[must_use]
    pub fn with_raw_format(mut self, format: RawFormat) -> Self {
        self.raw_format = format;
        self
    }

    /// Sets which servers are read.
    #[must_use]
    pub fn with_read_from(mut self, read_from: ReadFrom) -> Self {
        self.read_from = read_from;
        self
    }

    /// Validates the options, and merges the URL with the options that override its parts.
    pub(crate) fn validate(self) -> Result<Settings, Error> {
        let mut url = match &self.url {
            Some(url) => Url::parse(url.expose_secret())?,
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
        let topology = topology(&self.cluster, self.sentinel, url.endpoint)?;
        if matches!(topology, Topology::Cluster(_)) && db != 0 {
            return Err(invalid("a cluster has only database 0; remove `db`"));
        }
        if matches!(topology, Topology::Standalone(_)) && self.read_from == ReadFrom::Replica {
            return Err(invalid(
                "`read_from = \"replica\"` requires `cluster` or `sentinel`",
            ));
        }
        if !(1..=64).contains(&self.connections) {
            return Err(invalid("`connections` must be from 1 to 64"));
        }
        if self
            .scan_count
            .is_some_and(|count| !(1..=100_000).contains(&count))
        {
            return Err(invalid("`scan_count` must be from 1 to 100000"));
        }
        let timeouts = [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
        ];
        for (name, time) in timeouts {
            if !(SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&time) {
                return Err(invalid(format!(
                    "`{name}` must be from a millisecond to a day"
                )));
            }
        }
        Ok(Settings {
            topology,
            login: Login {
                username: self.username.or(url.username),
                password: self.password.or(url.password.map(Into::into)),
            },
            db,
            tls,
            prefix: Prefix::from_option(self.prefix.as_deref().unwrap_or_default())?,
            ttl: self.ttl,
            scan_count: self.scan_count,
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            connections: self.connections,
            pre_connect: self.pre_connect,
            raw_format: self.raw_format,
            read_from: self.read_from,
        })
    }
}

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

fn topology(
    cluster: &Option<Vec<Node>>,
    sentinel: Option<Sentinel>,
    standalone: Endpoint,
) -> Result<Topology, Error> {
    match (cluster, sentinel) {
        (Some(_), Some(_)) => Err(invalid("give either `cluster` or `sentinel`, not both")),
        (Some(nodes), None) => Ok(Topology::Cluster(endpoints(
            nodes,
            DEFAULT_PORT,
            "cluster",
        )?)),
        (None, Some(sentinel)) => {
            if sentinel.name.is_empty() {
                return Err(invalid(
                    "`sentinel.name` is empty; give the name under which the sentinels know the primary",
                ));
            }
            let nodes = endpoints(&sentinel.nodes, DEFAULT_SENTINEL_PORT, "sentinel.nodes")?;
            Ok(Topology::Sentinels {
                nodes,
                name: sentinel.name,
                login: Login {
                    username: sentinel.username,
                    password: sentinel.password,
                },
            })
        }
        (None, None) => Ok(Topology::Standalone(standalone)),
    }
}

fn endpoints(nodes: &[Node], port: u16, option: &str) -> Result<Vec<Endpoint>, Error> {
    if nodes.is_empty() {
        return Err(invalid(format!(
            "`{option}` is empty; give at least one address"
        )));
    }
    nodes
        .iter()
        .map(|node| Endpoint::parse(&node.0, port))
        .collect::<Option<_>>()
        .ok_or_else(|| invalid(format!("`{option}` must hold `HOST:PORT` or URLs")))
}

/// The validated options.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) topology: Topology,
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) tls: Option<TlsOptions>,
    pub(crate) prefix: Prefix,
    pub(crate) ttl: Option<Duration>,
    pub(crate) scan_count: Option<usize>,
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) pre_connect: bool,
    pub(crate) raw_format: RawFormat,
    pub(crate) read_from: ReadFrom,
}

/// How the servers are found.
#[derive(Clone)]
pub(crate) enum Topology {
    Standalone(Endpoint),
    Sentinels {
        nodes: Vec<Endpoint>,
        name: String,
        login: Login,
    },
    Cluster(Vec<Endpoint>),
}

/// The credentials for a server.
#[derive(Clone, Default)]
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
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

    #[test]
    fn debug_shows_no_secret() {
        let sentinel = Sentinel::new("main", ["redis://:hush@h:26379"]).with_password("hush");
        let options = RedisOptions::new("redis://:hush@h").with_password("hush");
        let options = RedisOptions {
            sentinel: Some(sentinel),
            cluster: Some(vec!["redis://:hush@h:7000".into(), "hush@h:x".into()]),
            ..options
        };
        let text = format!("{options:?}");
        assert!(!text.contains("hush") && text.contains("7000"), "{text}");
    }

    #[test]
    fn a_prefix_that_would_mean_another_is_refused() {
        for prefix in ["..", "?", "a?b", "/a"] {
            let options = RedisOptions::default().with_prefix(prefix);
            let error = options.validate().err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{prefix}");
        }
    }
}
