//! The stream below a connection of the `redis` crate, and a limit for what a server may send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::address::Endpoint;
use crate::connection::Silence;
use crate::tls::TlsClient;

/// When a connection on which nothing happens is probed, and how often.
const IDLE: Duration = Duration::from_secs(15);
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Duplex for S {}

/// A stream to a server, encrypted or not, that ends with an error when a reply is too large.
pub(crate) struct Stream {
    inner: Pin<Box<dyn Duplex>>,
    reply: ReplyLimits,
    silence: Arc<Silence>,
}

impl Stream {
    pub(crate) async fn connect(
        endpoint: &Endpoint,
        tls: Option<&TlsClient>,
        silence: Arc<Silence>,
    ) -> io::Result<Self> {
        let inner: Pin<Box<dyn Duplex>> = match endpoint {
            #[cfg(unix)]
            Endpoint::Unix(path) => Box::pin(tokio::net::UnixStream::connect(path).await?),
            #[cfg(not(unix))]
            Endpoint::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
            Endpoint::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let keepalive = TcpKeepalive::new()
                    .with_time(IDLE)
                    .with_interval(PROBE_INTERVAL)
                    .with_retries(PROBES);
                SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                match tls {
                    Some(tls) => Box::pin(tls.connect(host, stream).await?),
                    None => Box::pin(stream),
                }
            }
        };
        Ok(Self {
            inner,
            reply: ReplyLimits::default(),
            silence,
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(self.inner.as_mut().poll_read(context, buffer))?;
        self.silence.heard();
        let read = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.reply.check(read))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_shutdown(context)
    }
}

/// Follows the frames of RESP, so that the memory for one reply is bounded: the parser of the `redis` crate keeps a
/// reply until it is complete, however long it is.
#[derive(Default)]
struct ReplyLimits {
    /// The bytes and the values of the current reply so far.
    bytes: usize,
    values: usize,
    /// How many bytes of the current string are still to come, its line end included.
    string: usize,
    line: Vec<u8>,
    /// How many values are still to come in each array that is open.
    open: Vec<usize>,
}

impl ReplyLimits {
    const MOST_BYTES: usize = 128 * 1024 * 1024;
    const MOST_VALUES: usize = 1024 * 1024;
    const LONGEST_LINE: usize = 64 * 1024;
    const DEEPEST: usize = 8;

    fn check(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = match self.string {
                0 => memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1),
                rest => rest.min(bytes.len()),
            };
            let (now, later) = bytes.split_at(count);
            bytes = later;
            self.bytes += count;
            if self.string > 0 {
                self.string -= count;
                if self.string == 0 {
                    self.end_value();
                }
            } else {
                self.line.extend_from_slice(now);
                if self.line.ends_with(b"\r\n") {
                    self.end_line();
                    self.line.clear();
                }
            }
            let is_too_large = self.bytes.saturating_add(self.string) > Self::MOST_BYTES
                || self.values > Self::MOST_VALUES
                || self.line.len() > Self::LONGEST_LINE
                || self.open.len() > Self::DEEPEST;
            if is_too_large {
                let message =
                    "the server sent a reply larger than 128 MiB, or one that is malformed";
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        let (kind, text) = self.line.split_first().unwrap_or((&b'+', &[]));
        let count = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.trim().parse::<i64>().ok());
        let count = count.and_then(|count| usize::try_from(count).ok());
        match (kind, count) {
            (b'$' | b'!' | b'=', Some(count)) => self.string = count.saturating_add(2),
            (b'*' | b'~' | b'>', Some(count @ 1..)) => self.open(count),
            (b'%', Some(count @ 1..)) => self.open(count.saturating_mul(2)),
            // The attributes of the value that follows.
            (b'|', Some(count)) => self.open(count.saturating_mul(2).saturating_add(1)),
            _ => self.end_value(),
        }
    }

    fn open(&mut self, count: usize) {
        self.values = self.values.saturating_add(count);
        self.open.push(count);
    }

    /// A value is complete, and with the last one of an array the array is.
    fn end_value(&mut self) {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return;
            }
            self.open.pop();
        }
        (self.bytes, self.values) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: [&[u8]; 11] = [
        b"+OK\r\n",
        b":-2\r\n",
        b"$-1\r\n",
        b"_\r\n",
        b"$0\r\n\r\n",
        b"$4\r\na\r\nb\r\n",
        b"*0\r\n",
        b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*-1\r\n-ERR inner\r\n",
        b"%1\r\n+a\r\n*1\r\n:1\r\n",
        b"|1\r\n+a\r\n:1\r\n:2\r\n",
        b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n",
    ];

    #[test]
    fn the_end_of_each_reply_is_found_however_it_arrives() {
        for reply in REPLIES {
            for pieces in [1, 2, 3, reply.len()] {
                let mut limits = ReplyLimits::default();
                let mut seen = 0;
                for piece in reply.chunks(pieces) {
                    assert!(seen == 0 || limits.bytes > 0, "{}", reply.escape_ascii());
                    limits.check(piece).unwrap();
                    seen += piece.len();
                }
                let left = (limits.bytes, limits.string, limits.open.len());
                assert_eq!(left, (0, 0, 0), "{}", reply.escape_ascii());
            }
        }
    }

    #[test]
    fn a_reply_of_the_largest_value_passes() {
        let mut limits = ReplyLimits::default();
        limits.check(b"$67108864\r\n").unwrap();
        for _ in 0..64 {
            limits.check(&vec![b'x'; 1024 * 1024]).unwrap();
        }
        limits.check(b"\r\n").unwrap();
        assert_eq!(limits.bytes, 0);
    }

    #[test]
    fn what_no_server_sends_is_an_error_before_it_is_complete() {
        let deep = b"*1\r\n".repeat(9);
        let endless = vec![b'+'; 70_000];
        let many = [b"*1000000\r\n".as_slice(), b"*1000000\r\n"].concat();
        for hostile in [
            b"$9223372036854775807\r\n".as_slice(),
            b"$200000000\r\n",
            b"*9223372036854775807\r\n",
            b"%9223372036854775807\r\n",
            b"|9223372036854775807\r\n",
            &deep,
            &endless,
            &many,
        ] {
            let error = ReplyLimits::default().check(hostile).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        }
    }
}
