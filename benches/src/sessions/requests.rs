use std::collections::HashMap;

use super::REQUESTS;
use super::peers::{self, OURS, Peer};
use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::statistics::{median, median_above, spread};

/// What a request does with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    Untouched,
    UntouchedWithCookie,
    ReadAnonymously,
    ReadSmall,
    WriteSmall,
    ReadOneOfFive,
    WriteOneOfFive,
    ReadFive,
    ReadFiveWriteOne,
}

impl Scenario {
    pub(super) const ALL: [Self; 9] = [
        Self::Untouched,
        Self::UntouchedWithCookie,
        Self::ReadAnonymously,
        Self::ReadSmall,
        Self::WriteSmall,
        Self::ReadOneOfFive,
        Self::WriteOneOfFive,
        Self::ReadFive,
        Self::ReadFiveWriteOne,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Untouched => "untouched, no cookie",
            Self::UntouchedWithCookie => "untouched, with the cookie",
            Self::ReadAnonymously => "anonymous read",
            Self::ReadSmall => "read, one small value",
            Self::WriteSmall => "read + write, one small value",
            Self::ReadOneOfFive => "read one of 5 values/1 KiB",
            Self::WriteOneOfFive => "read + write one of 5 values/1 KiB",
            Self::ReadFive => "read 5 values/1 KiB",
            Self::ReadFiveWriteOne => "read 5 values/1 KiB + write one",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Untouched | Self::UntouchedWithCookie => "/untouched",
            Self::ReadAnonymously | Self::ReadSmall => "/small/read",
            Self::WriteSmall => "/small/write",
            Self::ReadOneOfFive => "/five/read-one",
            Self::WriteOneOfFive => "/five/write-one",
            Self::ReadFive => "/five/read-all",
            Self::ReadFiveWriteOne => "/five/read-all-write-one",
        }
    }

    /// The request that stores the session whose cookie the measured ones carry.
    const fn seed(self) -> Option<&'static str> {
        match self {
            Self::Untouched | Self::ReadAnonymously => None,
            Self::UntouchedWithCookie | Self::ReadSmall | Self::WriteSmall => Some("/small/write"),
            Self::ReadOneOfFive
            | Self::WriteOneOfFive
            | Self::ReadFive
            | Self::ReadFiveWriteOne => Some("/five/seed"),
        }
    }

    /// Whether it says anything about an application without sessions.
    const fn needs_no_session(self) -> bool {
        matches!(self, Self::Untouched | Self::UntouchedWithCookie)
    }
}

/// Where the nanoseconds above the framework stand among the columns.
pub(super) const NS_ABOVE: usize = 3;

const COLUMNS: [Column; 6] = [
    Column::plain("ns", 0),
    Column::plain("± %", 1),
    Column::plain("allocations", 1),
    Column::plotted("ns above", 0),
    Column::plain("allocations above", 1),
    Column::plain("× ours", 2),
];

/// Measures each scenario with all peers in turns.
pub(super) async fn measure(plan: &Plan, scenarios: &[Scenario]) -> Section {
    let mut comparisons = Vec::new();
    let mut notes = vec![
        "in process, on one thread; requests are made beforehand, the calls and the drop of their responses are \
         measured; medians of rounds that take turns, ± half the distance of the quartiles"
            .to_owned(),
        "above: over the same framework without sessions (axum with a layer that does nothing, actix-web) in \
         the same round; × ours compares that"
            .to_owned(),
    ];
    for peer in peers::all().await {
        notes.push(format!("{}: {}", peer.name, peer.note));
    }
    for scenario in scenarios {
        eprintln!("benches: {REQUESTS}: {}", scenario.title());
        let rows = tokio::task::unconstrained(compare(plan, *scenario)).await;
        comparisons.push(Comparison {
            title: scenario.title().to_owned(),
            rows,
        });
    }
    Section {
        title: REQUESTS,
        notes,
        columns: COLUMNS.to_vec(),
        comparisons,
    }
}

#[derive(Default)]
struct Rounds {
    nanoseconds: Vec<f64>,
    allocations: f64,
}

async fn compare(plan: &Plan, scenario: Scenario) -> Vec<Row> {
    let peers = peers::all().await;
    let mut measured: HashMap<&str, Rounds> = HashMap::new();
    let mut cookies: HashMap<&str, Option<String>> = HashMap::new();
    for peer in &peers {
        cookies.insert(peer.name, cookie(peer, scenario).await);
    }
    for round in 0..=plan.request_rounds {
        for peer in &peers {
            let path = if peer.below.is_some() {
                scenario.path()
            } else {
                Scenario::Untouched.path()
            };
            let cookie = cookies.get(peer.name).and_then(Option::as_deref);
            let batch = peer.app.batch(path, cookie, plan.requests).await;
            // The first round warms up.
            if round > 0 {
                let found = measured.entry(peer.name).or_default();
                found
                    .nanoseconds
                    .push(per_request(batch.elapsed.as_nanos(), plan.requests));
                found.allocations = per_request(u128::from(batch.allocations), plan.requests);
            }
        }
    }
    let above = |peer: &Peer| {
        let (own, below) = (measured.get(peer.name)?, measured.get(peer.below?)?);
        let nanoseconds = median_above(&own.nanoseconds, &below.nanoseconds);
        Some((nanoseconds, own.allocations - below.allocations))
    };
    let ours = peers.iter().find(|peer| peer.name == OURS).and_then(above);
    let shown = peers
        .iter()
        .filter(|peer| peer.below.is_some() || scenario.needs_no_session());
    shown
        .filter_map(|peer| {
            let own = measured.get(peer.name)?;
            let above = above(peer);
            let ratio = above.zip(ours).map(|(its, ours)| its.0 / ours.0);
            Some(Row {
                subject: peer.name.to_owned(),
                ours: peer.name == OURS,
                values: vec![
                    Some(median(&own.nanoseconds)),
                    Some(spread(&own.nanoseconds)),
                    Some(own.allocations),
                    above.map(|above| above.0),
                    above.map(|above| above.1),
                    ratio,
                ],
            })
        })
        .collect()
}

/// The cookie of the session that the scenario needs; for a peer without sessions one of the same length.
async fn cookie(peer: &Peer, scenario: Scenario) -> Option<String> {
    let seed = scenario.seed()?;
    if peer.below.is_none() {
        return Some("astro-session=00000000-0000-4000-8000-000000000000".to_owned());
    }
    let answer = peer.app.call(seed, None).await;
    assert!(answer.success, "{} must store a session", peer.name);
    answer.cookies
}

#[expect(clippy::cast_precision_loss, reason = "counts of a batch")]
fn per_request(total: u128, requests: usize) -> f64 {
    total as f64 / requests as f64
}
