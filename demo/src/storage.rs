use std::error::Error;
use std::sync::Arc;

use axum::Router;
use clap::Args;
use session_kit::SessionLayer;
use session_kit::server::{Authorization, Storage, StorageService};
use tokio::net::TcpListener;

/// The environment variable with the token for the storage.
const TOKEN: &str = "STORAGE_TOKEN";

/// Options for serving the session storage.
#[derive(Args)]
pub(crate) struct StorageArguments {
    /// Also serve the session storage on this address, with the HTTP protocol of unstorage. Clients must send the token
    /// in the environment variable STORAGE_TOKEN. Port 0 picks a free port
    #[arg(long, value_name = "ADDRESS")]
    serve_storage: Option<String>,

    /// Serve the session storage without a token: everyone who can reach the address can read and change all sessions
    #[arg(long, requires = "serve_storage")]
    open_storage: bool,
}

/// The listener and the routes that serve the storage.
pub(crate) struct StorageServer {
    pub(crate) listener: TcpListener,
    pub(crate) app: Router,
}

impl StorageArguments {
    /// Starts to listen, if an address is given.
    pub(crate) async fn open(
        &self,
        sessions: &SessionLayer,
    ) -> Result<Option<StorageServer>, Box<dyn Error>> {
        let Some(address) = &self.serve_storage else {
            return Ok(None);
        };
        let driver = sessions.manager().driver().ok_or(
            "--serve-storage serves the driver that sessions are kept in, and these are kept in cookies",
        )?;
        let mut authorization = self.authorization()?;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            format!("cannot listen on `{address}` (option --serve-storage): {error}")
        })?;
        if self.open_storage && !listener.local_addr()?.ip().is_loopback() {
            authorization = Authorization::open_to_everyone();
        }
        let storage = Storage::new(Arc::clone(driver));
        let service = StorageService::new(storage, authorization);
        let app = Router::new().fallback_service(service);
        Ok(Some(StorageServer { listener, app }))
    }

    fn authorization(&self) -> Result<Authorization, Box<dyn Error>> {
        match (std::env::var(TOKEN), self.open_storage) {
            (Ok(token), false) => Ok(Authorization::token(token)?),
            (Err(_), true) => Ok(Authorization::open()),
            (Ok(_), true) => Err(format!(
                "{TOKEN} is set and --open-storage is given; use only one of them"
            )
            .into()),
            (Err(_), false) => Err(format!(
                "--serve-storage needs a token in {TOKEN}, or --open-storage to allow everyone"
            )
            .into()),
        }
    }
}
