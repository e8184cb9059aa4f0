//! Opens the session layer from a configuration file or from the built-in configuration.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use session_kit::SessionLayer;
use session_kit::config::{ConfigContext, SessionConfig};

const BUILT_IN: &str = include_str!("../../examples/session.sqlite.toml");

/// Opens the session layer with the file at `path`, or with the built-in configuration.
pub(crate) async fn open(path: Option<&Path>) -> Result<SessionLayer, Box<dyn Error>> {
    if let Some(path) = path {
        return Ok(SessionLayer::from_toml(path).await?);
    }
    let folder = data_folder();
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot create the folder `{}`: {error}", folder.display()))?;
    let config = SessionConfig::from_toml_str(BUILT_IN)?.with_context(ConfigContext::new(folder));
    Ok(SessionLayer::from_config(&config).await?)
}

/// Returns `demo/data`, in the checkout under `cargo run`, otherwise in the current folder.
fn data_folder() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from("demo"), PathBuf::from)
        .join("data")
}
