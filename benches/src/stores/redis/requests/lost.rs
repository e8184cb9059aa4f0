//! Lost updates: two applications on one server change one session at the same time.

use std::cell::Cell;

use async_trait::async_trait;
use tokio::task::LocalSet;

use super::apps;
use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::sessions::app::{Answer, App, AxumApp, Batch};
use crate::sessions::correctness::{LOGOUTS, Lost, REQUESTS};
use crate::stores::redis::server;
use crate::stores::requests::Application;

const TITLE: &str = "requests: redis, two servers";

/// Runs the benchmark if it is selected.
pub(crate) async fn measure(plan: &Plan) -> Option<Section> {
    if !plan.includes(TITLE) {
        return None;
    }
    let server = server::redis();
    let url = server.url.as_str();
    let rows = vec![
        row::<apps::Ours>(url).await,
        row::<apps::Cached>(url).await,
        row::<apps::Tower>(url).await,
        row::<apps::TowerMoka>(url).await,
        row::<apps::AxumSession>(url).await,
    ];
    Some(Section {
        title: TITLE,
        notes: vec![format!(
            "two applications on one Redis take the requests in turn, as behind a balancer. lost sets: of {REQUESTS} \
             concurrent requests that read, wait and set a value of their own; lost increments: of {REQUESTS} that \
             add one to the same value; revived: of {LOGOUTS} sessions that were logged out of while a slow request \
             ran which then writes; configured as above"
        )],
        columns: vec![
            Column::plotted("lost sets", 0),
            Column::plotted("lost increments", 0),
            Column::plotted("revived", 0),
        ],
        comparisons: vec![Comparison {
            title: "correctness".to_owned(),
            rows,
        }],
    })
}

async fn row<A: Application>(url: &str) -> Row {
    eprintln!("benches: {TITLE}: {}", A::NAME);
    let servers = InTurn {
        servers: [
            AxumApp::new(A::open(url).await),
            AxumApp::new(A::open(url).await),
        ],
        turn: Cell::new(0),
    };
    let lost = LocalSet::new().run_until(Lost::by(&servers)).await;
    Row {
        subject: A::NAME.to_owned(),
        ours: A::IS_OURS,
        values: lost.values().collect(),
    }
}

/// Two applications that take turns.
struct InTurn {
    servers: [AxumApp; 2],
    turn: Cell<usize>,
}

#[async_trait(?Send)]
impl App for InTurn {
    async fn call(&self, path: &str, cookies: Option<&str>) -> Answer {
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        let [even, odd] = &self.servers;
        let server = if turn.is_multiple_of(2) { even } else { odd };
        server.answer(path, cookies).await
    }

    async fn batch(&self, path: &str, visitors: &[String], requests: usize) -> Batch {
        let [server, _] = &self.servers;
        server.batch(path, visitors, requests).await
    }
}
