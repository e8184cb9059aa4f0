//! The options of the driver, from code or from configuration.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
#[cfg(feature = "config")]
use session_core::config::durations;
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Prefix};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Options of the driver, all of which have defaults.
///
/// ```
/// use driver_postgres::PostgresOptions;
///
/// let options = PostgresOptions::new("postgres://app@db.example.com/app")
///     .with_password("secret")
///     .with_prefix("sessions");
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase.
/// Times are in seconds there, and `sweep_interval` may be `"never"`.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize), serde(default))]
pub struct PostgresOptions {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`. What it leaves out comes from where other programs for
    /// PostgreSQL find it: `PGHOST`, `PGPASSWORD` and the like, and the password file. Default: all of it.
    pub url: Option<SecretString>,
    /// The password, in place of the one in `url`.
    pub password: Option<SecretString>,
    /// What the table is like. Default: [`Layout::Unstorage`].
    pub layout: Layout,
    /// The table: lower-case letters, digits and `_`, with its schema and a dot before it if it is not on the search
    /// path. Default: `unstorage`, or `session_entries` for [`Layout::Bytes`].
    pub table: Option<String>,
    /// Whether opening creates the table or completes it with the driver's columns, index and triggers. If not, the
    /// statements of [`schema_sql`](Self::schema_sql) must have been run. Default: true.
    pub migrate: bool,
    /// Keeps all keys below this prefix. Configuration also accepts `base`, as unstorage calls it. Default: none.
    #[cfg_attr(feature = "config", serde(alias = "base"))]
    pub prefix: Option<String>,
    /// How long an entry lives that is written without an expiry of its own. Default: forever.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// How many connections at most, from 3 to 256. Default: 8.
    pub pool_size: u32,
    /// Whether a pooler stands in between that gives each transaction another connection of the server, such as
    /// PgBouncer with `pool_mode = transaction`. Each operation is then a transaction, and nothing is prepared by name.
    /// Default: false.
    pub pooler: bool,
    /// How a near-cache listens: the URL of the same database past the pooler. Default: `url`. With [`pooler`](Self::pooler)
    /// there is no near-cache without it.
    pub listen_url: Option<SecretString>,
    /// How long an operation may take. A clear may take 10 minutes. Default: 5 s.
    #[cfg_attr(feature = "config", serde(deserialize_with = "durations::seconds"))]
    pub timeout: Duration,
    /// How often expired entries are removed. `None` removes none. Default: every minute.
    #[cfg_attr(feature = "config", serde(deserialize_with = "durations::lifetime"))]
    pub sweep_interval: Option<Duration>,
}

/// What the table is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum Layout {
    /// The table of unstorage's `db0` driver, which Astro uses too. A key has at most 255 characters, none of them NUL.
    #[default]
    Unstorage,
    /// A table whose keys and values are bytes, for which there is no other reader.
    Bytes,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            url: None,
            password: None,
            layout: Layout::default(),
            table: None,
            migrate: true,
            prefix: None,
            ttl: None,
            pool_size: 8,
            pooler: false,
            listen_url: None,
            timeout: DEFAULT_TIMEOUT,
            sweep_interval: Some(Duration::from_secs(60)),
        }
    }
}

impl PostgresOptions {
    /// The options of the server at `url`, with defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into().into()),
            ..Self::default()
        }
    }

    /// Sets the [`password`](Self::password).
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into().into());
        self
    }

    /// Sets the [`layout`](Self::layout).
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets the [`table`](Self::table).
    #[must_use]
    pub fn with_table(mut self, table: impl Into<String>) -> Self {
        self.table = Some(table.into());
        self
    }

    /// Sets [`migrate`](Self::migrate).
    #[must_use]
    pub fn with_migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Sets the [`prefix`](Self::prefix).
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sets the [`ttl`](Self::ttl).
    #[must_use]
    pub fn with_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Sets the [`pool_size`](Self::pool_size).
    #[must_use]
    pub fn with_pool_size(mut self, pool_size: u32) -> Self {
        self.pool_size = pool_size;
        self
    }

    /// Sets [`pooler`](Self::pooler).
    #[must_use]
    pub fn with_pooler(mut self, pooler: bool) -> Self {
        self.pooler = pooler;
        self
    }

    /// Sets the [`listen_url`](Self::listen_url).
    #[must_use]
    pub fn with_listen_url(mut self, url: impl Into<String>) -> Self {
        self.listen_url = Some(url.into().into());
        self
    }

    /// Sets the [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the [`sweep_interval`](Self::sweep_interval).
    #[must_use]
    pub fn with_sweep_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.sweep_interval = interval.into();
        self
    }

    /// The statements that create the table, or complete it with what the driver needs. They can be run again.
    ///
    /// ```
    /// use driver_postgres::PostgresOptions;
    ///
    /// let sql = PostgresOptions::default().schema_sql()?;
    /// assert!(sql.contains("CREATE TABLE IF NOT EXISTS \"unstorage\""));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// Run them in one transaction. They are for a migration by hand, beside `migrate = false`. An index on a large table
    /// blocks its writers while it is built; `CREATE INDEX CONCURRENTLY` under the same name beforehand does not.
    pub fn schema_sql(&self) -> Result<String, Error> {
        Ok(crate::schema::sql(&self.table_name()?, self.layout))
    }

