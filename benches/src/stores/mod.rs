//! Stores without sessions: operations a second, by callers at the same time.

pub(crate) mod memory;
pub(crate) mod sqlite;

mod contender;
mod javascript;

use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::statistics::{median, spread};

pub(crate) use contender::{Contender, Operation, Store, Work, in_process};

/// How many sessions a store holds.
pub(crate) const SESSIONS: usize = 10_000;
/// How long the value of a session is.
pub(crate) const VALUE_LENGTH: usize = 600;

const CALLERS: [usize; 3] = [1, 8, 64];

const COLUMNS: [Column; 4] = [
    Column::plotted("ops/s", 0),
    Column::plain("± %", 1),
    Column::plain("ns/op", 0),
    Column::plain("ours ×", 2),
];

/// A backend with all that is compared on it. A further one is a file and a line in [`BACKENDS`].
struct Backend {
    title: &'static str,
    note: &'static str,
    contenders: fn() -> futures_util::future::BoxFuture<'static, Vec<Box<dyn Contender>>>,
}

const BACKENDS: [Backend; 2] = [
    Backend {
        title: memory::TITLE,
        note: memory::NOTE,
        contenders: || Box::pin(memory::contenders()),
    },
    Backend {
        title: sqlite::TITLE,
        note: sqlite::NOTE,
        contenders: || Box::pin(sqlite::contenders()),
    },
];

/// Measures what the plan asks for.
pub(crate) async fn measure(plan: &Plan) -> Vec<Section> {
    let mut sections = Vec::new();
    for backend in &BACKENDS {
        let mut wanted = Vec::new();
        for operation in Operation::ALL {
            for callers in CALLERS {
                let title = comparison(operation, callers);
                if plan.includes(&format!("{}: {title}", backend.title)) {
                    wanted.push((title, operation, callers));
                }
            }
        }
        if !wanted.is_empty() {
            sections.push(measure_backend(plan, backend, wanted).await);
        }
    }
    sections
}

/// The title of a comparison.
pub(crate) fn comparison(operation: Operation, callers: usize) -> String {
    let noun = if callers == 1 { "caller" } else { "callers" };
    format!("{}, {callers} {noun}", operation.title())
}

async fn measure_backend(
    plan: &Plan,
    backend: &Backend,
    wanted: Vec<(String, Operation, usize)>,
) -> Section {
    let contenders = (backend.contenders)().await;
    let mut notes = vec![
        format!(
            "{SESSIONS} sessions with values of {VALUE_LENGTH} bytes, picked evenly; callers are tasks on as many \
             threads as there are processors; medians of rounds that take turns"
        ),
        backend.note.to_owned(),
    ];
    for contender in &contenders {
        notes.push(format!("{}: {}", contender.name(), contender.note()));
    }
    let mut comparisons = Vec::new();
    for (title, operation, callers) in wanted {
        eprintln!("benches: {}: {title}", backend.title);
        let rows = compare(plan, &contenders, operation, callers).await;
        comparisons.push(Comparison { title, rows });
    }
    Section {
        title: backend.title,
        notes,
        columns: COLUMNS.to_vec(),
        comparisons,
    }
}

async fn compare(
    plan: &Plan,
    contenders: &[Box<dyn Contender>],
    operation: Operation,
    callers: usize,
) -> Vec<Row> {
    let mut works = Vec::new();
    for contender in contenders {
        works.push(calibrated(plan, contender.as_ref(), operation, callers).await);
    }
    let mut rates = vec![Vec::new(); contenders.len()];
    for _ in 0..plan.store_rounds {
        for ((contender, work), rates) in contenders.iter().zip(&works).zip(&mut rates) {
            rates.push(rate(contender.as_ref(), *work).await);
        }
    }
    let ours = contenders
        .iter()
        .zip(&rates)
        .find(|(contender, _)| contender.is_ours())
        .map(|(_, rates)| median(rates));
    contenders
        .iter()
        .zip(&rates)
        .map(|(contender, rates)| {
            let rate = median(rates);
            Row {
                subject: contender.name().to_owned(),
                ours: contender.is_ours(),
                values: vec![
                    Some(rate),
                    Some(spread(rates)),
                    Some(1e9 / rate),
                    ours.map(|ours| ours / rate),
                ],
            }
        })
        .collect()
}

/// So many operations that a round takes about as long as the plan says.
async fn calibrated(
    plan: &Plan,
    contender: &dyn Contender,
    operation: Operation,
    callers: usize,
) -> Work {
    let mut work = Work {
        operation,
        callers,
        operations: 1_000_usize.div_ceil(callers),
    };
    // The first one warms up.
    rate(contender, work).await;
    let rate = rate(contender, work).await;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number of operations of a fraction of a second"
    )]
    let operations = (rate * plan.store_round.as_secs_f64() / callers as f64) as usize;
    work.operations = operations.max(1);
    work
}

#[expect(clippy::cast_precision_loss, reason = "a number of operations")]
async fn rate(contender: &dyn Contender, work: Work) -> f64 {
    let elapsed = contender.run(work).await;
    (work.callers * work.operations) as f64 / elapsed.as_secs_f64()
}
