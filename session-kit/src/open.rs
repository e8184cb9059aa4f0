//! Constructors from a configuration file.

use std::path::Path;

use session_core::Result;
use session_core::config::SessionConfig;
use session_core::session::SessionManager;
#[cfg(feature = "memory")]
use session_core::session::{SessionData, SessionStorage};

use crate::registry;

/// Creates a session manager from the TOML file at `path`, with a driver of this build or in the cookie.
///
/// Relative paths in the file are relative to its folder.
///
/// ```
/// use session_kit::{SessionStorage, create_session_storage, session_data};
///
/// session_data! {
///     struct Visitor {
///         count: u32 = 0,
///     }
/// }
///
/// async fn sessions() -> session_kit::Result<SessionStorage<Visitor>> {
///     Ok(create_session_storage(session_kit::open_manager("session.toml").await?))
/// }
/// ```
pub async fn open_manager(path: impl AsRef<Path> + Send) -> Result<SessionManager> {
    let config = SessionConfig::from_toml_file(path).await?;
    SessionManager::from_config(&config, &registry()).await
}

/// Creates a storage of sessions with the values of `D` in the memory of this process, with default settings.
#[cfg(feature = "memory")]
pub fn create_memory_session_storage<D: SessionData>() -> SessionStorage<D> {
    let driver = driver_memory::MemoryDriver::new();
    session_core::session::create_session_storage(SessionManager::new(driver))
}
