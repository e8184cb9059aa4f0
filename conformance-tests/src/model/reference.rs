//! What a right driver answers: the entries as the contract has them, and when each may be seen.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use session_core::{Capabilities, Conditions, Entry, Expiry, Key, Metadata, Timestamp, Version};

use super::families::YEAR_10_000;
use crate::failure::{Failure, excerpt};

/// How much earlier than its time an entry may be gone: clocks are read in whole milliseconds.
const EARLY: Duration = Duration::from_millis(2);

/// How much later than its time and the granularity an entry may be seen, for a backend that is busy.
const LATE: Duration = Duration::from_millis(25);

/// When a call began and ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
}

impl Span {
    pub(crate) fn took(self) -> Duration {
        self.end.saturating_since(self.begin)
    }
}

/// Whether an entry is there during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    Absent,
    /// It expires about now.
    Either,
}

/// When an entry expires.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Life {
    Never,
    /// After the ttl of the driver, which the subject does not tell.
    Unknown,
    Ends {
        earliest: Timestamp,
        latest: Timestamp,
    },
}

/// An entry as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) value: Bytes,
    /// The value as code.
    pub(crate) code: String,
    /// `None` until an answer tells it.
    pub(crate) version: Option<Version>,
    pub(crate) life: Life,
}

/// All entries, and the versions that each key had.
#[derive(Debug)]
pub(crate) struct Reference {
    capabilities: Capabilities,
    default_ttl: Option<Duration>,
    pub(crate) entries: BTreeMap<Key, Known>,
    pub(crate) versions: BTreeMap<Key, Vec<(Version, Bytes)>>,
}

