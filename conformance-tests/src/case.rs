//! A case of the suite, and what it needs of a driver.

use std::fmt;
use std::time::Duration;

use futures_core::future::BoxFuture;
use session_core::{Conditions, Consistency, Listing};

use crate::context::Context;
use crate::failure::CaseResult;

/// One requirement of the contract and the test for it.
#[derive(Clone, Copy)]
pub struct Case {
    /// The name of the case and of its test.
    pub name: &'static str,
    /// The clause of the contract that the case tests.
    pub proves: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) run: fn(Context) -> BoxFuture<'static, CaseResult>,
}

impl Case {
    /// Returns why the case cannot run on this driver, if so.
    pub(crate) fn unmet(&self, context: &Context) -> Option<String> {
        if context.capabilities.read_only && context.subject.writer.is_none() {
            return Some("no writer given (Subject::with_writer)".to_owned());
        }
        self.needs.iter().find_map(|need| need.unmet(context))
    }
}

impl Case {
    /// Whether a wrong clock may be why the case fails.
    pub(crate) fn is_about_time(&self) -> bool {
        let named = |need: &Need| matches!(need, Need::ShortLives | Need::ReportsExpiry);
        self.needs.iter().any(named) || self.name.contains("expir")
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("proves", &self.proves)
            .finish_non_exhaustive()
    }
}

/// A requirement of a case: a capability of the driver or a part of the subject.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    Writes,
    NoWrites,
    Conditions,
    NoConditions,
    Touch,
    NoTouch,
    Listing,
    NoListing,
    Watch,
    NoWatch,
    Invalidations,
    NoInvalidations,
    ReportsExpiry,
    Strong,
    ShortLives,
    NestedKeys,
    NoNestedKeys,
    ValuesOf(usize),
    ValueLimit,
    KeyLimit,
    ForeignWrite,
    Outage,
    DefaultTtl,
    SharedBackend,
    Disruption,
}

/// The longest time that a case waits for an entry to expire.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

impl Need {
    fn unmet(self, context: &Context) -> Option<String> {
        let capabilities = &context.capabilities;
        let subject = &context.subject;
        let conditions = capabilities.conditions != Conditions::None;
        let listing = capabilities.listing != Listing::None;
        let shortest = capabilities.minimum_ttl + capabilities.expiry_granularity;
        let (met, reason) = match self {
            Self::Writes => (!capabilities.read_only, "the driver is read-only"),
            Self::NoWrites => (capabilities.read_only, "the driver is not read-only"),
            Self::Conditions => (conditions, "the driver has no conditions"),
            Self::NoConditions => (!conditions, "the driver has conditions"),
            Self::Touch => (capabilities.touch, "the driver cannot touch"),
            Self::NoTouch => (!capabilities.touch, "the driver can touch"),
            Self::Listing => (listing, "the driver cannot list"),
            Self::NoListing => (!listing, "the driver can list"),
            Self::Watch => (capabilities.watch, "the driver cannot watch"),
            Self::NoWatch => (!capabilities.watch, "the driver can watch"),
            Self::Invalidations => (
                capabilities.invalidations,
                "the driver has no invalidations",
            ),
            Self::NoInvalidations => (!capabilities.invalidations, "the driver has invalidations"),
            Self::ReportsExpiry => (
                capabilities.reports_expiry,
                "the driver does not report when entries expire",
            ),
            Self::Strong => (
                capabilities.consistency == Consistency::Strong,
                "the driver is only eventually consistent",
            ),
            Self::ShortLives => {
                let reason = format!("the shortest reliable ttl is {shortest:?}");
                return (shortest > LONGEST_WAIT).then_some(reason);
            }
            Self::NestedKeys => (capabilities.nested_keys, "the driver has no nested keys"),
            Self::NoNestedKeys => (!capabilities.nested_keys, "the driver has nested keys"),
            Self::ValuesOf(size) => {
                let limit = capabilities.max_value_size.filter(|limit| *limit < size);
                return limit.map(|limit| format!("values are limited to {limit} bytes"));
            }
            Self::ValueLimit => (
                capabilities.max_value_size.is_some(),
                "the driver has no limit on values",
            ),
            Self::KeyLimit => (
                capabilities.max_key_size.is_some(),
                "the driver has no limit on keys",
            ),
            Self::ForeignWrite => (
                subject.foreign_write.is_some(),
                "no foreign writer given (Subject::with_foreign_write)",
            ),
            Self::Outage => (
                subject.outage.is_some(),
                "no unreachable driver given (Subject::with_outage)",
            ),
            Self::DefaultTtl => (
                subject.default_ttl.is_some(),
                "no default ttl given (Subject::with_default_ttl)",
            ),
            Self::SharedBackend => (
                subject.shared_backend,
                "drivers do not share a backend (Subject::with_shared_backend)",
            ),
            Self::Disruption => (
                !subject.disruptions.is_empty(),
                "no fault of the backend given (Subject::with_disruption)",
            ),
        };
        (!met).then(|| reason.to_owned())
    }
}
