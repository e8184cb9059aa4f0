use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::REQUESTS;
use super::peers::{self, OURS, Peer};
use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::statistics::{median, median_above, spread};
use crate::subprocess::{self, Subprocess};

/// How a request uses its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Scenario {
    Untouched,
    UntouchedWithCookie,
    ReadAnonymously,
    ReadSmall,
    WriteSmall,
    ReadSmallOfMany,
    WriteSmallOfMany,
    ReadOneOfFive,
    WriteOneOfFive,
    ReadFive,
    ReadFiveWriteOne,
}

impl Scenario {
    pub(super) const ALL: [Self; 11] = [
        Self::Untouched,
        Self::UntouchedWithCookie,
        Self::ReadAnonymously,
        Self::ReadSmall,
        Self::WriteSmall,
        Self::ReadSmallOfMany,
        Self::WriteSmallOfMany,
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
            Self::ReadSmallOfMany => "read, one small value, by 5,000 visitors in turn",
            Self::WriteSmallOfMany => "read + write, one small value, by 5,000 visitors in turn",
            Self::ReadOneOfFive => "read one of 5 values/1 KiB",
            Self::WriteOneOfFive => "read + write one of 5 values/1 KiB",
            Self::ReadFive => "read 5 values/1 KiB",
            Self::ReadFiveWriteOne => "read 5 values/1 KiB + write one",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Untouched | Self::UntouchedWithCookie => "/untouched",
            Self::ReadAnonymously | Self::ReadSmall | Self::ReadSmallOfMany => "/small/read",
            Self::WriteSmall | Self::WriteSmallOfMany => "/small/write",
            Self::ReadOneOfFive => "/five/read-one",
            Self::WriteOneOfFive => "/five/write-one",
            Self::ReadFive => "/five/read-all",
            Self::ReadFiveWriteOne => "/five/read-all-write-one",
        }
    }

    /// Returns the request that stores the session of this visitor. The measured requests send its cookie.
    fn seed(self, visitor: usize) -> Option<String> {
        match self {
            Self::Untouched | Self::ReadAnonymously => None,
            Self::UntouchedWithCookie
            | Self::ReadSmall
            | Self::WriteSmall
            | Self::ReadSmallOfMany
            | Self::WriteSmallOfMany => Some(format!("/small/set/{visitor}")),
            Self::ReadOneOfFive
            | Self::WriteOneOfFive
            | Self::ReadFive
            | Self::ReadFiveWriteOne => Some("/five/seed".to_owned()),
        }
    }

    const fn visitors(self) -> usize {
        match self {
            Self::ReadSmallOfMany | Self::WriteSmallOfMany => 5_000,
            _ => 1,
        }
    }

    /// Whether the scenario applies to an application without sessions.
    const fn needs_no_session(self) -> bool {
        matches!(self, Self::Untouched | Self::UntouchedWithCookie)
    }
}

/// The index of the column with the nanoseconds above the framework.
pub(super) const NS_ABOVE: usize = 3;

const COLUMNS: [Column; 6] = [
    Column::plain("ns", 0),
    Column::plain("± %", 1),
    Column::plain("allocations", 1),
    Column::plotted("ns above", 0),
    Column::plain("allocations above", 1),
    Column::plain("× ours", 2),
];

/// Measures each scenario, with all peers in turns.
pub(super) async fn measure(plan: &Plan, scenarios: &[Scenario]) -> Section {
    let mut comparisons = Vec::new();
    let mut notes = vec![
        "without a network, on one thread, each peer in a process of its own; requests are made beforehand, the calls \
         and the drop of their responses are measured; medians of rounds that take turns, ± half the distance of the \
         quartiles"
            .to_owned(),
        "requests of one visitor after another, unless the title says otherwise: what a peer keeps of the last one is \
         still there"
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
        let rows = compare(plan, *scenario).await;
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

/// A batch of requests.
#[derive(Serialize, Deserialize)]
struct Question {
    scenario: Scenario,
    requests: usize,
}

/// The costs of each request.
#[derive(Serialize, Deserialize)]
struct Answer {
    nanoseconds: f64,
    allocations: f64,
}

async fn compare(plan: &Plan, scenario: Scenario) -> Vec<Row> {
    let peers = peers::all().await;
    let mut measured: HashMap<&str, Rounds> = HashMap::new();
    let question = Question {
        scenario,
        requests: plan.requests,
    };
    // The memory layout makes a process faster or slower for its whole lifetime.
    for _ in 0..plan.request_processes {
        let mut processes: Vec<Subprocess> = peers
            .iter()
            .map(|peer| Subprocess::of_subject(REQUESTS, peer.name))
            .collect();
        for round in 0..=plan.request_rounds {
            for (peer, process) in peers.iter().zip(&mut processes) {
                let answer: Answer = process.ask(&question).await;
                // The first round is a warm-up.
                if round > 0 {
                    let found = measured.entry(peer.name).or_default();
                    found.nanoseconds.push(answer.nanoseconds);
                    found.allocations = answer.allocations;
                }
            }
        }
        for process in processes {
            process.end().await;
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

/// Runs the peer with this name.
pub(super) fn be(runtime: &Runtime, name: &str) {
    /// Requests that warm up the processor caches after another process ran.
    const WARM_UP: usize = 50;
    let tasks = LocalSet::new();
    let peers = tasks.block_on(runtime, peers::all());
    let Some(peer) = peers.into_iter().find(|peer| peer.name == name) else {
        return;
    };
    let mut visitors: HashMap<Scenario, Visitors> = HashMap::new();
    subprocess::answer(|Question { scenario, requests }| {
        let measured = async {
            let visitors = match visitors.entry(scenario) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(visitors_of(&peer, scenario).await),
            };
            let path = if peer.below.is_some() {
                scenario.path()
            } else {
                Scenario::Untouched.path()
            };
            peer.app.batch(path, &visitors.next(WARM_UP), WARM_UP).await;
            let cookies = visitors.next(requests);
            let batch = peer.app.batch(path, &cookies, requests).await;
            Answer {
                nanoseconds: per_request(batch.elapsed.as_nanos(), requests),
                allocations: per_request(u128::from(batch.allocations), requests),
            }
        };
        // A server polls each request separately. A single poll of all requests would exhaust tokio's coop budget.
        tasks.block_on(runtime, tokio::task::unconstrained(measured))
    });
}

/// The cookies of the visitors, and whose turn it is.
struct Visitors {
    cookies: Vec<String>,
    next: usize,
}

impl Visitors {
    /// Returns the visitors of the next requests, or all of them if there are fewer.
    fn next(&mut self, requests: usize) -> Vec<String> {
        let count = requests.min(self.cookies.len());
        let turn = self.cookies.iter().cycle().skip(self.next).take(count);
        let turn = turn.cloned().collect();
        self.next = (self.next + count) % self.cookies.len().max(1);
        turn
    }
}

/// Returns the cookies of the sessions in the scenario, or cookies of the same length for a peer without sessions.
async fn visitors_of(peer: &Peer, scenario: Scenario) -> Visitors {
    let mut cookies = Vec::new();
    for visitor in 0..scenario.visitors() {
        if let Some(seed) = scenario.seed(visitor) {
            if peer.below.is_none() {
                cookies.push("astro-session=00000000-0000-4000-8000-000000000000".to_owned());
                continue;
            }
            let answer = peer.app.call(&seed, None).await;
            assert!(answer.success, "{} must store a session", peer.name);
            cookies.extend(answer.cookies);
        }
    }
    Visitors { cookies, next: 0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a batch")]
fn per_request(total: u128, requests: usize) -> f64 {
    total as f64 / requests as f64
}
