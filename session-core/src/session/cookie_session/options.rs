//! The options of sessions that are stored in cookies.

use super::backing::CookieBacking;
use super::secret::{SHORTEST_SECRET, Secret};
use crate::session::cookie::CookieCodec;
use crate::{Error, ErrorKind, Result};

/// The most cookies that a session can be split over.
pub const MAX_PARTS: u8 = 9;

/// How a session is written into its cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CookieFormat {
    /// Encrypted, so that the visitor can neither read nor change it.
    #[default]
    Sealed,
    /// Signed, in the format of the npm package `astro-session` 0.3.0. The visitor can read but not change it.
    ///
    /// It can store JSON values only. The npm package and this crate read each other's cookies, so a site can be migrated
    /// page by page. When the npm package writes, it drops the expiry of single values and the session's own lifetime.
    AstroSession,
}

/// The options of sessions that are stored in cookies: the secrets, and the format.
///
/// ```
/// use session_core::session::{CookieFormat, CookieSessionOptions, SessionManager};
///
/// fn sessions(secret: String, old_secret: String) -> session_core::Result<SessionManager> {
///     // The first secret writes, all of them read. Visitors with a cookie of the npm package stay logged in.
///     let options = CookieSessionOptions::new([secret, old_secret])
///         .with_accepted(CookieFormat::AstroSession);
///     SessionManager::in_cookies(options).build()
/// }
/// ```
///
/// Handlers, layers and extractors work as with a driver. Sessions in cookies need no backend and no round trip, but have
/// these limits:
///
/// - **An old cookie can be replayed until it expires**, even after a logout:
///   [`destroy`](crate::session::Session::destroy) removes the cookie from the browser, but a copy of it is still a
///   valid session. Use a short idle timeout, or store sessions in a driver if a logout must be final.
/// - **Of two concurrent responses, the later one wins.** Each carries the session of its request with its own changes;
///   nothing is merged.
/// - **The size is limited.** Browsers keep 4,096 bytes per cookie, including name and attributes. A larger session is an
///   error of kind [`TooLarge`](ErrorKind::TooLarge) at the commit, or is split over several cookies if
///   [`with_max_parts`](Self::with_max_parts) allows it.
/// - **The server cannot list, open or destroy sessions of other requests.** A session has no id:
///   [`id`](crate::session::Session::id) is `None`, and [`load`](crate::session::Session::load) and
///   [`detach`](crate::session::Session::detach) are errors of kind [`Unsupported`](ErrorKind::Unsupported).
///
/// A cookie that is forged, expired or unreadable gives an empty session, never an error to the visitor. The manager's
/// hook gets a [`SessionEvent::CookieRejected`](crate::session::SessionEvent::CookieRejected).
///
/// A secret of fewer than [`SHORTEST_SECRET`] bytes, or no secret at all, is an error of kind
/// [`InvalidConfig`](ErrorKind::InvalidConfig) when the manager is built.
///
/// # In a configuration
///
/// ```toml
/// driver = "cookie"
///
/// [options]
/// secret = [{ env = "SESSION_SECRET" }, { env = "OLD_SESSION_SECRET" }]   # or a single one
/// format = "sealed"              # or "astro-session"
/// accept = ["astro-session"]     # formats that are also read; none by default
/// max_parts = 1                  # cookies that a session may be split over, 9 at most
/// ```
///
/// # The formats
///
/// | [`CookieFormat`] | format | the visitor can read it |
/// |---|---|---|
/// | `Sealed`, the default | encrypted with XChaCha20-Poly1305 | no |
/// | `AstroSession` | the JSON Web Token (HS256) of the npm package `astro-session` 0.3.0 | yes |
///
/// A sealed value is `v1.`, the number of cookies that it is split over, `.`, and then in base64 (RFC 4648, section
/// 5, without padding) a random nonce of 24 bytes, the ciphertext and a tag of 16 bytes. The plaintext is the time of
/// issue, the expiry (epoch milliseconds, 8 bytes each, big-endian) and the record. The additional data is
/// `session-kit cookie`, a zero byte, the bytes of the version (1) and of the number of cookies, and the name of the
/// cookie, so a value is valid under its own name only. The key is HKDF-SHA256 of the secret, without salt, with the info
/// `session-kit cookie session v1 XChaCha20-Poly1305`. Further cookies are `<name>.1`, `<name>.2` and so on; all but the
/// last have the same length.
///
/// A cookie always expires: with the session's idle or absolute timeout, and after 400 days at the latest, which is the
/// longest that browsers keep one.
#[derive(Clone, Debug)]
pub struct CookieSessionOptions {
    pub(super) secrets: Vec<Secret>,
    pub(super) format: CookieFormat,
    pub(super) accepted: Vec<CookieFormat>,
    pub(super) max_parts: u8,
}

impl CookieSessionOptions {
    /// Creates options for encrypted cookies. The first secret writes, and all of them read.
    pub fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self {
            secrets: secrets.into_iter().map(Into::into).collect(),
            format: CookieFormat::default(),
            accepted: Vec::new(),
            max_parts: 1,
        }
    }

    /// Sets the format that is written and read.
    #[must_use]
    pub fn with_format(mut self, format: CookieFormat) -> Self {
        self.format = format;
        self
    }

    /// Also reads cookies in `format`, for a migration from one format to another.
    #[must_use]
    pub fn with_accepted(mut self, format: CookieFormat) -> Self {
        self.accepted.push(format);
        self
    }

    /// Sets how many cookies a sealed session can be split over, at most [`MAX_PARTS`]. Default: 1.
    ///
    /// The browser sends all of them with every request. Servers and proxies often reject more than 8 KiB of headers.
    #[must_use]
    pub fn with_max_parts(mut self, parts: u8) -> Self {
        self.max_parts = parts;
        self
    }

    pub(crate) fn build(self, cookie: &CookieCodec) -> Result<CookieBacking> {
        if self.secrets.is_empty() {
            return Err(invalid(
                "sessions in cookies need a `secret`; make one by `openssl rand -base64 32`",
            ));
        }
        if self
            .secrets
            .iter()
            .any(|secret| secret.bytes().len() < SHORTEST_SECRET)
        {
            return Err(invalid(
                "a `secret` must have at least 32 bytes, since a visitor could guess a shorter one; \
                 make one by `openssl rand -base64 32`",
            ));
        }
        if self.max_parts == 0 || self.max_parts > MAX_PARTS {
            return Err(invalid("`max_parts` must be a number from 1 to 9"));
        }
        if self.format == CookieFormat::AstroSession && self.max_parts > 1 {
            return Err(invalid(
                "`max_parts` cannot be above 1 with `format = \"astro-session\"`, which knows of one cookie only",
            ));
        }
        CookieBacking::new(self, cookie)
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message).with_context("cookie", "open")
}
