//! The costs and the correctness of sessions.

pub(crate) mod app;
pub(crate) mod correctness;
pub(crate) mod in_cookies;
pub(crate) mod peers;
pub(crate) mod routes;

mod requests;

use tokio::runtime::Runtime;

use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};

use peers::{Backing, Peer};
use requests::Scenario;

/// The titles of the sections. The budgets use them.
pub(crate) const OVERVIEW: &str = "sessions";
/// See [`OVERVIEW`].
pub(crate) const REQUESTS: &str = "requests";

/// The scenarios in the overview.
const SHOWN: [Scenario; 3] = [
    Scenario::UntouchedWithCookie,
    Scenario::ReadSmall,
    Scenario::WriteSmall,
];

/// Runs the selected benchmarks.
pub(crate) async fn measure(plan: &Plan) -> Vec<Section> {
    let overview = plan.includes(OVERVIEW);
    let scenarios: Vec<Scenario> = Scenario::ALL
        .into_iter()
        .filter(|scenario| {
            let title = format!("{REQUESTS}: {}", scenario.title());
            plan.includes(&title) || overview && SHOWN.contains(scenario)
        })
        .collect();
    let mut sections = Vec::new();
    sections.extend(in_cookies::measure(plan).await);
    if scenarios.is_empty() {
        return sections;
    }
    let requests = requests::measure(plan, &scenarios).await;
    if overview {
        sections.push(in_one_table(&requests).await);
    }
    sections.push(requests);
    sections
}

/// Runs the peer with this name.
pub(crate) fn be(runtime: &Runtime, name: &str) {
    requests::be(runtime, name);
}

/// Combines speed and correctness in one table.
async fn in_one_table(requests: &Section) -> Section {
    let mut rows = Vec::new();
    let findings = correctness::find().await;
    for peer in peers::with_sessions(Backing::Memory).await {
        let mut values: Vec<Option<f64>> = SHOWN
            .iter()
            .map(|scenario| nanoseconds_above(requests, *scenario, &peer))
            .collect();
        if let Some((_, found)) = findings.iter().find(|(name, _)| *name == peer.name) {
            values.extend(found.values());
        }
        rows.push(Row {
            subject: peer.name.to_owned(),
            ours: peer.name == peers::OURS,
            values,
        });
    }
    Section {
        title: OVERVIEW,
        notes: vec![
            "ns: what a request costs above one without sessions, over memory, with one small value; the \
             untouched one carries the cookie".to_owned(),
            "operations: those on the store, of a request that reads, that reads and writes, and that begins a \
             session".to_owned(),
            format!(
                "lost sets: of {0} concurrent requests that read, wait and set a value of their own; lost \
                 increments: of {0} that add one to the same value; revived: of {1} sessions that were logged out \
                 of while a slow request ran which then writes",
                correctness::REQUESTS,
                correctness::LOGOUTS
            ),
        ],
        columns: vec![
            Column::plotted("untouched ns", 0),
            Column::plotted("read ns", 0),
            Column::plotted("read+write ns", 0),
            Column::plain("ops read", 1),
            Column::plain("ops read+write", 1),
            Column::plain("ops first", 1),
            Column::plotted("lost sets", 0),
            Column::plotted("lost increments", 0),
            Column::plotted("revived", 0),
        ],
        comparisons: vec![Comparison {
            title: "speed and correctness".to_owned(),
            rows,
        }],
    }
}

fn nanoseconds_above(requests: &Section, scenario: Scenario, peer: &Peer) -> Option<f64> {
    let mut comparisons = requests.comparisons.iter();
    let comparison = comparisons.find(|found| found.title == scenario.title())?;
    let row = comparison
        .rows
        .iter()
        .find(|row| row.subject == peer.name)?;
    row.values.get(requests::NS_ABOVE).copied().flatten()
}
