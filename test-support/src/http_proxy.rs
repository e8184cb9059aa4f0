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
use futures_util::stream;
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

/// A proxy in front of an HTTP server on loopback, which counts requests and makes them go wrong as planned.
///
/// ```
/// use test_support::{HttpFault, HttpProxy};
///
/// let proxy = HttpProxy::start("http://127.0.0.1:20000");
/// // The next request is answered by the proxy, the one after that reaches the server and its answer is lost.
/// proxy.next(HttpFault::status(503));
/// proxy.next(HttpFault::LostAnswer);
/// // Every request to this place hangs.
/// proxy.on(|request| request.path.starts_with("/slow").then_some(HttpFault::Hang));
/// assert!(proxy.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(proxy.count(), 0);
/// ```
///
/// It works on a thread of its own, which ends with this value, so it may be kept in tests with or without a
/// runtime.
pub struct HttpProxy {
    url: String,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path with the query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// How a request goes wrong.
#[derive(Clone, Debug)]
pub enum HttpFault {
    /// It reaches the server this much later.
    Delay(Duration),
    /// It does not reach the server, and the connection is cut.
    Cut,
    /// It does not reach the server, and is never answered.
    Hang,
    /// It reaches the server, and the connection is cut in place of an answer.
    LostAnswer,
    /// It reaches the server, and is never answered.
    HungAnswer,
    /// It reaches the server, and the connection is cut in the middle of the answer's body.
    Truncated,
    /// It does not reach the server, and this is the answer.
    Answer(Box<FaultyAnswer>),
    /// It reaches the server, and this is the answer.
    FalseAnswer(Box<FaultyAnswer>),
}

/// What the proxy answers in the server's place.
#[derive(Clone, Debug)]
pub struct FaultyAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: FaultyBody,
}

#[derive(Clone, Debug)]
enum FaultyBody {
    Whole(Bytes),
    /// So many bytes, said beforehand or not.
    Long {
        bytes: u64,
        announced: bool,
    },
}

impl HttpFault {
    /// The proxy answers with this status and a short text.
    pub fn status(status: u16) -> Self {
        Self::answer(status, &[(CONTENT_TYPE, "text/plain")], "the proxy says so")
    }

    /// The proxy answers 429, and asks for a wait of so many seconds.
    pub fn rate_limited(seconds: u64) -> Self {
        Self::answer(429, &[(RETRY_AFTER, &seconds.to_string())], "")
    }

    /// The proxy answers 200 with something that begins as JSON and is none.
    pub fn garbage_json() -> Self {
        let json = [(CONTENT_TYPE, "application/json")];
        Self::answer(200, &json, r#"{"result": [{"] \u00 "#)
    }

    /// The proxy answers 200 with a page of HTML, as networks do that want a login.
    pub fn html() -> Self {
        let html = [(CONTENT_TYPE, "text/html; charset=utf-8")];
        Self::answer(200, &html, "<!doctype html><title>Log in</title>")
    }

    /// The proxy answers with a redirect that keeps method and body, to the same path of the server at `url`.
    pub fn redirect(url: &str) -> Self {
        Self::answer(307, &[(LOCATION, url)], "")
    }

    /// The proxy answers 200 with 64 MiB of zeros, compressed by gzip to 64 KiB.
    pub fn gzip_bomb() -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = [0; 1024 * 1024];
        for _ in 0..64 {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        Self::answer_bytes(200, &[(CONTENT_ENCODING, "gzip")], bomb.into())
    }

    /// The proxy answers 200 and announces and sends a body of so many bytes.
    pub fn huge(bytes: u64) -> Self {
        Self::long(bytes, true)
    }

    /// The proxy answers 200 with a body that does not end.
    pub fn endless() -> Self {
        Self::long(u64::MAX, false)
    }

    /// The proxy answers with this.
    pub fn answer(status: u16, headers: &[(HeaderName, &str)], body: &str) -> Self {
        Self::answer_bytes(status, headers, Bytes::copy_from_slice(body.as_bytes()))
    }

    /// The same, but the request reaches the server first.
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
        Self::Answer(Box::new(FaultyAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.iter().map(header).collect(),
            body: FaultyBody::Whole(body),
        }))
    }

    fn long(bytes: u64, announced: bool) -> Self {
        Self::Answer(Box::new(FaultyAnswer {
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
    /// Starts a proxy of the server at `target`, such as `http://127.0.0.1:20000`, without faults.
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

    /// Where the proxy listens, as `http://127.0.0.1:…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the next request go wrong, or the one after those that are planned already.
    pub fn next(&self, fault: HttpFault) {
        self.state.plan.lock().next.push_back(fault);
    }

    /// Makes every request go wrong for which nothing else is planned.
    pub fn always(&self, fault: HttpFault) {
        self.on(move |_| Some(fault.clone()));
    }

    /// Makes those requests go wrong that `rule` says, where nothing else is planned. It replaces the rule before.
    pub fn on(&self, rule: impl Fn(&Seen) -> Option<HttpFault> + Send + Sync + 'static) {
        self.state.plan.lock().rule = Some(Arc::new(rule));
    }

    /// Forgets what is planned and what was seen: everything works again, and the count is zero.
    pub fn clear(&self) {
        *self.state.plan.lock() = Plan::default();
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.state.plan.lock().seen.len()
    }

    /// The requests that came, in their order.
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

/// Why a connection is cut.
#[derive(Debug)]
struct Planned;

impl std::fmt::Display for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this cut was planned")
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
    /// What the server answers; a server that cannot be reached is a cut connection.
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

/// The answer with half of its body, and an end of the connection.
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

fn made(answer: FaultyAnswer) -> Response<Body> {
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
                    // So that a connection whose reader left is noticed before everything was sent.
                    tokio::task::yield_now().await;
                    (left > 0).then(|| (Ok(Frame::data(frame)), left - left.min(CHUNK)))
                }
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
