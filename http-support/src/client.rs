use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use reqwest::{Method, RequestBuilder, Response, Url, redirect, retry};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Outcome, Repeat, Result, RetryPolicy};
use tokio::time::{Instant, timeout_at};

use crate::{Answer, url};

/// How long an answer may be when nobody says: 64 MiB.
pub const DEFAULT_MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Keeps below the time after which proxies and servers usually give up an idle connection.
const IDLE: Duration = Duration::from_secs(30);

const USER_AGENT: &str = concat!("session-kit/", env!("CARGO_PKG_VERSION"));

/// Where the server is and what goes with each request.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// What the path of each request is appended to; `https`, or `http` for trusted networks.
    pub url: String,
    /// Sent with each request; see [`secret_header`](crate::secret_header) for those that hold a secret.
    pub headers: HeaderMap,
    /// How long an operation may take, retries included. One request takes at most three fifths of it, so that another
    /// attempt fits, and connecting at most three tenths. Default: 5 s.
    pub timeout: Duration,
    /// What [`HttpClient::call`] repeats. Default: that of [`RetryPolicy`].
    pub retry: RetryPolicy,
    /// How many bytes an answer may have. Default: 64 MiB.
    pub max_answer: usize,
}

impl ClientOptions {
    /// The options for the server at `url`, with defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: HeaderMap::new(),
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
            max_answer: DEFAULT_MAX_ANSWER,
        }
    }
}

/// A client of one server; clones share its connections.
///
/// ```
/// use http_support::{ClientOptions, HttpClient};
///
/// let client = HttpClient::new(ClientOptions::new("https://shelf.example/api"))?;
/// assert_eq!(format!("{client:?}"), "HttpClient(https://shelf.example)");
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    url: Url,
    request_timeout: Duration,
    connect_timeout: Duration,
    retry: RetryPolicy,
    max_answer: usize,
}

impl HttpClient {
    /// Sets a client up; nothing is sent.
    ///
    /// An error of kind [`InvalidConfig`](ErrorKind::InvalidConfig) says what is wrong with the options.
    pub fn new(options: ClientOptions) -> Result<Self> {
        let url = url::parse(&options.url)?;
        if options.timeout.is_zero() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "`timeout` must be above zero",
            ));
        }
        if url.scheme() == "http"
            && !url::is_loopback(&url)
            && options.headers.values().any(|value| value.is_sensitive())
        {
            tracing::warn!(
                server = %url.origin().ascii_serialization(),
                "a secret goes over plain HTTP, where others can read it; use https"
            );
        }
        let request_timeout = options.timeout.mul_f64(0.6);
        let connect_timeout = request_timeout / 2;
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(options.headers)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never());
        if url.scheme() == "http" {
            // Machines without certificates of authorities are fine then.
            builder = builder.tls_certs_only([]);
        }
        if url::is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                "no HTTPS client can be set up; has the system certificates of authorities (on Debian, the \
                 package `ca-certificates`)?",
            )
            .with_source(error)
        })?;
        Ok(Self {
            client,
            url,
            request_timeout,
            connect_timeout,
            retry: options.retry,
            max_answer: options.max_answer,
        })
    }

    /// A request for `path`, which is appended to the URL of the options as it is: percent-encoded, beginning with
    /// `/` unless it is empty, and with a query if there is to be one.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.url.as_str().trim_end_matches('/');
        self.client.request(method, [base, path].concat())
    }

    /// Sends `request` once and reads the answer, whatever its status. It ends by `deadline`, or by the time that one
    /// request has.
    ///
    /// An error says by its outcome whether the server may have done what was asked: it has not if no connection was
    /// made.
    pub async fn send(&self, request: RequestBuilder, deadline: Instant) -> Result<Answer> {
        let now = Instant::now();
        if deadline <= now {
            return Err(self.timed_out().with_outcome(Outcome::NotApplied));
        }
        let end = deadline.min(now + self.request_timeout);
        match timeout_at(end, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Sends what `request` gives and reads the answer by `read`, again and again as the retry policy and `repeat`
    /// allow after an error of either. It ends by `deadline`.
    pub async fn call<T>(
        &self,
        deadline: Instant,
        repeat: Repeat,
        request: impl Fn() -> RequestBuilder,
        read: impl Fn(Answer) -> Result<T>,
    ) -> Result<T> {
        let attempt = || async { read(self.send(request(), deadline).await?) };
        let last_start = self.last_start(deadline);
        self.retry.run_until(last_start, repeat, attempt).await
    }

    /// When the last attempt may begin of an operation that has this deadline: later than that it could not be told
    /// whether a connection was made.
    pub fn last_start(&self, deadline: Instant) -> Instant {
        deadline
            .checked_sub(self.connect_timeout)
            .unwrap_or(deadline)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(
                self.unexpected("the server compressed its answer, which was not asked for")
            );
        }
        let body = self.body(response).await?;
        Ok(Answer::new(status, headers, body))
    }

    async fn body(&self, mut response: Response) -> Result<Bytes> {
        let too_long = || {
            Error::new(
                ErrorKind::TooLarge,
                format!("the answer is longer than {} bytes", self.max_answer),
            )
            .with_outcome(Outcome::Unknown)
        };
        let announced = response.content_length().unwrap_or(0);
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > self.max_answer {
            return Err(too_long());
        }
        let mut chunk = response.chunk().await.map_err(|error| self.failed(error))?;
        let Some(first) = chunk.take() else {
            return Ok(Bytes::new());
        };
        if first.len() == announced {
            return Ok(first);
        }
        // What was announced need not come, so it is not reserved.
        let mut body = BytesMut::from(first);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > self.max_answer {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn failed(&self, error: reqwest::Error) -> Error {
        let server = self.url.origin().ascii_serialization();
        let (kind, outcome, message) = if error.is_builder() {
            let message =
                "a request cannot be built of what is configured; look at `url` and the headers";
            (
                ErrorKind::InvalidConfig,
                Outcome::NotApplied,
                message.to_owned(),
            )
        } else if error.is_connect() {
            let message =
                format!("no connection to {server}; does it run, and is it within reach?");
            (ErrorKind::Unavailable, Outcome::NotApplied, message)
        } else if error.is_timeout() {
            return self.timed_out().with_source(error.without_url());
        } else {
            let message =
                format!("the connection to {server} broke before all of its answer was there");
            (ErrorKind::Unavailable, Outcome::Unknown, message)
        };
        Error::new(kind, message)
            .with_outcome(outcome)
            .with_source(error.without_url())
    }

    fn timed_out(&self) -> Error {
        let server = self.url.origin().ascii_serialization();
        Error::new(
            ErrorKind::TimedOut,
            format!("no answer from {server} within the `timeout`"),
        )
    }

    fn unexpected(&self, what: &str) -> Error {
        let server = self.url.origin().ascii_serialization();
        Error::new(
            ErrorKind::Backend,
            format!("{what}; is {server} the right server?"),
        )
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.url.origin().ascii_serialization())
    }
}
