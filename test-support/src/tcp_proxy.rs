use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A TCP proxy that injects faults: it cuts connections in the middle of responses, stalls, delays, or drops responses.
///
/// It runs on the runtime of the test until it is dropped.
pub struct TcpProxy {
    port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    fault: watch::Sender<TcpFault>,
    /// Counts the cuts. Each connection closes when it changes.
    cuts: watch::Sender<usize>,
    connections: AtomicUsize,
    round_trips: AtomicUsize,
    /// Whether the last data were a request.
    is_asked: AtomicBool,
}

/// A fault of a [`TcpProxy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpFault {
    /// No fault.
    #[default]
    None,
    /// Holds back all data in both directions.
    Stall,
    /// Delays each chunk.
    Delay(Duration),
    /// Forwards requests and drops responses.
    LoseAnswers,
    /// Forwards this many response bytes on each connection and then cuts it.
    CutAfter(usize),
}

impl TcpProxy {
    /// Starts a proxy in front of the server at `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            fault: watch::Sender::default(),
            cuts: watch::Sender::default(),
            connections: AtomicUsize::new(0),
            round_trips: AtomicUsize::new(0),
            is_asked: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        let accepting = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, target, Arc::clone(&accepting)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            shared,
            _tasks: tasks,
        }
    }

    /// Returns its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the fault, also for existing connections.
    pub fn set(&self, fault: TcpFault) {
        crate::step(format!("the proxy has the fault {fault:?}"));
        self.shared.fault.send_replace(fault);
    }

    /// Cuts all existing connections.
    pub fn cut(&self) {
        crate::step("cutting all connections");
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Returns how many connections were made through the proxy.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns how many requests were made, where requests that are sent before the first of them is answered count as
    /// one. With a [`Delay`](TcpFault::Delay), what is sent together is not answered in between.
    ///
    /// It counts requests of all connections together.
    pub fn round_trips(&self) -> usize {
        self.shared.round_trips.load(Ordering::SeqCst)
    }
}

async fn serve(client: TcpStream, target: SocketAddr, shared: Arc<Shared>) {
    shared.connections.fetch_add(1, Ordering::SeqCst);
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let requests = pump(from_client, to_server, &shared, false);
    let answers = pump(from_server, to_client, &shared, true);
    tokio::select! {
        () = requests => {}
        () = answers => {}
        _ = cuts.changed() => {}
    }
}

/// Forwards data until one side closes or a fault cuts the connection.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, are_answers: bool) {
    let mut fault = shared.fault.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    let mut handed_on = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let passing = fault.wait_for(|fault| *fault != TcpFault::Stall).await;
        let Ok(fault) = passing.map(|fault| *fault) else {
            return;
        };
        let mut piece = &buffer[..read];
        match fault {
            TcpFault::None | TcpFault::Stall => {}
            TcpFault::Delay(delay) => tokio::time::sleep(delay).await,
            TcpFault::LoseAnswers if are_answers => continue,
            TcpFault::CutAfter(limit) if are_answers && handed_on + read > limit => {
                piece = &piece[..limit.saturating_sub(handed_on)];
                let _ = to.write_all(piece).await;
                return;
            }
            TcpFault::LoseAnswers | TcpFault::CutAfter(_) => {}
        }
        handed_on += piece.len();
        let was_asked = shared.is_asked.swap(!are_answers, Ordering::SeqCst);
        if !are_answers && !was_asked {
            shared.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts an echo server.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn connect(proxy: &TcpProxy) -> TcpStream {
        TcpStream::connect(("127.0.0.1", proxy.port()))
            .await
            .unwrap()
    }

    #[test_support::test]
    async fn data_passes_unchanged_until_the_connection_is_cut() {
        let proxy = TcpProxy::start(echo().await).await;
        let mut stream = connect(&proxy).await;
        let mut answer = [0; 5];
        stream.write_all(b"hello").await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        proxy.cut();
        assert!(stream.read_exact(&mut answer).await.is_err());

        proxy.set(TcpFault::CutAfter(3));
        let mut stream = connect(&proxy).await;
        stream.write_all(b"hello").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"hel");
        assert_eq!(proxy.connections(), 2);
    }

    #[test_support::test]
    async fn stalled_data_arrives_later_and_dropped_data_never() {
        let proxy = TcpProxy::start(echo().await).await;
        let mut stream = connect(&proxy).await;
        let mut answer = [0; 5];
        proxy.set(TcpFault::Stall);
        stream.write_all(b"hello").await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut answer));
        assert!(early.await.is_err());
        proxy.set(TcpFault::Delay(Duration::from_millis(1)));
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        proxy.set(TcpFault::LoseAnswers);
        stream.write_all(b"hello").await.unwrap();
        let never = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut answer));
        assert!(never.await.is_err());
    }
}
