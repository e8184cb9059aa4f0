//! An HTTP client for drivers, with deadlines, size limits, retries, and errors that tell the outcome of an operation.
//!
//! ```
//! use http_support::{ClientOptions, HttpClient, Method, Response, StatusCode};
//! use session_core::{Bytes, DEFAULT_TIMEOUT, Idempotency, Result};
//! use tokio::time::Instant;
//!
//! struct Shelf {
//!     client: HttpClient,
//! }
//!
//! impl Shelf {
//!     fn open(url: &str) -> Result<Self> {
//!         let client = HttpClient::new(ClientOptions::new(url))?;
//!         Ok(Self { client })
//!     }
//!
//!     async fn read(&self, name: &str) -> Result<Option<Bytes>> {
//!         let request = || self.client.request(Method::GET, &format!("/books/{name}"));
//!         let read = |response: Response| match response.status() {
//!             StatusCode::OK => Ok(Some(response.into_body())),
//!             StatusCode::NOT_FOUND => Ok(None),
//!             _ => Err(response.error()),
//!         };
//!         let deadline = Instant::now() + DEFAULT_TIMEOUT;
//!         self.client.call(deadline, Idempotency::Idempotent, request, read).await
//!     }
//! }
//!
//! assert!(Shelf::open("https://shelf.example/api").is_ok());
//! assert!(Shelf::open("shelf.example").is_err());
//! ```
//!
//! It is for authors of drivers. Applications do not need it.
//!
//! # Guarantees
//!
//! - **Time.** Each call ends by its deadline, retries and pauses included. A request takes at most three fifths of
//!   [`ClientOptions::timeout`], so that another attempt fits, and connecting takes at most half of that. So a server that
//!   cannot be reached is told apart from one that does not respond: the former has certainly done nothing.
//! - **Memory.** A response is read up to [`ClientOptions::max_response`], or the lower limit of
//!   [`HttpClient::limited_to`], and refused if it is longer. Compressed responses are not requested, and are refused.
//!   JSON is parsed into what the caller keeps, with [`Response::json_with`] and [`Bounded`].
//! - **Secrets.** Redirects are not followed, so a token is never sent to another server. Errors and `Debug` show no
//!   headers, no response bodies, and of a URL the origin only, since keys and tokens occur in them.
//! - **Retries.** Only [`HttpClient::call`] sends a request twice, and only as
//!   [`Idempotency`](session_core::Idempotency) allows. (One exception is safe: if the server closes a kept connection before any
//!   byte of the request is sent, the request is sent over another one.)
//! - **Connections** are kept for half a minute and shared by all clones of a client. Environment variables such as
//!   `HTTPS_PROXY` are respected, except for a server on the same machine. A client of the application keeps its own
//!   settings; see [`ApplicationClient`].

mod bounded;
mod client;
mod response;
mod retry_after;
mod secret;
mod shared_error;
mod url;

pub use reqwest;
pub use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, RequestBuilder, StatusCode};
pub use secrecy::{ExposeSecret, SecretString};

pub use bounded::Bounded;
pub use client::{ApplicationClient, ClientOptions, DEFAULT_MAX_RESPONSE, HttpClient};
pub use response::Response;
pub use secret::secret_header;
pub use shared_error::SharedError;
