use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use reqwest::{Method, RequestBuilder, Url, redirect, retry};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Idempotency, Outcome, Result, RetryPolicy};
use tokio::time::{Instant, timeout_at};

use crate::{Response, url};

/// How many bytes the body of a response may have by default: 64 MiB.
pub const DEFAULT_MAX_RESPONSE: usize = 64 * 1024 * 1024;

/// Shorter than the time after which proxies and servers usually close an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

const USER_AGENT: &str = concat!("session-kit/", env!("CARGO_PKG_VERSION"));

/// Options of an [`HttpClient`].
///
/// ```
/// use std::time::Duration;
/// use http_support::ClientOptions;
///
/// let options = ClientOptions::new("https://shelf.example/api").with_timeout(Duration::from_secs(2));
/// assert_eq!(options.max_response, 64 * 1024 * 1024);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The URL to which the path of each request is appended. It is `https`, or `http` for trusted networks.
    pub url: String,
    /// Headers of each request. See [`secret_header`](crate::secret_header) for those that hold a secret.
    pub headers: HeaderMap,
    /// How long an operation may take, retries included. One request takes at most three fifths of it, so that another
    /// attempt fits, and connecting at most three tenths. Default: 5 s.
    pub timeout: Duration,
    /// Which requests [`HttpClient::call`] repeats. Default: that of [`RetryPolicy`].
    pub retry: RetryPolicy,
    /// How many bytes the body of a response may have. Default: 64 MiB.
    pub max_response: usize,
    /// A client of the application, whose connections, proxies and certificates are used. Default: a client is made.
    pub client: Option<ApplicationClient>,
}

/// A [`reqwest::Client`] of the application, for the options of a driver.
///
/// ```
/// use http_support::{ApplicationClient, reqwest};
///
/// let client = ApplicationClient::from(reqwest::Client::new());
/// assert_eq!(format!("{client:?}"), "ApplicationClient");
/// ```
///
/// Make it with `redirect::Policy::none()`, so that no credentials are sent to another server, with a `connect_timeout`
/// below the timeout of the driver, so that a server that cannot be reached is known to have done nothing, and with
/// `retry::never()`, so that a change is never sent twice unnoticed.
#[derive(Clone)]
pub struct ApplicationClient(reqwest::Client);

impl From<reqwest::Client> for ApplicationClient {
    fn from(client: reqwest::Client) -> Self {
        Self(client)
    }
}

impl fmt::Debug for ApplicationClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers of a client may be secrets.
        f.write_str("ApplicationClient")
    }
}

impl ClientOptions {
    /// Options for the server at `url`, with defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: HeaderMap::new(),
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
            max_response: DEFAULT_MAX_RESPONSE,
            client: None,
        }
    }

    /// Sets the headers of each request.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Sets how long an operation may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets which requests are repeated.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets how many bytes the body of a response may have.
    #[must_use]
    pub fn with_max_response(mut self, bytes: usize) -> Self {
        self.max_response = bytes;
        self
    }

    /// Sets the client of the application, if there is one.
    #[must_use]
    pub fn with_client(mut self, client: Option<ApplicationClient>) -> Self {
        self.client = client;
        self
    }
}

/// An HTTP client of one server. Clones share its connections.
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
    headers: HeaderMap,
    request_timeout: Duration,
    connect_timeout: Duration,
    retry: RetryPolicy,
    max_response: usize,
}

