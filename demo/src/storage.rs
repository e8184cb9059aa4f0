use std::error::Error;
use std::sync::Arc;

use axum::Router;
use clap::Args;
use session_kit::SessionLayer;
use session_kit::server::{Authorization, Storage, StorageService};
use tokio::net::TcpListener;

/// The environment variable with the token of the storage.
const TOKEN: &str = "STORAGE_TOKEN";

/// Whether, where and to whom what the sessions are kept in is served.
#[derive(Args)]
pub(crate) struct StorageArguments {
    /// Also serve what the sessions are kept in, by the HTTP protocol of unstorage, to those who send the token in
    /// the environment variable STORAGE_TOKEN; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    serve_storage: Option<String>,

    /// Serve it to everyone who reaches that address, without a token: they see and change every session
    #[arg(long, requires = "serve_storage")]
    open_storage: bool,
}

/// What serves the storage, and where.
pub(crate) struct StorageServer {
    pub(crate) listener: TcpListener,
    pub(crate) app: Router,
}

impl StorageArguments {
    /// Listens, if it is asked for.
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
        let authorization = self.authorization()?;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            format!("cannot listen on `{address}` (option --serve-storage): {error}")
        })?;
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
                "{TOKEN} is set and --open-storage is given; it is one or the other"
            )
            .into()),
            (Err(_), false) => Err(format!(
                "--serve-storage needs a token in {TOKEN}, or --open-storage for everyone"
            )
            .into()),
        }
    }
}