    /// The statements that make the table notify of changes, which a near-cache needs. They can be run again.
    ///
    /// ```
    /// use driver_postgres::PostgresOptions;
    ///
    /// let sql = PostgresOptions::default().invalidation_sql()?;
    /// assert!(sql.contains("\"unstorage_changed\""));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// With [`migrate`](Self::migrate) they are run when a near-cache is first opened. Afterwards every change of a row
    /// notifies, also when no near-cache is in use. To end that, drop the two triggers.
    pub fn invalidation_sql(&self) -> Result<String, Error> {
        Ok(crate::schema::notifying_sql(
            &self.table_name()?,
            self.layout,
        ))
    }

    pub(crate) fn parsed_prefix(&self) -> Result<Prefix, Error> {
        Prefix::from_option(self.prefix.as_deref().unwrap_or_default())
    }

    pub(crate) fn table_name(&self) -> Result<TableName, Error> {
        TableName::new(match (&self.table, self.layout) {
            (Some(table), _) => table,
            (None, Layout::Unstorage) => "unstorage",
            (None, Layout::Bytes) => "session_entries",
        })
    }

    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        if !(3..=256).contains(&self.pool_size) {
            return Err(invalid("`pool_size` must be from 3 to 256"));
        }
        if self.timeout < Duration::from_millis(1) || self.timeout > DAY {
            return Err(invalid("`timeout` must be from a millisecond to a day"));
        }
        if self
            .sweep_interval
            .is_some_and(|interval| interval.is_zero())
        {
            return Err(invalid("`sweep_interval` must be above zero"));
        }
        self.table_name()?;
        self.parsed_prefix()?;
        Ok(())
    }

    /// How to connect. A server on another machine must prove who it is, unless the URL or the environment says otherwise.
    pub(crate) fn connect_options(&self) -> Result<PgConnectOptions, Error> {
        self.connect_options_of(self.url.as_ref())
    }

    /// How a near-cache listens, if `listen_url` says so.
    pub(crate) fn listen_options(&self) -> Result<Option<PgConnectOptions>, Error> {
        let url = self.listen_url.as_ref();
        url.map(|url| self.connect_options_of(Some(url)))
            .transpose()
    }

    fn connect_options_of(&self, url: Option<&SecretString>) -> Result<PgConnectOptions, Error> {
        let url = url.map(SecretString::expose_secret);
        let is_ours =
            |url: &&str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        let mut options = match url {
            // The error of the parser is left out, since the URL has a password.
            Some(url) => Some(url)
                .filter(is_ours)
                .and_then(|url| PgConnectOptions::from_str(url).ok())
                .ok_or_else(|| {
                    invalid(
                        "`url` must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, and so must `listen_url`; special \
                         characters in a password must be percent-encoded",
                    )
                })?,
            None => PgConnectOptions::new(),
        };
        if let Some(password) = &self.password {
            options = options.password(password.expose_secret());
        }
        let query = url
            .and_then(|url| url.split_once('?'))
            .map(|(_, query)| query);
        let is_told = query
            .is_some_and(|query| query.contains("sslmode=") || query.contains("ssl-mode="))
            || std::env::var_os("PGSSLMODE").is_some();
        if !is_told && !is_local(&options) {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        options = match self.pooler {
            // What a pooler does not know at the start of a connection, it refuses.
            true => options.statement_cache_capacity(0).extra_float_digits(None),
            false => options.options([
                ("statement_timeout", self.timeout.as_millis().to_string()),
                // Planning a statement for each of its values takes longer than running it. The plan that serves all of
                // them must not be one that was best while the table was small.
                ("plan_cache_mode", "force_generic_plan".to_owned()),
                ("enable_seqscan", "off".to_owned()),
            ]),
        };
        Ok(options.disable_statement_logging())
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    options.get_socket().is_some()
        || host == "localhost"
        || host.starts_with('/')
        || address.is_ok_and(|address| address.is_loopback())
}

/// The name of a table, checked to be safe within SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    schema: Option<String>,
    name: String,
}

