use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
#[cfg(feature = "config")]
use session_core::config::durations;

use crate::address::Address;

/// Defines setters of options.
macro_rules! setters {
    ($($setter:ident($field:ident: $type:ty) = $value:expr;)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $setter(mut self, $field: $type) -> Self {
            self.$field = $value;
            self
        }
    )*};
}

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
#[cfg_attr(feature = "config", derive(serde::Deserialize), serde(default))]
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
    /// Whether to use TLS, and which certificates to trust. Default: as the URLs say, else no TLS.
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

    setters! {
        with_host(host: impl Into<String>) = Some(host.into());
        with_port(port: u16) = Some(port);
        with_username(username: impl Into<String>) = Some(username.into());
        with_password(password: impl Into<SecretString>) = Some(password.into());
        with_db(db: u32) = Some(db);
        with_tls(tls: Tls) = Some(tls);
        with_prefix(prefix: impl Into<String>) = Some(prefix.into());
        with_ttl(ttl: Duration) = Some(ttl);
        with_scan_count(scan_count: usize) = Some(scan_count);
        with_timeout(timeout: Duration) = timeout;
        with_connect_timeout(connect_timeout: Duration) = connect_timeout;
        with_connections(connections: usize) = connections;
        with_pre_connect(pre_connect: bool) = pre_connect;
        with_raw_format(raw_format: RawFormat) = raw_format;
        with_read_from(read_from: ReadFrom) = read_from;
    }
}

/// How values that are not UTF-8 are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Deserialize),
    serde(rename_all = "lowercase")
)]
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
#[cfg_attr(
    feature = "config",
    derive(serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum ReadFrom {
    /// The primary.
    #[default]
    Primary,
    /// A replica, if one is available. A miss is confirmed on the primary. It requires `cluster` or `sentinel`.
    Replica,
}

/// Whether to use TLS, whatever the URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain TCP.
    Off,
    /// TLS.
    On(TlsOptions),
}

/// Which certificates to trust, and which one to present.
///
/// In configuration, `tls` is `true`, `false`, or a table of these options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
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

    setters! {
        with_ca(ca: impl Into<PathBuf>) = Some(ca.into());
        with_server_name(server_name: impl Into<String>) = Some(server_name.into());
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
}

/// The address of a server: `HOST:PORT`, `HOST`, or a URL, whose scheme and credentials count.
///
/// Nodes whose URLs differ in the scheme or in the credentials are an error.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize), serde(transparent))]
pub struct Node(pub String);

impl<T: Into<String>> From<T> for Node {
    fn from(address: T) -> Self {
        Self(address.into())
    }
}

/// Shows the host and the port alone, since a URL may hold a password.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Address::parse(&self.0, crate::settings::DEFAULT_PORT) {
            Some(address) => address.endpoint.fmt(f),
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
    /// Some of the sentinels: `HOST:PORT` or a URL each. The default port is 26379.
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

    setters! {
        with_username(username: impl Into<String>) = Some(username.into());
        with_password(password: impl Into<SecretString>) = Some(password.into());
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
}
