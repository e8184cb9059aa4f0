//! The context that a driver is opened in: the base folder and the environment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder for relative paths, and the source of environment variables.
///
/// ```
/// use session_core::config::ConfigContext;
/// use std::path::Path;
///
/// let context = ConfigContext::new("/etc/app").with_environment(|name| {
///     (name == "TOKEN").then(|| "secret".to_owned())
/// });
/// assert_eq!(context.resolve("sessions.db"), Path::new("/etc/app/sessions.db"));
/// assert_eq!(context.variable("TOKEN").as_deref(), Some("secret"));
/// ```
///
/// The default is the current folder and the environment of the process.
#[derive(Clone, Default)]
pub struct ConfigContext {
    folder: PathBuf,
    environment: Option<Arc<Environment>>,
}

type Environment = dyn Fn(&str) -> Option<String> + Send + Sync;

impl ConfigContext {
    /// Creates a context in which relative paths are relative to `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            environment: None,
        }
    }

    /// Looks up variables with `lookup` instead of in the environment of the process.
    #[must_use]
    pub fn with_environment(
        mut self,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.environment = Some(Arc::new(lookup));
        self
    }

    /// Resolves `path` relative to the folder. An absolute path is unchanged.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// Returns the value of an environment variable; `None` if it is not set or is not Unicode.
    pub fn variable(&self, name: &str) -> Option<String> {
        match &self.environment {
            Some(lookup) => lookup(name),
            None => std::env::var(name).ok(),
        }
    }
}

impl fmt::Debug for ConfigContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigContext")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
