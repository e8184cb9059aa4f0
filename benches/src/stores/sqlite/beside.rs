//! A database with a second writer that does not wait for locks, like db0 of unstorage: the effects on both.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::CONTENDERS;
use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::statistics::median;
use crate::stores::contender::{Contender, Operation, Took, Work};
use crate::stores::{calibrated, comparison, javascript, rate};
use crate::subprocess::Subprocess;

const TITLE: &str = "stores: sqlite beside a second process";

const COLUMNS: [Column; 7] = [
    Column::plain("ops/s alone", 0),
    Column::plotted("ops/s beside", 0),
    Column::plain("second alone: writes/s", 0),
    Column::plotted("second: writes/s", 0),
    Column::plotted("refused %", 1),
    Column::plain("p50 µs", 0),
    Column::plain("p99.9 µs", 0),
];

/// A question to the second process.
#[derive(Serialize)]
struct Question {
    milliseconds: u128,
}

/// The results of its writes.
#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    written: f64,
    refused: f64,
    p50: f64,
    p999: f64,
}

/// Runs the selected benchmarks.
pub(crate) async fn measure(plan: &Plan) -> Option<Section> {
    let mut comparisons = Vec::new();
    for callers in [1, 8] {
        let title = comparison(Operation::Commit, callers);
        if plan.includes(&format!("{TITLE}: {title}")) {
            eprintln!("benches: {TITLE}: {title}");
            let mut rows = Vec::new();
            for contender in &CONTENDERS {
                rows.extend(row(plan, contender, callers).await);
            }
            comparisons.push(Comparison { title, rows });
        }
    }
    (!comparisons.is_empty()).then(|| Section {
        title: TITLE,
        notes: vec![
            "the second process is unstorage's db0 driver on Node.js, writing entries of its own one after another \
             into the same table, with no busy timeout, which is how it comes; refused: of its writes, those that \
             failed with `database is locked`; p50, p99.9: how long a write of it took that did not"
                .to_owned(),
            "a write of the contender that failed would end the run; all of them wait for the lock, up to 5 s; \
             tower-sessions' table is not one that db0 can write"
                .to_owned(),
            "medians of rounds; rounds with and without the second process alternate".to_owned(),
        ],
        columns: COLUMNS.to_vec(),
        comparisons,
    })
}

/// Returns `None` if the second process cannot write to the same table.
async fn row(plan: &Plan, contender: &Contender, callers: usize) -> Option<Row> {
    if !contender.runs_here() {
        return None;
    }
    let mut process = Subprocess::of_subject(super::TITLE, contender.name);
    let look = Work {
        operation: Operation::Commit,
        callers: 1,
        operations: 1,
    };
    let Took { file, .. } = process.ask(&look).await;
    let Some((file, table)) = file else {
        process.end().await;
        return None;
    };
    let mut second = second(&file, &table).await;
    let work = calibrated(plan, &mut process, Operation::Commit, callers).await;
    let mut values = vec![Vec::new(); COLUMNS.len()];
    for _ in 0..plan.store_rounds {
        let question = Question {
            milliseconds: plan.store_round.as_millis(),
        };
        let alone = rate(&mut process, work).await;
        let second_alone: Answer = second.ask(&question).await;
        let (beside, answer): (_, Answer) =
            tokio::join!(rate(&mut process, work), second.ask(&question));
        let round = [
            alone,
            beside,
            second_alone.written / second_alone.seconds,
            answer.written / answer.seconds,
            100.0 * answer.refused / (answer.written + answer.refused).max(1.0),
            answer.p50,
            answer.p999,
        ];
        for (values, value) in values.iter_mut().zip(round) {
            values.push(value);
        }
    }
    second.end().await;
    process.end().await;
    Some(Row {
        subject: contender.name.to_owned(),
        ours: contender.is_ours,
        values: values.iter().map(|values| Some(median(values))).collect(),
    })
}

async fn second(file: &Path, table: &str) -> Subprocess {
    let arguments = [file.as_os_str(), table.as_ref()];
    let started = javascript::start_with("second-writer.mjs", &arguments).await;
    started.expect("unstorage must run")
}
