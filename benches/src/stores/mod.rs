//! Stores without sessions: operations per second with concurrent callers.

pub(crate) mod cloudflare_kv;
pub(crate) mod fs;
pub(crate) mod memory;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod sqlite;
pub(crate) mod upstash;

mod contender;
mod javascript;
mod requests;

use std::any::Any;
use std::ffi::OsStr;
use std::path::Path;

use tokio::runtime::Runtime;

use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::statistics::{median, spread};
use crate::subprocess::{self, Subprocess};

use contender::{Contender, Runs, Took, Work};
pub(crate) use contender::{Operation, Store};

/// The number of sessions in a store.
pub(crate) const SESSIONS: usize = 10_000;
/// The size of a value in bytes.
pub(crate) const VALUE_LENGTH: usize = 600;

pub(crate) const CALLERS: [usize; 3] = [1, 8, 64];

const COLUMNS: [Column; 4] = [
    Column::plotted("ops/s", 0),
    Column::plain("± %", 1),
    Column::plain("ns/op", 0),
    Column::plain("ours ×", 2),
];

/// A backend with its contenders. To add one, add a file and a line in [`BACKENDS`].
struct Backend {
    title: &'static str,
    note: &'static str,
    location: Location,
    operations: &'static [Operation],
    callers: &'static [usize],
    contenders: &'static [Contender],
}

/// Where a backend stores its sessions.
enum Location {
    /// In the memory of each process.
    Memory,
    /// In a separate file of each process.
    Folder,
    /// On one server that all processes share.
    Server(fn() -> Server),
}

/// A server that stops when this value is dropped.
pub(crate) struct Server {
    /// The URL for the contenders.
    pub(crate) url: String,
    _running: Box<dyn Any>,
}

impl Server {
    pub(crate) fn new(url: impl Into<String>, running: impl Any) -> Self {
        Self {
            url: url.into(),
            _running: Box::new(running),
        }
    }
}

const BACKENDS: [Backend; 11] = [
    fs::ON_DISK,
    fs::IN_MEMORY,
    memory::BACKEND,
    sqlite::BACKEND,
    redis::BACKEND,
    redis::ON_VALKEY,
    redis::requests::BACKEND,
    redis::requests::ON_VALKEY,
    postgres::BACKEND,
    upstash::BACKEND,
    cloudflare_kv::BACKEND,
];

/// Runs the selected benchmarks.
pub(crate) async fn measure(plan: &Plan) -> Vec<Section> {
    let mut sections = Vec::new();
    for backend in &BACKENDS {
        let mut wanted = Vec::new();
        for &operation in backend.operations {
            for &callers in backend.callers {
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
    sections.extend(sqlite::beside::measure(plan).await);
    sections.extend(redis::requests::lost(plan).await);
    sections
}

/// Returns the title of a comparison.
pub(crate) fn comparison(operation: Operation, callers: usize) -> String {
    let noun = if callers == 1 { "caller" } else { "callers" };
    format!("{}, {callers} {noun}", operation.title())
}

async fn measure_backend(
    plan: &Plan,
    backend: &Backend,
    wanted: Vec<(String, Operation, usize)>,
) -> Section {
    let folder = folder();
    let server = match backend.location {
        Location::Server(start) => Some(start()),
        Location::Memory | Location::Folder => None,
    };
    let url = server.as_ref().map(|server| &server.url);
    let mut processes = Vec::new();
    for contender in backend.contenders {
        processes.push(match (&contender.runs, url) {
            (Runs::InNode(kind, sessions), _) => {
                let database = folder.path().join("unstorage.db");
                let place = url.map_or(database.as_os_str(), OsStr::new);
                let started = javascript::start(kind, place, *sessions).await;
                started.expect("unstorage must run")
            }
            (_, Some(url)) => Subprocess::of_subject_at(backend.title, contender.name, url),
            (_, None) => Subprocess::of_subject(backend.title, contender.name),
        });
    }
    let mut notes = vec![
        format!(
            "{SESSIONS} sessions with values of {VALUE_LENGTH} bytes, picked evenly; each contender in a process of \
             its own; callers are tasks on as many threads as there are processors; medians of rounds that take turns"
        ),
        backend.note.to_owned(),
    ];
    for contender in backend.contenders {
        notes.push(format!("{}: {}", contender.name, contender.note));
    }
    let mut comparisons = Vec::new();
    for (title, operation, callers) in wanted {
        eprintln!("benches: {}: {title}", backend.title);
        let rates = compare(plan, &mut processes, operation, callers).await;
        comparisons.push(Comparison {
            title,
            rows: rows(backend.contenders, &rates),
        });
    }
    for process in processes {
        process.end().await;
    }
    Section {
        title: backend.title,
        notes,
        columns: COLUMNS.to_vec(),
        comparisons,
    }
}

/// Creates a folder for databases in the target folder, which is on a disk.
pub(crate) fn folder() -> tempfile::TempDir {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&target)
        .and_then(|()| tempfile::tempdir_in(target))
        .expect("a folder")
}

/// Measures the operations per second of each process, round by round.
async fn compare(
    plan: &Plan,
    processes: &mut [Subprocess],
    operation: Operation,
    callers: usize,
) -> Vec<Vec<f64>> {
    let mut works = Vec::new();
    for process in &mut *processes {
        works.push(calibrated(plan, process, operation, callers).await);
    }
    let mut rates = vec![Vec::new(); works.len()];
    for _ in 0..plan.store_rounds {
        for ((process, work), rates) in processes.iter_mut().zip(&works).zip(&mut rates) {
            rates.push(rate(process, *work).await);
        }
    }
    rates
}

fn rows(contenders: &[Contender], rates: &[Vec<f64>]) -> Vec<Row> {
    let measured = || contenders.iter().zip(rates);
    let ours = measured()
        .find(|(contender, _)| contender.is_ours)
        .map(|(_, rates)| median(rates));
    measured()
        .map(|(contender, rates)| {
            let rate = median(rates);
            Row {
                subject: contender.name.to_owned(),
                ours: contender.is_ours,
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

/// Returns how many operations a round needs to last about as long as planned.
async fn calibrated(
    plan: &Plan,
    process: &mut Subprocess,
    operation: Operation,
    callers: usize,
) -> Work {
    /// The shortest duration for warm-up and calibration.
    const WARM: f64 = 0.02;
    let mut work = Work {
        operation,
        callers,
        operations: 16_usize.div_ceil(callers),
    };
    loop {
        let took: Took = process.ask(&work).await;
        if took.seconds > WARM {
            break;
        }
        work.operations *= 8;
    }
    let rate = rate(process, work).await;
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
async fn rate(process: &mut Subprocess, work: Work) -> f64 {
    let took: Took = process.ask(&work).await;
    (work.callers * work.operations) as f64 / took.seconds
}

/// Runs the contender with this name.
pub(crate) fn be(runtime: &Runtime, section: &str, name: &str, server: Option<String>) {
    let backend = BACKENDS.iter().find(|backend| backend.title == section);
    let mut contenders = backend.into_iter().flat_map(|backend| backend.contenders);
    let contender = contenders.find(|contender| contender.name == name);
    let worker = match (contender.map(|contender| &contender.runs), server) {
        (Some(Runs::Here(open)), _) => runtime.block_on(open()),
        (Some(Runs::At(open)), Some(server)) => runtime.block_on(open(server)),
        _ => return,
    };
    subprocess::answer(|work: Work| runtime.block_on(worker.run(work)));
}
