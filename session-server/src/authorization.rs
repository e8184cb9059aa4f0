//! Who may use the service: everyone, holders of a token, or whom a hook admits.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use session_core::{Error, ErrorKind, Key, Prefix, Result};
use subtle::ConstantTimeEq;

use crate::local;
use crate::response::Rejection;

/// The rule that decides who may read and write.
///
/// ```
/// use session_server::{AccessKind, AccessTarget, Authorization, Denied};
///
/// let by_token = Authorization::token("3f1c9a4e7b")?;
///
/// let by_hook = Authorization::hook(|access| async move {
///     match (access.kind, access.target) {
///         (AccessKind::Read, AccessTarget::Item(key)) if key.as_str().starts_with("public:") => Ok(()),
///         _ => Err(Denied::unauthorized("only public keys can be read")),
///     }
/// });
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// There is no default, because listing a storage of sessions reveals the ids of all sessions, which are secrets.
#[derive(Clone)]
pub struct Authorization(Rule);

#[derive(Clone)]
enum Rule {
    OpenLocally,
    Open,
    Token(SecretString),
    Hook(Arc<Hook>),
}

type Hook = dyn Fn(Access) -> BoxFuture<'static, Result<(), Denied>> + Send + Sync;

impl Authorization {
    /// Allows every request that is addressed to this machine by `localhost` or a loopback address.
    ///
    /// For a server that listens on loopback. A page in a browser on this machine cannot use it: requests with another
    /// host in `Host`, or with an `Origin` other than the service's own, get status 403.
    pub fn open() -> Self {
        Self(Rule::OpenLocally)
    }

    /// Allows every request of everyone who can reach the service, by any host name and from any page in a browser.
    pub fn open_to_everyone() -> Self {
        Self(Rule::Open)
    }

    /// Allows every request that has this token in an `Authorization: Bearer` header, and no other request.
    ///
    /// Use a random token of 16 bytes or more. Tokens are compared in constant time. A token that is empty, or that a
    /// header cannot carry, is an error of kind [`InvalidConfig`](ErrorKind::InvalidConfig).
    pub fn token(token: impl Into<SecretString>) -> Result<Self> {
        let token = token.into();
        let text = token.expose_secret();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "the token must not be empty, and must consist of visible ASCII characters without spaces",
            ));
        }
        Ok(Self(Rule::Token(token)))
    }

    /// Asks `hook` about each request, before the body is read.
    ///
    /// The hook must answer within the service's
    /// [operation timeout](crate::StorageService::with_operation_timeout).
    pub fn hook<F, Deciding>(hook: F) -> Self
    where
        F: Fn(Access) -> Deciding + Send + Sync + 'static,
        Deciding: Future<Output = Result<(), Denied>> + Send + 'static,
    {
        Self(Rule::Hook(Arc::new(move |access| Box::pin(hook(access)))))
    }

    /// Decides on a request for `target`. Without a valid one the request is rejected anyway, and no hook is asked.
    pub(crate) async fn check(
        &self,
        request: &Parts,
        kind: AccessKind,
        target: Option<&AccessTarget>,
    ) -> Result<(), Rejection> {
        match &self.0 {
            Rule::Open => Ok(()),
            Rule::OpenLocally => local::check(request),
            Rule::Token(token) => match has_token(&request.headers, token) {
                true => Ok(()),
                false => Err(Rejection::missing_token()),
            },
            Rule::Hook(hook) => {
                let Some(target) = target else {
                    return Ok(());
                };
                let access = Access {
                    kind,
                    target: target.clone(),
                    request: request.clone(),
                };
                let denied = |denied: Denied| Rejection::new(denied.status, denied.message);
                hook(access).await.map_err(denied)
            }
        }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Rule::OpenLocally => "Authorization(open on loopback)",
            Rule::Open => "Authorization(open)",
            Rule::Token(_) => "Authorization(token)",
            Rule::Hook(_) => "Authorization(hook)",
        })
    }
}

/// Whether there is exactly one `Authorization` header, and it has this token.
fn has_token(headers: &HeaderMap, token: &SecretString) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Some((scheme, sent)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return false;
    };
    let is_token: bool = sent
        .trim()
        .as_bytes()
        .ct_eq(token.expose_secret().as_bytes())
        .into();
    scheme.eq_ignore_ascii_case("bearer") && is_token
}

/// The request that a hook decides on.
///
/// `Debug` does not show the target and the headers, which may be secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Access {
    /// Whether the request reads or writes.
    pub kind: AccessKind,
    /// What it reads or changes.
    pub target: AccessTarget,
    /// The method, URI and headers of the request.
    pub request: Parts,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("kind", &self.kind)
            .field("method", &self.request.method)
            .finish_non_exhaustive()
    }
}

/// What a request reads or changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessTarget {
    /// One item. The key of its metadata ends with `$`.
    Item(Key),
    /// All items below a prefix, which are listed or cleared.
    Below(Prefix),
}

/// Whether a request reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessKind {
    /// `GET` and `HEAD`.
    Read,
    /// `PUT`, `PATCH` and `DELETE`.
    Write,
}

/// The response of a hook that denies a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    status: StatusCode,
    message: String,
}

impl Denied {
    /// Denies with status 401: the client must authenticate. The message is sent to the client.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            message: message.into(),
        }
    }

    /// Denies with status 403: the client has no permission. The message is sent to the client.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            message: message.into(),
        }
    }

    /// Sets another status. A status that is not an error (4xx or 5xx) is replaced by 401.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        let is_error = status.is_client_error() || status.is_server_error();
        self.status = if is_error {
            status
        } else {
            StatusCode::UNAUTHORIZED
        };
        self
    }
}