impl HttpClient {
    /// Creates a client. It sends nothing.
    ///
    /// If an option is wrong, the error is of kind [`InvalidConfig`](ErrorKind::InvalidConfig).
    pub fn new(options: ClientOptions) -> Result<Self> {
        let url = url::parse(&options.url)?;
        if options.timeout.is_zero() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "`timeout` must be greater than zero",
            ));
        }
        if url.scheme() == "http"
            && !url::is_loopback(&url)
            && options.headers.values().any(|value| value.is_sensitive())
        {
            tracing::warn!(
                server = %url.origin().ascii_serialization(),
                "credentials are sent over plain HTTP, where others can read them; use https"
            );
        }
        let request_timeout = options.timeout.mul_f64(0.6);
        let connect_timeout = request_timeout / 2;
        let client = match options.client {
            Some(ApplicationClient(client)) => client,
            None => Self::build(&url, connect_timeout)?,
        };
        Ok(Self {
            client,
            url,
            headers: options.headers,
            request_timeout,
            connect_timeout,
            retry: options.retry,
            max_response: options.max_response,
        })
    }

    fn build(url: &Url, connect_timeout: Duration) -> Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never());
        if url.scheme() == "http" {
            // No root certificates are needed then, so their absence is no error.
            builder = builder.tls_certs_only([]);
        }
        if url::is_loopback(url) {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                "cannot create an HTTPS client; check that root certificates are installed (on Debian, the package \
                 `ca-certificates`)",
            )
            .with_source(error)
        })
    }

    /// The same client with at most this size of a response, for operations that need less. It shares the connections.
    #[must_use]
    pub fn limited_to(&self, max_response: usize) -> Self {
        Self {
            max_response: max_response.min(self.max_response),
            ..self.clone()
        }
    }

    /// Builds a request for `path`, which is appended to the URL of the options.
    ///
    /// The path is percent-encoded and may have a query. It begins with `/` unless it is empty.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = self.url.as_str().trim_end_matches('/');
        self.client.request(method, [base, path].concat())
    }

    /// Sends `request` once and reads the response, whatever its status.
    ///
    /// It ends by `deadline`, or when the time of one request is over. The outcome of an error says whether the server
    /// may have carried the request out. It has not if no connection was made.
    pub async fn send(&self, request: RequestBuilder, deadline: Instant) -> Result<Response> {
        let now = Instant::now();
        if deadline <= now {
            return Err(self.timed_out().with_outcome(Outcome::NotApplied));
        }
        let end = deadline.min(now + self.request_timeout);
        match timeout_at(end, self.exchange(request)).await {
            Ok(response) => response,
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Sends a request, and sends it again as far as the retry policy and `repeat` allow.
    ///
    /// `request` builds it for each attempt, and `read` turns the response into a result. An error of either may be
    /// retried. It ends by `deadline`.
    pub async fn call<T>(
        &self,
        deadline: Instant,
        repeat: Idempotency,
        request: impl Fn() -> RequestBuilder,
        read: impl Fn(Response) -> Result<T>,
    ) -> Result<T> {
        let attempt = || async { read(self.send(request(), deadline).await?) };
        let last_start = self.last_start(deadline);
        // A call that waited for its turn in a batch may begin so late that nothing could be said of it.
        if Instant::now() > last_start {
            return Err(self.timed_out().with_outcome(Outcome::NotApplied));
        }
        self.retry.run_until(last_start, repeat, attempt).await
    }

    /// The latest time at which an attempt may begin in an operation with this deadline.
    ///
    /// An attempt that begins later could end before it is known whether a connection was made.
    pub fn last_start(&self, deadline: Instant) -> Instant {
        deadline
            .checked_sub(self.connect_timeout)
            .unwrap_or(deadline)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Response> {
        let (client, request) = request.build_split();
        let mut request = request.map_err(|error| self.failed(error))?;
        let headers = request.headers_mut();
        for name in self.headers.keys() {
            if !headers.contains_key(name) {
                for value in self.headers.get_all(name) {
                    headers.append(name, value.clone());
                }
            }
        }
        let response = client.execute(request).await;
        let response = response.map_err(|error| self.failed(error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(self.unexpected(
                "the server compressed the response, although that was not requested",
            ));
        }
        let body = self.body(response).await?;
        Ok(Response::new(status, headers, body))
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Bytes> {
        let too_long = || {
            Error::new(
                ErrorKind::TooLarge,
                format!("the response is longer than {} bytes", self.max_response),
            )
            .with_outcome(Outcome::Unknown)
        };
        let announced = response.content_length().unwrap_or(0);
        let announced = usize::try_from(announced).unwrap_or(usize::MAX);
        if announced > self.max_response {
            return Err(too_long());
        }
        let mut chunk = response.chunk().await.map_err(|error| self.failed(error))?;
        let Some(first) = chunk.take() else {
            return Ok(Bytes::new());
        };
        if first.len() == announced {
            return Ok(first);
        }
        // A server may announce more than it sends, so nothing is reserved. A vector grows in place, if it is large.
        let mut body = first.to_vec();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > self.max_response {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    fn failed(&self, error: reqwest::Error) -> Error {
        let server = self.url.origin().ascii_serialization();
        let (kind, outcome, message) = if error.is_builder() {
            let message = "the request cannot be built; check `url` and the headers";
            (
                ErrorKind::InvalidConfig,
                Outcome::NotApplied,
                message.to_owned(),
            )
        } else if error.is_connect() {
            let message =
                format!("cannot connect to {server}; check that it is running and reachable");
            (ErrorKind::Unavailable, Outcome::NotApplied, message)
        } else if error.is_timeout() {
            return self.timed_out().with_source(error.without_url());
        } else {
            let message =
                format!("the connection to {server} broke before the response was complete");
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
            format!(
                "no response from {server} within `timeout`; check that it is not overloaded, or raise `timeout`"
            ),
        )
    }

    fn unexpected(&self, what: &str) -> Error {
        let server = self.url.origin().ascii_serialization();
        Error::new(
            ErrorKind::Backend,
            format!("{what}; check that {server} is the right server"),
        )
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({})", self.url.origin().ascii_serialization())
    }
}
