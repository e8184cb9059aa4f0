//! Loads and commits sessions that are stored in cookies.

use std::time::Duration;

use http::HeaderValue;

use super::jwt::Jwt;
use super::request::{all, part_name, parts};
use super::sealed::Sealed;
use super::{CookieFormat, CookieSessionOptions};
use crate::session::changes::Changes;
use crate::session::commit::{CommitInput, CommitOutput, SaveOutcome, unchanged};
use crate::session::cookie::{CookieChange, CookieCodec, MOST_CANDIDATES};
use crate::session::encode::{self, Encoded};
use crate::session::manager::ManagerInner;
use crate::session::state::{Base, Snapshot};
use crate::session::{CookieRejection, SessionEvent};
use crate::{Bytes, Entry, Error, ErrorKind, Result, Timestamp};

/// The maximum size of a cookie in browsers, of its name, value and attributes together (RFC 6265, section 6.1).
const LONGEST: usize = 4096;
/// The maximum lifetime of a cookie in browsers.
const LONGEST_LIFE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// Reads sessions from cookies and writes them there.
#[derive(Debug)]
pub(crate) struct CookieBacking {
    name: String,
    options: CookieSessionOptions,
    sealed: Option<Sealed>,
    jwt: Option<Jwt>,
}

/// A session to be put into a cookie.
pub(super) struct Sealing<'a> {
    pub(super) record: &'a [u8],
    pub(super) issued: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// A session that was read from a cookie.
pub(super) struct Opened {
    pub(super) record: Bytes,
    pub(super) issued: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}

impl CookieBacking {
    pub(super) fn new(options: CookieSessionOptions, cookie: &CookieCodec) -> Result<Self> {
        let has = |format| options.format == format || options.accepted.contains(&format);
        let sealed = has(CookieFormat::Sealed)
            .then(|| Sealed::new(cookie.name(), &options.secrets))
            .transpose()?;
        let jwt = has(CookieFormat::AstroSession)
            .then(|| Jwt::new(&options.secrets))
            .transpose()?;
        Ok(Self {
            name: cookie.name().to_owned(),
            options,
            sealed,
            jwt,
        })
    }

    /// The options that this was made from.
    pub(crate) fn options(&self) -> &CookieSessionOptions {
        &self.options
    }

    /// Opens the session in the cookies of a request. An invalid cookie is reported and gives an empty session.
    pub(crate) fn open(&self, manager: &ManagerInner, request: &[HeaderValue]) -> Base {
        match self.try_open(manager, request) {
            Ok(base) => base,
            Err(rejection) => {
                manager.report(None, &SessionEvent::CookieRejected(rejection));
                Base::Absent
            }
        }
    }

    /// Opens the first of several cookies of the name that is a session. The rejection is that of the first one.
    fn try_open(
        &self,
        manager: &ManagerInner,
        request: &[HeaderValue],
    ) -> Result<Base, CookieRejection> {
        let mut rejection = None;
        for value in all(request, &self.name).take(MOST_CANDIDATES) {
            match self.open_value(manager, value, request) {
                Ok(base) => return Ok(base),
                Err(rejected) => drop(rejection.get_or_insert(rejected)),
            }
        }
        Err(rejection.unwrap_or(CookieRejection::Malformed))
    }

    fn open_value(
        &self,
        manager: &ManagerInner,
        value: &str,
        request: &[HeaderValue],
    ) -> Result<Base, CookieRejection> {
        let opened = if Sealed::recognises(value) {
            let sealed = self.sealed.as_ref();
            sealed
                .ok_or(CookieRejection::UnknownFormat)?
                .open(value, request)?
        } else if Jwt::recognises(value) {
            let jwt = self.jwt.as_ref();
            jwt.ok_or(CookieRejection::UnknownFormat)?
                .open(value, manager.now())?
        } else {
            return Err(CookieRejection::Malformed);
        };
        let expires_at = opened
            .expires_at
            .or_else(|| manager.rules.expires_at(None, None, opened.issued))
            .unwrap_or_else(|| opened.issued.saturating_add(LONGEST_LIFE));
        if expires_at <= manager.now() {
            return Err(CookieRejection::Expired);
        }
        let entry = Entry::new(opened.record).with_expires_at(Some(expires_at));
        match manager.interpret(None, entry) {
            Base::Present(snapshot) => Ok(Base::Present(snapshot)),
            Base::Corrupt(_) => Err(CookieRejection::Malformed),
            _ => Err(CookieRejection::Expired),
        }
    }

