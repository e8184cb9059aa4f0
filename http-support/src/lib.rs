//! What drivers over HTTP share: a client with limits, errors that say what became of an operation, and retries.
//!
//! ```
//! use http_support::{Answer, ClientOptions, HttpClient, Method, StatusCode};
//! use session_core::{Bytes, DEFAULT_TIMEOUT, Repeat, Result};
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
//!         let read = |answer: Answer| match answer.status() {
//!             StatusCode::OK => Ok(Some(answer.into_body())),
//!             StatusCode::NOT_FOUND => Ok(None),
//!             _ => Err(answer.error()),
//!         };
//!         let deadline = Instant::now() + DEFAULT_TIMEOUT;
//!         self.client.call(deadline, Repeat::Always, request, read).await
//!     }
//! }
//!
//! assert!(Shelf::open("https://shelf.example/api").is_ok());
//! assert!(Shelf::open("shelf.example").is_err());
//! ```
//!
//! For the drivers of this project and for those of one's own; an application has no use for it.
//!
//! # What it sees to
//!
//! - **Time.** Each call ends by the deadline that it is given, retries and pauses included. A request takes at most
//!   three fifths of [`ClientOptions::timeout`], so that another attempt fits, and connecting at most half of that, so
//!   that a server which cannot be reached is told apart from one that does not answer: the former has certainly done
//!   nothing.
//! - **Memory.** An answer is read up to [`ClientOptions::max_answer`] and refused if it is longer. Compressed answers
//!   are not asked for, and one that comes all the same is refused as it is, so none can swell.
//! - **Secrets.** Redirects are not followed, so that no token goes where it was not meant to. No error and no `Debug`
//!   holds a URL beyond its origin, a header, or the text of an answer, in each of which keys and tokens occur.
//! - **Repeating.** Nothing is sent twice but by [`HttpClient::call`], and by that only as
//!   [`Repeat`](session_core::Repeat) allows. (A request that met a kept connection as the server closed it, and of
//!   which no byte was sent, goes out on another one.)
//! - **Connections** are kept for half a minute and shared by all clones of a client. `HTTPS_PROXY` and its like in
//!   the environment count, though not for a server on the same machine.

mod answer;
mod client;
mod retry_after;
mod secret;
mod shared_error;
mod url;

pub use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, RequestBuilder, StatusCode};
pub use secrecy::{ExposeSecret, SecretString};

pub use answer::Answer;
pub use client::{ClientOptions, DEFAULT_MAX_ANSWER, HttpClient};
pub use secret::secret_header;
pub use shared_error::SharedError;
