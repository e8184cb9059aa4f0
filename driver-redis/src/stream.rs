use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::io::InspectReader;

use crate::endpoint::Endpoint;
use crate::tls::TlsClient;

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

/// A stream to a server, encrypted or not.
pub(crate) type Stream = Pin<Box<dyn Duplex>>;

/// When a connection on which nothing happens is asked whether the other end is still there, and how often.
const IDLE: Duration = Duration::from_secs(15);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// Connects to `endpoint`. `heard` is set whenever something was read.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    tls: Option<&TlsClient>,
    heard: Arc<AtomicBool>,
) -> io::Result<Stream> {
    let listen = move |_: &[u8]| heard.store(true, Ordering::Relaxed);
    let (host, port) = match endpoint {
        Endpoint::Unix(path) => {
            let stream = connect_unix(path).await?;
            return Ok(Box::pin(InspectReader::new(stream, listen)));
        }
        Endpoint::Tcp { host, port } => (host, *port),
    };
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(IDLE)
        .with_interval(PROBE_INTERVAL)
        .with_retries(PROBES);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    let Some(tls) = tls else {
        return Ok(Box::pin(InspectReader::new(stream, listen)));
    };
    let name = tls.name_of(host)?;
    let stream = tls.connector().connect(name, stream).await?;
    Ok(Box::pin(InspectReader::new(stream, listen)))
}

#[cfg(unix)]
async fn connect_unix(path: &Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(not(unix))]
async fn connect_unix(_path: &Path) -> io::Result<TcpStream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "Unix sockets are not supported on this platform",
    ))
}
