use serde::Deserialize;

use super::Seconds;
use super::problem::Problem;
use super::typed;
use super::value::Value;

/// The session's cookie as it is configured; what is `None` has the default of the session layer.
///
/// It is plain data: whether the name is a token and whether the attributes go together is checked where
/// the cookie is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CookieConfig {
    /// Name.
    pub name: Option<String>,
    /// Domain; the host that answered, if `None`.
    pub domain: Option<String>,
    /// Path.
    pub path: Option<String>,
    /// How long the browser keeps it; as long as it runs, if `None`.
    pub max_age: Option<Seconds>,
    /// Which requests from other sites carry it.
    pub same_site: Option<SameSiteConfig>,
    /// Whether it travels over HTTPS only.
    pub secure: Option<bool>,
    /// Whether it is kept apart for each top-level site.
    pub partitioned: Option<bool>,
}

/// Which requests from other sites carry the cookie: `"strict"`, `"lax"` or `"none"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSiteConfig {
    /// None.
    Strict,
    /// Those that follow a link.
    Lax,
    /// All; the cookie must be secure.
    None,
}

impl CookieConfig {
    /// Reads it from a name or a table.
    pub(super) fn from_value(value: Value) -> Result<Self, Problem> {
        match value {
            Value::Text(name) => Ok(Self {
                name: Some(name),
                ..Self::default()
            }),
            Value::Table(table) => typed::from_table(table),
            other => Err(Problem::wrong(other.kind(), "a name or a table")),
        }
    }
}
