use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A proxy in front of an HTTP server on loopback that counts requests and injects faults.
///
/// ```
/// use test_support::{HttpFault, HttpProxy};
///
/// let proxy = HttpProxy::start("http://127.0.0.1:20000");
/// // The proxy answers the next request itself. The request after that reaches the server, but its response is lost.
/// proxy.next(HttpFault::status(503));
/// proxy.next(HttpFault::LostAnswer);
/// // Every request to this path hangs.
/// proxy.on(|request| request.path.starts_with("/slow").then_some(HttpFault::Hang));
/// assert!(proxy.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(proxy.count(), 0);
/// ```
///
/// It runs on its own thread until it is dropped, so it works in tests with and without a runtime.
pub struct HttpProxy {
    url: String,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The path with the query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A fault of a request.
#[derive(Clone, Debug)]
pub enum HttpFault {
    /// The request reaches the server after a delay.
    Delay(Duration),
    /// The request does not reach the server, and the connection is cut.
    Cut,
    /// The request does not reach the server, and gets no response.
    Hang,
    /// The request reaches the server, and the connection is cut before the response.
    LostAnswer,
    /// The request reaches the server, and gets no response.
    HungAnswer,
    /// The request reaches the server, and the connection is cut in the middle of the response body.
    Truncated,
    /// The request does not reach the server, and gets this response.
    Answer(Box<FaultyResponse>),
    /// The request reaches the server, and gets this response instead.
    FalseAnswer(Box<FaultyResponse>),
}

/// A response from the proxy instead of the server.
#[derive(Clone, Debug)]
pub struct FaultyResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: FaultyBody,
}

#[derive(Clone, Debug)]
enum FaultyBody {
    Whole(Bytes),
    /// A number of bytes, with or without a content length.
    Long {
        bytes: u64,
        announced: bool,
    },
    /// A start, a part many times, and an end.
    Repeated {
        start: Bytes,
        part: Bytes,
        times: usize,
        end: Bytes,
    },
}

impl HttpFault {
    /// A response with this status and a short text.
    pub fn status(status: u16) -> Self {
        Self::answer(
            status,
            &[(CONTENT_TYPE, "text/plain")],
            "injected by the proxy",
        )
    }

    /// A response with status 429 and a `Retry-After` of this many seconds.
    pub fn rate_limited(seconds: u64) -> Self {
        Self::answer(429, &[(RETRY_AFTER, &seconds.to_string())], "")
    }