    /// Writes the session with its changes into the cookies of the response.
    pub(crate) fn commit(
        &self,
        manager: &ManagerInner,
        input: &CommitInput,
        request: &[HeaderValue],
    ) -> Result<CommitOutput> {
        let now = manager.now();
        let snapshot = match &input.base {
            Base::Present(snapshot) => Some(snapshot),
            _ => None,
        };
        let none = Changes::default();
        let changes = input.changes.as_deref().unwrap_or(&none);
        let record = snapshot.map(|snapshot| &snapshot.record);
        let outcome = encode::encode(
            record,
            changes,
            false,
            &manager.rules,
            manager.settings.max_record_size,
            now,
        )?;
        let (encoded, outcome) = match (outcome, snapshot) {
            (encode::Outcome::Changed(encoded), _) => (encoded, SaveOutcome::Written),
            // A session that is only renewed or regenerated is written unchanged, with a later expiry.
            (encode::Outcome::Unchanged, Some(snapshot))
                if input.moves.is_some() || manager.renewal(snapshot).is_some() =>
            {
                let lifetime = snapshot.record.lifetime();
                let encoded = Encoded {
                    record: snapshot.record.clone(),
                    expires_at: manager.expiry_of(snapshot, manager.now()),
                    lifetime: lifetime.unwrap_or_else(|| manager.rules.begin(now)),
                };
                (encoded, SaveOutcome::Unchanged)
            }
            (encode::Outcome::Unchanged, _) => return Ok(unchanged(None, input.base.clone())),
        };
        let longest = now.saturating_add(LONGEST_LIFE);
        let expires_at = encoded
            .expires_at
            .map_or(longest, |expiry| expiry.min(longest));
        let sealing = Sealing {
            record: encoded.record.bytes(),
            issued: now,
            expires_at,
        };
        let max_age = manager.max_age(encoded.lifetime.persistent, Some(expires_at));
        let cookies = self.seal(manager, &sealing, max_age, request)?;
        Ok(CommitOutput {
            outcome,
            base: Base::Present(Snapshot {
                record: encoded.record,
                version: None,
                expires_at: Some(expires_at),
            }),
            cookie: Some(CookieChange::Hold(cookies)),
            ..CommitOutput::default()
        })
    }

    fn seal(
        &self,
        manager: &ManagerInner,
        sealing: &Sealing<'_>,
        max_age: Option<Duration>,
        request: &[HeaderValue],
    ) -> Result<Vec<HeaderValue>> {
        let cookie = &manager.cookie;
        let values = match (self.options.format, &self.sealed, &self.jwt) {
            (CookieFormat::Sealed, Some(sealed), _) => {
                // Only the first part has the value prefix, and only the others have the name suffix. This counts both.
                let empty = cookie.set(&part_name(&self.name, 1), "v1.1.", max_age)?;
                let room = LONGEST.saturating_sub(empty.len());
                let length = Sealed::length_of(sealing.record.len());
                let fits = |parts: &u8| length.div_ceil(usize::from(*parts)) <= room;
                let parts = (1..=self.options.max_parts).find(fits);
                sealed.seal(sealing, parts.ok_or_else(|| self.too_large(length))?)?
            }
            (_, _, Some(jwt)) => vec![jwt.seal(sealing)?],
            _ => Vec::new(),
        };
        let mut cookies = Vec::with_capacity(values.len());
        for (part, value) in (0..).zip(&values) {
            let header = cookie.set(&part_name(&self.name, part), value, max_age)?;
            if header.len() > LONGEST {
                return Err(self.too_large(value.len()));
            }
            cookies.push(header);
        }
        // The parts that an earlier, longer session left behind.
        let stale = parts(request, &self.name).filter(|part| usize::from(*part) >= values.len());
        for part in stale {
            cookies.push(cookie.removal(&part_name(&self.name, part))?);
        }
        Ok(cookies)
    }

    /// The names of the cookies that a browser with these cookies has of a session in the cookie `name`.
    pub(crate) fn names(&self, request: &[HeaderValue], name: &str) -> Vec<String> {
        std::iter::once(0)
            .chain(parts(request, name))
            .map(|part| part_name(name, part))
            .collect()
    }

    fn too_large(&self, length: usize) -> Error {
        let split = match self.options.format {
            CookieFormat::Sealed => ", let it be split over more cookies (`max_parts`)",
            CookieFormat::AstroSession => "",
        };
        Error::new(
            ErrorKind::TooLarge,
            format!(
                "the session would take {length} bytes in the cookie, and browsers keep {LONGEST} of each, with \
                 its name and attributes; store less in it{split}, or keep sessions in a driver"
            ),
        )
    }
}
