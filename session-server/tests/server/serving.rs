//! A server with a port of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use session_server::StorageService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves below `/kv`, on a runtime that keeps running while tests block on sockets.
    pub(crate) async fn start(service: StorageService) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = axum::Router::<()>::new().nest_service("/kv", service);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/kv", self.address)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// Sends these bytes, and returns what is received until the response is complete or the connection is closed.
    pub(crate) async fn exchange(&self, request: Vec<u8>) -> String {
        let mut stream = self.connect();
        let exchange = tokio::task::spawn_blocking(move || {
            // A server that rejects early may not read the whole request.
            let _early = stream.write_all(&request);
            let mut answer = Vec::new();
            let _cut = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        exchange.await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