    /// A response with status 200 and invalid JSON.
    pub fn garbage_json() -> Self {
        let json = [(CONTENT_TYPE, "application/json")];
        Self::answer(200, &json, r#"{"result": [{"] \u00 "#)
    }

    /// A response with status 200 and an HTML page, like that of a captive portal.
    pub fn html() -> Self {
        let html = [(CONTENT_TYPE, "text/html; charset=utf-8")];
        Self::answer(200, &html, "<!doctype html><title>Log in</title>")
    }

    /// A redirect to the same path of the server at `url` that keeps method and body.
    pub fn redirect(url: &str) -> Self {
        Self::answer(307, &[(LOCATION, url)], "")
    }

    /// A response with status 200 and 64 MiB of zeros, compressed to 64 KiB.
    pub fn gzip_bomb() -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = [0; 1024 * 1024];
        for _ in 0..64 {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        Self::answer_bytes(200, &[(CONTENT_ENCODING, "gzip")], bomb.into())
    }

    /// A response with status 200 and a body of this many bytes, with its content length.
    pub fn huge(bytes: u64) -> Self {
        Self::long(bytes, true)
    }

    /// A response with status 200 and an endless body.
    pub fn endless() -> Self {
        Self::long(u64::MAX, false)
    }

    /// A response with status 200 and a body of about this many bytes: `start`, then `part` repeatedly, then `end`.
    pub fn repeated(start: &str, part: &str, end: &str, bytes: usize) -> Self {
        // Sent in chunks of about 64 KiB.
        let chunk = part.repeat((64 * 1024 / part.len()).max(1));
        Self::Answer(Box::new(FaultyResponse {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: FaultyBody::Repeated {
                start: Bytes::copy_from_slice(start.as_bytes()),
                times: bytes / chunk.len(),
                part: chunk.into(),
                end: Bytes::copy_from_slice(end.as_bytes()),
            },
        }))
    }

    /// A response with this status, these headers and this body.
    pub fn answer(status: u16, headers: &[(HeaderName, &str)], body: &str) -> Self {
        Self::answer_bytes(status, headers, Bytes::copy_from_slice(body.as_bytes()))
    }

    /// Lets the request reach the server before the proxy responds.
    #[must_use]
    pub fn after_the_server(self) -> Self {
        match self {
            Self::Answer(answer) => Self::FalseAnswer(answer),
            other => other,
        }
    }

    fn answer_bytes(status: u16, headers: &[(HeaderName, &str)], body: Bytes) -> Self {
        let header = |(name, value): &(HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        Self::Answer(Box::new(FaultyResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.iter().map(header).collect(),
            body: FaultyBody::Whole(body),
        }))
    }

    fn long(bytes: u64, announced: bool) -> Self {
        Self::Answer(Box::new(FaultyResponse {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: FaultyBody::Long { bytes, announced },
        }))
    }
}

type Rule = dyn Fn(&Seen) -> Option<HttpFault> + Send + Sync;

struct State {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    next: VecDeque<HttpFault>,
    rule: Option<Arc<Rule>>,
    seen: Vec<Seen>,
}

impl HttpProxy {
    /// Starts a proxy for the server at `target`, such as `http://127.0.0.1:20000`, without faults.
    pub fn start(target: &str) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let state = Arc::new(State {
            target: target.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
            plan: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            url: format!("http://{address}"),
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Returns the URL of the proxy, `http://127.0.0.1:…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Injects a fault into the next request. Repeated calls queue up faults.
    pub fn next(&self, fault: HttpFault) {
        self.state.plan.lock().next.push_back(fault);
    }

    /// Injects a fault into every request that has no other fault planned.
    pub fn always(&self, fault: HttpFault) {
        self.on(move |_| Some(fault.clone()));
    }

    /// Injects the fault that `rule` returns into requests without a queued fault. It replaces the previous rule.
    pub fn on(&self, rule: impl Fn(&Seen) -> Option<HttpFault> + Send + Sync + 'static) {
        self.state.plan.lock().rule = Some(Arc::new(rule));
    }

    /// Removes all planned faults and recorded requests.
    pub fn clear(&self) {
        *self.state.plan.lock() = Plan::default();
    }

    /// Returns the number of received requests.
    pub fn count(&self) -> usize {
        self.state.plan.lock().seen.len()
    }

    /// Returns the received requests in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.plan.lock().seen.clone()
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The error that cuts a connection on purpose.
#[derive(Debug)]
struct Planned;

impl std::fmt::Display for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("planned cut")
    }
}

impl std::error::Error for Planned {}

type Body = BoxBody<Bytes, Planned>;

async fn serve(listener: tokio::net::TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            continue;
        };
        let _ = connection.set_nodelay(true);
        while connections.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&state), request));
            let _cut = http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Planned> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Planned)?.to_bytes();
    let seen = Seen {
        method: head.method,
        path: head
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned(),
        headers: head.headers,
        body,
    };
    let (next, rule) = {
        let mut plan = state.plan.lock();
        plan.seen.push(seen.clone());
        (plan.next.pop_front(), plan.rule.clone())
    };
    let fault = next.or_else(|| rule.and_then(|rule| rule(&seen)));
    let Some(fault) = fault else {
        return state.forward(seen).await.map(whole);
    };
    match fault {
        HttpFault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            state.forward(seen).await.map(whole)
        }
        HttpFault::Cut => Err(Planned),
        HttpFault::Hang => std::future::pending().await,
        HttpFault::LostAnswer => {
            state.forward(seen).await?;
            Err(Planned)
        }
        HttpFault::HungAnswer => {
            state.forward(seen).await?;
            std::future::pending().await
        }
        HttpFault::Truncated => state.forward(seen).await.map(truncated),
        HttpFault::Answer(answer) => Ok(made(*answer)),
        HttpFault::FalseAnswer(answer) => {
            state.forward(seen).await?;
            Ok(made(*answer))
        }
    }
}

impl State {
    /// Forwards to the server. If the server is unreachable, the connection is cut.
    async fn forward(&self, seen: Seen) -> Result<Response<Bytes>, Planned> {
        let uri: Uri = [&*self.target, &*seen.path]
            .concat()
            .parse()
            .map_err(|_| Planned)?;
        let mut request = Request::new(Full::new(seen.body));
        *request.method_mut() = seen.method;
        *request.headers_mut() = seen.headers;
        for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            request.headers_mut().remove(name);
        }
        *request.uri_mut() = uri;
        let is_head = request.method() == Method::HEAD;
        let response = self.client.request(request).await.map_err(|_| Planned)?;
        let (mut head, body) = response.into_parts();
        head.headers.remove(TRANSFER_ENCODING);
        head.headers.remove(CONNECTION);
        if !is_head {
            head.headers.remove(CONTENT_LENGTH);
        }
        let body = body.collect().await.map_err(|_| Planned)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(|body| boxed(Full::new(body)))
}

/// Returns the response with half of its body, followed by an error that cuts the connection.
fn truncated(response: Response<Bytes>) -> Response<Body> {
    let length = response.body().len();
    let mut response = response.map(|body| {
        let half = body.slice(..length / 2);
        BodyExt::boxed(StreamBody::new(stream::iter([
            Ok(Frame::data(half)),
            Err(Planned),
        ])))
    });
    let announced = HeaderValue::from(length.max(1));
    response.headers_mut().insert(CONTENT_LENGTH, announced);
    response
}

fn made(answer: FaultyResponse) -> Response<Body> {
    const CHUNK: u64 = 64 * 1024;
    let mut headers = answer.headers;
    let body = match answer.body {
        FaultyBody::Whole(body) => boxed(Full::new(body)),
        FaultyBody::Long { bytes, announced } => {
            if announced {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
            }
            let chunk = Bytes::from(vec![b' '; CHUNK as usize]);
            let chunks = stream::unfold(bytes, move |left| {
                let frame = chunk.slice(..left.min(CHUNK) as usize);
                async move {
                    // Yields, so that a closed connection is noticed before everything is sent.
                    tokio::task::yield_now().await;
                    (left > 0).then(|| (Ok(Frame::data(frame)), left - left.min(CHUNK)))
                }
            });
            BodyExt::boxed(StreamBody::new(chunks))
        }
        FaultyBody::Repeated {
            start,
            part,
            times,
            end,
        } => {
            let parts = std::iter::repeat_n(part, times);
            let chunks = std::iter::once(start).chain(parts).chain([end]);
            let chunks = stream::iter(chunks).then(async |chunk| {
                // Yields, so that a closed connection is noticed before everything is sent.
                tokio::task::yield_now().await;
                Ok(Frame::data(chunk))
            });
            BodyExt::boxed(StreamBody::new(chunks))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = headers;
    response
}

fn boxed(body: Full<Bytes>) -> Body {
    body.map_err(|never: Infallible| match never {}).boxed()
}
