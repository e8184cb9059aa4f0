//! A small demo shop with `session-kit`: a counter, a cart, and a login with flash messages.
//!
//! It is an example of how to use the library. `app.rs` adds the session layer, and each file in `pages` is one page.

mod app;
mod assets;
mod catalogue;
mod errors;
mod headers;
mod layout;
mod notice;
mod pages;
mod same_site;
mod sessions;
mod shutdown;
mod storage;
mod user;

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use session_kit::SessionLayer;
use storage::StorageArguments;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// A demo shop. A TOML file configures the session storage.
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// TOML file that configures the session storage. The default is a SQLite file in demo/data
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Address to listen on. Port 0 picks a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: String,

    #[command(flatten)]
    storage: StorageArguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
        )
        // With RUST_LOG=debug, each operation of the driver and how long it took.
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {}", errors::with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let sessions = sessions::open(arguments.config.as_deref()).await?;
    let served = serve(&arguments, &sessions).await;
    // Close even if serving failed, so that pending writes reach the driver.
    sessions.close(std::time::Duration::from_secs(10)).await?;
    served
}

async fn serve(arguments: &Arguments, sessions: &SessionLayer) -> Result<(), Box<dyn Error>> {
    let storage = arguments.storage.open(sessions).await?;
    let address = &arguments.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on `{address}` (option --listen): {error}"))?;
    // Register before printing that the server is ready, so that a signal after the message stops it.
    let stop = shutdown::requested()?;
    println!(
        "Demo: http://{} (sessions in {}). Press Ctrl-C to stop.",
        listener.local_addr()?,
        sessions
            .manager()
            .driver()
            .map_or("cookies", |driver| driver.name()),
    );
    let app = app::router(sessions.clone());
    let shop = shutdown::serve_until(stop, listener, app);
    let Some(storage) = storage else {
        return Ok(shop.await?);
    };
    let stop = shutdown::requested()?;
    println!("Storage: http://{}", storage.listener.local_addr()?);
    let served = shutdown::serve_until(stop, storage.listener, storage.app);
    tokio::try_join!(shop, served)?;
    Ok(())
}
