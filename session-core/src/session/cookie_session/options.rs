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
    /// As the npm package `astro-session` 0.3.0 writes it: signed, so that the visitor can read and not change it.
    ///
    /// It holds what JSON holds. That package reads what is written in it and the other way round, so that a site can be
    /// moved page by page. It keeps neither the end of single values nor the session's own lifetime when it writes.
    AstroSession,
}

/// How sessions are kept in cookies: the secrets, and the format.
///
/// ```
/// use session_core::session::{CookieFormat, CookieSessionOptions, SessionManager};
///
/// fn sessions(secret: String, old_secret: String) -> session_core::Result<SessionManager> {
///     // The first secret writes, all of them read; and whoever comes with a cookie of the npm package stays logged in.
///     let options = CookieSessionOptions::new([secret, old_secret])
///         .with_accepted(CookieFormat::AstroSession);
///     SessionManager::in_cookies(options).build()
/// }
/// ```
///
/// Handlers, layers and extractors work on such a store as on any other. It needs no backend and no round trip,
/// and pays for that:
///
/// - **An old cookie can be replayed until it ends**, also after a logout:
///   [`destroy`](crate::session::Session::destroy) takes the cookie from the browser, and whoever kept a copy still
///   has the session. Keep the idle timeout short, or keep sessions whose end must hold in a driver.
/// - **Of two concurrent responses the later wins.** Each carries the session as its request had it plus its own
///   changes; nothing is merged.
/// - **It is small**: browsers keep 4,096 bytes a cookie, name and attributes included. More is an error of kind
///   [`TooLarge`](ErrorKind::TooLarge) at the commit, or is split over several cookies where
///   [`with_max_parts`](Self::with_max_parts) allows it.
/// - The server cannot list, open or destroy the sessions of others, and a session has no id:
///   [`id`](crate::session::Session::id) is `None`, and [`load`](crate::session::Session::load) and
///   [`detach`](crate::session::Session::detach) are errors of kind [`Unsupported`](ErrorKind::Unsupported).
///
/// A cookie that was forged, has ended or cannot be read is an empty session, never an error to the visitor; the
/// store's hook hears of it by [`SessionEvent::CookieRejected`](crate::session::SessionEvent::CookieRejected).
///
/// A secret of fewer than [`SHORTEST_SECRET`] bytes is an error of kind
/// [`InvalidConfig`](ErrorKind::InvalidConfig) when the store is built, and so is none.
///
/// # In a configuration
///
/// ```toml
/// driver = "cookie"
///
/// [options]
/// secret = [{ env = "SESSION_SECRET" }, { env = "OLD_SESSION_SECRET" }]   # or one alone
/// format = "sealed"              # or "astro-session"
/// accept = ["astro-session"]     # formats that are also read; none by default
/// max_parts = 1                  # cookies that a session may be split over, 9 at most
/// ```
///
/// # The formats
///
/// | [`CookieFormat`] | what it is | the visitor can read it |
/// |---|---|---|
/// | `Sealed`, the default | encrypted with XChaCha20-Poly1305 | no |
/// | `AstroSession` | the JSON Web Token (HS256) of the npm package `astro-session` 0.3.0 | yes |
///
/// A sealed value is `v1.`, the number of cookies that it is split over, `.`, and then in base64 (RFC 4648, section
/// 5, without padding) a random nonce of 24 bytes, the ciphertext and a tag of 16 bytes. What is encrypted is when it was issued and
/// when it ends (epoch milliseconds, 8 bytes each, big-endian), and the record. The additional data is
/// `session-kit cookie`, a zero byte, the bytes of the version (1) and of the number of cookies, and the name of the cookie; so
/// a value is good under its own name only. The key is HKDF-SHA256 of the secret, without salt, with the info
/// `session-kit cookie session v1 XChaCha20-Poly1305`. Further cookies are `<name>.1`, `<name>.2` and so on;
/// all but the last are equally long.
///
/// A cookie always ends: with the session's idle or absolute timeout, and after 400 days at the latest, which is
/// as long as browsers keep one.
#[derive(Clone, Debug)]
pub struct CookieSessionOptions {
    pub(super) secrets: Vec<Secret>,
    pub(super) format: CookieFormat,
    pub(super) accepted: Vec<CookieFormat>,
    pub(super) max_parts: u8,
}

impl CookieSessionOptions {
    /// Sessions in encrypted cookies. The first secret writes, and all of them read.
    pub fn new<S: Into<Secret>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self {
            secrets: secrets.into_iter().map(Into::into).collect(),
            format: CookieFormat::default(),
            accepted: Vec::new(),
            max_parts: 1,
        }
    }

    /// Sets the format that is written, which is also read.
    #[must_use]
    pub fn with_format(mut self, format: CookieFormat) -> Self {
        self.format = format;
        self
    }

    /// Reads cookies in `format` too, and writes them in the one that is set: to move from one to the other.
    #[must_use]
    pub fn with_accepted(mut self, format: CookieFormat) -> Self {
        self.accepted.push(format);
        self
    }

    /// Splits a sealed session over up to this many cookies, [`MAX_PARTS`] at most. Default: 1, so that one which
    /// is too large for one cookie is an error.
    ///
    /// All of them go with every request; servers and proxies often refuse more than 8 KiB of headers.
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
                "a `secret` must have at least 32 bytes, since anybody with a cookie can try out short ones; \
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