impl Reference {
    pub(crate) fn new(capabilities: Capabilities, default_ttl: Option<Duration>) -> Self {
        Self {
            capabilities,
            default_ttl,
            entries: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    pub(crate) fn has_conditions(&self) -> bool {
        self.capabilities.conditions != Conditions::None
    }

    /// Returns when an entry expires that was given `expiry` during `span`.
    pub(crate) fn life(&self, expiry: Expiry, span: Span) -> Life {
        let (earliest, latest) = match (expiry, self.default_ttl) {
            (Expiry::Never, _) => return Life::Never,
            (Expiry::Default, None) => return Life::Unknown,
            (Expiry::Default, Some(ttl)) => {
                (span.begin.saturating_add(ttl), span.end.saturating_add(ttl))
            }
            // Some backends count from when they get the call.
            (Expiry::At(time), _) => (time, time.saturating_add(span.took())),
        };
        let minimum = self.capabilities.minimum_ttl;
        if minimum.is_zero() || latest <= span.begin {
            return Life::Ends { earliest, latest };
        }
        Life::Ends {
            earliest: earliest.max(span.begin.saturating_add(minimum)),
            latest: latest.max(span.end.saturating_add(minimum)),
        }
    }

    fn presence_by(&self, life: Life, span: Span) -> Presence {
        let Life::Ends { earliest, latest } = life else {
            return Presence::Present;
        };
        if span.end.saturating_add(EARLY) < earliest {
            return Presence::Present;
        }
        let last = latest.saturating_add(self.capabilities.expiry_granularity + LATE);
        match span.begin > last {
            true => Presence::Absent,
            false => Presence::Either,
        }
    }

    pub(crate) fn presence(&self, key: &Key, span: Span) -> Presence {
        match self.entries.get(key) {
            Some(known) => self.presence_by(known.life, span),
            None => Presence::Absent,
        }
    }

    /// Returns when the next entry has expired that soon will.
    pub(crate) fn next_end(&self, longest: Duration) -> Option<Timestamp> {
        let now = Timestamp::now();
        let ends = self.entries.values().filter_map(|known| match known.life {
            Life::Ends { latest, .. } => Some(latest),
            _ => None,
        });
        let soon = ends
            .map(|latest| {
                latest.saturating_add(self.capabilities.expiry_granularity + LATE + EARLY)
            })
            .filter(|end| *end > now && *end < now.saturating_add(longest));
        soon.min()
    }

    /// Notes that `key` has this entry from now on.
    pub(crate) fn put(
        &mut self,
        key: &Key,
        known: Known,
        reported: Option<Version>,
        span: Span,
    ) -> Result<(), Failure> {
        let life = known.life;
        let value = known.value.clone();
        self.entries.insert(key.clone(), known);
        // What has expired already has no version that could be named.
        let at_end = Span {
            begin: span.end,
            end: span.end,
        };
        if !self.has_conditions() || self.presence_by(life, at_end) != Presence::Present {
            return Ok(());
        }
        match reported {
            Some(version) => self.learn(key, version, &value),
            None => Err(Failure::new(
                "a version in the outcome, because the driver supports conditions",
                "none",
            )),
        }
    }

    /// Notes the version of the entry of `key`. Equal versions of a key mean equal bytes.
    fn learn(&mut self, key: &Key, version: Version, value: &Bytes) -> Result<(), Failure> {
        let seen = self.versions.entry(key.clone()).or_default();
        if let Some((_, other)) = seen
            .iter()
            .find(|(old, other)| *old == version && other != value)
        {
            return Err(Failure::new(
                format!(
                    "another version for {} than for {}",
                    excerpt(value),
                    excerpt(other)
                ),
                "the same version",
            ));
        }
        if let Some(known) = self.entries.get_mut(key) {
            known.version = Some(version.clone());
        }
        seen.retain(|(old, _)| *old != version);
        seen.push((version, value.clone()));
        Ok(())
    }

    /// Notes that an entry which may have expired has.
    pub(crate) fn gone(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Compares an entry that was returned during `span`.
    pub(crate) fn compare(
        &mut self,
        key: &Key,
        entry: Option<&Entry>,
        span: Span,
    ) -> Result<(), Failure> {
        let Some(entry) = entry else {
            return self.compare_absence(key, span, "a miss");
        };
        self.compare_presence(key, span, || format!("the entry {entry:?}"))?;
        let Some(known) = self.entries.get(key).cloned() else {
            return Ok(());
        };
        if entry.value != known.value {
            return Err(Failure::new(excerpt(&known.value), excerpt(&entry.value)));
        }
        self.compare_version(key, &known, entry.version.as_ref())?;
        self.compare_expiry(known.life, entry.expires_at, span)
    }

    pub(crate) fn compare_metadata(
        &mut self,
        key: &Key,
        metadata: Option<&Metadata>,
        span: Span,
    ) -> Result<(), Failure> {
        let Some(metadata) = metadata else {
            return self.compare_absence(key, span, "no metadata");
        };
        self.compare_presence(key, span, || format!("{metadata:?}"))?;
        let Some(known) = self.entries.get(key).cloned() else {
            return Ok(());
        };
        let size = u64::try_from(known.value.len()).ok();
        if metadata.size.is_some() && metadata.size != size {
            let expected = format!("a size of {} bytes in the metadata", known.value.len());
            return Err(Failure::new(expected, format!("{:?}", metadata.size)));
        }
        self.compare_version(key, &known, metadata.version.as_ref())?;
        self.compare_expiry(known.life, metadata.expires_at, span)
    }

    /// Fails if the entry must be there.
    pub(crate) fn compare_absence(
        &mut self,
        key: &Key,
        span: Span,
        got: &str,
    ) -> Result<(), Failure> {
        match self.presence(key, span) {
            Presence::Absent => Ok(()),
            Presence::Either => {
                self.gone(key);
                Ok(())
            }
            Presence::Present => {
                let value = self.entries.get(key).map(|known| excerpt(&known.value));
                let expected = format!("the entry with {}", value.unwrap_or_default());
                Err(Failure::new(expected, got))
            }
        }
    }

    /// Fails if the entry must not be there.
    pub(crate) fn compare_presence(
        &self,
        key: &Key,
        span: Span,
        got: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.presence(key, span) != Presence::Absent {
            return Ok(());
        }
        let expected = match self.entries.get(key).map(|known| known.life) {
            Some(Life::Ends { latest, .. }) => {
                let late = span.begin.saturating_since(latest);
                format!("no entry, because it expired {late:?} before")
            }
            _ => "no entry".to_owned(),
        };
        Err(Failure::new(expected, got()))
    }

    fn compare_version(
        &mut self,
        key: &Key,
        known: &Known,
        version: Option<&Version>,
    ) -> Result<(), Failure> {
        if !self.has_conditions() {
            return Ok(());
        }
        let Some(version) = version else {
            let expected = "a version, because the driver supports conditions";
            return Err(Failure::new(expected, "none"));
        };
        match &known.version {
            Some(known) if known == version => Ok(()),
            Some(known) => Err(Failure::new(
                format!("the version {known:?}, because the value did not change"),
                format!("{version:?}"),
            )),
            None => self.learn(key, version.clone(), &known.value),
        }
    }

    fn compare_expiry(
        &self,
        life: Life,
        reported: Option<Timestamp>,
        span: Span,
    ) -> Result<(), Failure> {
        if !self.capabilities.reports_expiry {
            return Ok(());
        }
        let (earliest, latest) = match life {
            Life::Unknown => return Ok(()),
            Life::Never if reported.is_none() => return Ok(()),
            Life::Never => {
                return Err(Failure::new("no expiry", format!("{reported:?}")));
            }
            Life::Ends { earliest, latest } => (earliest, latest),
        };
        let granularity = self.capabilities.expiry_granularity;
        let tolerance = granularity.max(Duration::from_millis(1)) + span.took();
        let far = Timestamp::from_millis(YEAR_10_000);
        let is_close = match reported {
            None => earliest >= far,
            Some(reported) => {
                let from_below = reported.saturating_add(tolerance) >= earliest.min(far);
                from_below && (reported <= latest.saturating_add(tolerance) || latest >= far)
            }
        };
        if is_close {
            return Ok(());
        }
        Err(Failure::new(
            format!("the expiry {earliest}, give or take {tolerance:?}"),
            format!("{reported:?}"),
        ))
    }
}
