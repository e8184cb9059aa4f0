use std::env;
use std::path::{Path, PathBuf};

use session_kit::config::{OpenContext, SessionConfig};

const BUILT_IN: &str = include_str!("../../examples/session.sqlite.toml");

/// What the file at `path` says of sessions, or else the built-in configuration.
pub(crate) async fn sessions(
    path: Option<&Path>,
) -> Result<SessionConfig, Box<dyn std::error::Error>> {
    if let Some(path) = path {
        return Ok(SessionConfig::from_toml_file(path).await?);
    }
    let folder = data_folder();
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make the folder `{}`: {error}", folder.display()))?;
    Ok(SessionConfig::from_toml_str(BUILT_IN)?.with_context(OpenContext::new(folder)))
}

/// `demo/data`, in the checkout that `cargo run` runs in, or else below the current folder.
fn data_folder() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from("demo"), PathBuf::from)
        .join("data")
}