impl TableName {
    fn new(text: &str) -> Result<Self, Error> {
        // PostgreSQL cuts names after 63 bytes, and those of the index and triggers begin with this one.
        const LONGEST: usize = 40;
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        let is_name = |name: &str| {
            let is_letter = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
            (1..=LONGEST).contains(&name.len())
                && name.chars().all(is_letter)
                && !name.starts_with(|first: char| first.is_ascii_digit())
        };
        if !is_name(name) || !schema.is_none_or(is_name) {
            return Err(invalid(
                "`table` must consist of lower-case letters, digits and `_`, not begin with a digit, and have at most 40 \
                 characters; a schema and a dot may precede it",
            ));
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// The name without its schema.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The channel of its notifications. Another table of the same name in another schema shares it, which does no harm.
    pub(crate) fn channel(&self) -> String {
        format!("{}_changed", self.name)
    }

    /// The name as it is written in SQL, with `suffix`.
    pub(crate) fn quoted(&self, suffix: &str) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{}{suffix}\"", self.name),
            None => format!("\"{}{suffix}\"", self.name),
        }
    }
}

pub(crate) fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Error, async_trait};

    use super::PostgresOptions;
    use crate::PostgresDriver;

    #[async_trait]
    impl DriverOptions for PostgresOptions {
        async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>, Error> {
            Ok(Arc::new(PostgresDriver::open(self).await?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> PgSslMode {
        let options = PostgresOptions::new(url).connect_options().unwrap();
        options.get_ssl_mode()
    }

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is_unless_the_url_says_otherwise() {
        let is_full = |url| matches!(mode(url), PgSslMode::VerifyFull);
        assert!(is_full("postgres://app@db.example.com/app"));
        assert!(is_full("postgres://app@10.1.2.3/app"));
        for told in [
            "postgres://app@db.example.com/app?sslmode=disable",
            "postgres://app@localhost/app",
            "postgres://app@127.0.0.1:5433/app",
            "postgres://app@[::1]/app",
            "postgres://app@%2Frun%2Fpostgresql/app",
        ] {
            assert!(!is_full(told), "{told}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let wrong = PostgresOptions::new("postgres://app:hush@host:port/db").with_password("hush");
        let error = wrong.connect_options().unwrap_err();
        assert!(
            !format!("{error:?} {wrong:?}").contains("hush"),
            "{error:?}"
        );
    }

    #[test]
    fn a_table_is_a_name_with_or_without_a_schema() {
        let quoted = |table: &str| {
            let options = PostgresOptions::default().with_table(table);
            options.table_name().map(|table| table.quoted("_x"))
        };
        assert_eq!(quoted("app.sessions").unwrap(), "\"app\".\"sessions_x\"");
        assert_eq!(quoted("order").unwrap(), "\"order_x\"");
        for wrong in [
            "",
            "a.b.c",
            "1a",
            "Sessions",
            "a b",
            "a\"",
            "ä",
            &"a".repeat(41),
        ] {
            assert!(quoted(wrong).is_err(), "{wrong}");
        }
    }
}
