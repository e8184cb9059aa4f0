use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use session_core::{Error, ErrorKind, Result};
use subtle::ConstantTimeEq;

use crate::answer::Refusal;

/// Who may read and write.
///
/// ```
/// use session_server::{AccessKind, Authorization, Denied};
///
/// let by_token = Authorization::token("3f1c9a4e7b")?;
///
/// let by_hook = Authorization::hook(|access| async move {
///     match access.kind {
///         AccessKind::Read if access.key.starts_with("public:") => Ok(()),
///         _ => Err(Denied::unauthorized("only what is public, and only to read")),
///     }
/// });
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// There is no default: a storage of sessions that anyone can list is a list of everyone's secrets.
#[derive(Clone)]
pub struct Authorization(Rule);

#[derive(Clone)]
enum Rule {
    Open,
    Token(Arc<str>),
    Hook(Arc<Hook>),
}

type Hook = dyn Fn(Access) -> BoxFuture<'static, Result<(), Denied>> + Send + Sync;

impl Authorization {
    /// Everyone who reaches the service may do everything.
    pub fn open() -> Self {
        Self(Rule::Open)
    }

    /// Who sends `Authorization: Bearer` and this token may do everything, and nobody else anything.
    ///
    /// It is compared in a time that depends on its length alone. An empty token, and one that no header can carry,
    /// is an error of kind [`InvalidConfig`](ErrorKind::InvalidConfig). Draw it at random, 16 bytes or more.
    pub fn token(token: impl AsRef<str>) -> Result<Self> {
        let token = token.as_ref();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "the token for the storage must be visible ASCII characters without spaces, at least one",
            ));
        }
        Ok(Self(Rule::Token(token.into())))
    }

    /// `hook` is asked before each request, and before its body is read.
    pub fn hook<F, Deciding>(hook: F) -> Self
    where
        F: Fn(Access) -> Deciding + Send + Sync + 'static,
        Deciding: Future<Output = Result<(), Denied>> + Send + 'static,
    {
        Self(Rule::Hook(Arc::new(move |access| Box::pin(hook(access)))))
    }

    /// Decides on a request; `access` is only made for a hook.
    pub(crate) async fn check(
        &self,
        request: &Parts,
        kind: AccessKind,
        key: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        match &self.0 {
            Rule::Open => Ok(()),
            Rule::Token(token) => match carries(&request.headers, token) {
                true => Ok(()),
                false => Err(Refusal::without_token()),
            },
            Rule::Hook(hook) => {
                let access = Access {
                    kind,
                    key: key(),
                    request: request.clone(),
                };
                let denied = |denied: Denied| Refusal::new(denied.status, denied.message);
                hook(access).await.map_err(denied)
            }
        }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Rule::Open => "Authorization(open)",
            Rule::Token(_) => "Authorization(token)",
            Rule::Hook(_) => "Authorization(hook)",
        })
    }
}

/// Whether the one header of its kind holds this token.
fn carries(headers: &HeaderMap, token: &str) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let Some((scheme, sent)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return false;
    };
    let is_token: bool = sent.trim().as_bytes().ct_eq(token.as_bytes()).into();
    scheme.eq_ignore_ascii_case("bearer") && is_token
}

/// What a hook decides on.
///
/// `Debug` shows neither the key nor the headers, since both may be secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct Access {
    /// Whether something is read or changed.
    pub kind: AccessKind,
    /// The key, normalised as it is used; that of a base, whose items are listed or cleared, ends with `:`, and that
    /// of the root is empty.
    pub key: String,
    /// The head of the request.
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

/// Whether something is read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// `GET` and `HEAD`.
    Read,
    /// `PUT` and `DELETE`.
    Write,
}

/// What a hook says no with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    status: StatusCode,
    message: String,
}

impl Denied {
    /// Status 401: come back with credentials. The client is shown the message.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            message: message.into(),
        }
    }

    /// Status 403: these credentials will not do. The client is shown the message.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            message: message.into(),
        }
    }

    /// Another status. One that is no error of the client or the server is taken as 401.
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
