//! The costs of large stores: time, memory, the expiry of half of the sessions at once, and listing.

mod batched;
mod fs;
mod memory;
mod postgres;
mod sqlite;
mod subject;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::statistics::{median, quantile};
use crate::subprocess::{self, Subprocess};

use subject::{Candidate, Subject};

pub(crate) const TITLE: &str = "growth";
/// Returns the title of a comparison.
pub(crate) fn comparison(kind: &str, sessions: usize) -> String {
    format!("{kind}, {sessions} sessions")
}

const COLUMNS: [Column; 11] = [
    Column::plotted("read ns", 0),
    Column::plotted("write ns", 0),
    Column::plotted("bytes above", 0),
    Column::plain("list all ms", 1),
    Column::plain("expiry: ops", 0),
    Column::plain("p50 µs", 2),
    Column::plain("p99.9 µs", 1),
    Column::plotted("max µs", 0),
    Column::plain("over 1 ms", 0),
    Column::plain("before: max µs", 0),
    Column::plain("over 1 ms", 0),
];

/// Runs the selected benchmarks.
pub(crate) async fn measure(plan: &Plan) -> Vec<Section> {
    let mut comparisons = Vec::new();
    for (kind, candidates) in KINDS {
        let sizes = match kind {
            MEMORY => plan.memory_sizes,
            FS => plan.fs_sizes,
            _ => plan.sqlite_sizes,
        };
        for sessions in sizes {
            let title = comparison(kind, *sessions);
            if plan.includes(&format!("{TITLE}: {title}")) {
                eprintln!("benches: {TITLE}: {title}");
                let mut rows = Vec::new();
                for candidate in candidates {
                    rows.push(grow(plan, candidate, *sessions).await);
                }
                comparisons.push(Comparison { title, rows });
            }
        }
    }
    if comparisons.is_empty() {
        return Vec::new();
    }
    vec![Section {
        title: TITLE,
        notes: notes(plan),
        columns: COLUMNS.to_vec(),
        comparisons,
    }]
}

fn notes(plan: &Plan) -> Vec<String> {
    vec![
        "each in a process of its own, one after another, not in turns; one caller, each operation timed by itself, \
         with what the clock takes"
            .to_owned(),
        "bytes above: those that were asked of the allocator for a session, without its key of 36 and its value of \
         64 bytes; on SQLite those of the file, on PostgreSQL those of the table and its indexes, in a folder those that the file system sets aside"
            .to_owned(),
        "bare dashmap, bare files and bare sqlx: they know no expiry, or hide what has ended and never remove it, so that \
         nothing happens when it ends; tower-sessions: MemoryStore likewise, SqliteStore with its own deletion task, \
         once a second; ours sweeps five times a second"
            .to_owned(),
        format!(
            "expiry: half of the sessions end at one moment; for {:?} around it a caller reads sessions that stay \
             and writes one, every fourth time; before: the same over as long a time before that",
            plan.expiry_watch
        ),
        "the longest operation bounds the longest time that a lock is held; on a busy machine it is the \
         scheduler's: compare `before`"
            .to_owned(),
    ]
}

const MEMORY: &str = "memory";
const FS: &str = "fs";

const KINDS: [(&str, &[Candidate]); 4] = [
    (MEMORY, &memory::CANDIDATES),
    (FS, &fs::CANDIDATES),
    ("sqlite", &sqlite::CANDIDATES),
    ("postgres", &postgres::CANDIDATES),
];

/// A question to a subject.
#[derive(Serialize, Deserialize)]
struct Question {
    sessions: usize,
    expiry_watch: Duration,
}

async fn grow(plan: &Plan, candidate: &Candidate, sessions: usize) -> Row {
    let mut process = Subprocess::of_subject(TITLE, candidate.name);
    let question = Question {
        sessions,
        expiry_watch: plan.expiry_watch,
    };
    let values = process.ask(&question).await;
    process.end().await;
    Row {
        subject: candidate.name.to_owned(),
        ours: candidate.is_ours,
        values,
    }
}

/// Runs the subject with this name.
pub(crate) fn be(runtime: &Runtime, name: &str) {
    let mut candidates = KINDS.iter().flat_map(|(_, candidates)| candidates.iter());
    if let Some(candidate) = candidates.find(|candidate| candidate.name == name) {
        subprocess::answer(|question: Question| {
            runtime
                .block_on(async { measure_one((candidate.open)().await.as_mut(), question).await })
        });
    }
}

async fn measure_one(subject: &mut dyn Subject, question: Question) -> Vec<Option<f64>> {
    let Question {
        sessions,
        expiry_watch,
    } = question;
    let loading = Instant::now();
    let end = loading + Duration::from_secs(3_600);
    let bytes_before = subject.bytes();
    subject.begin_batch().await;
    for session in 0..sessions {
        subject.write(session, end).await;
    }
    subject.end_batch().await;
    let load = loading.elapsed();
    let bytes = subject.bytes() - bytes_before;
    let read = timed(subject, sessions, end, false).await;
    let write = timed(subject, sessions, end, true).await;
    let listing = Instant::now();
    let listed = subject.list().await;
    let listing = listed.map(|listed| {
        assert_eq!(listed, sessions, "all are listed");
        milliseconds(listing.elapsed())
    });
    let mut values = vec![
        Some(median(&read)),
        Some(median(&write)),
        Some(per_session(bytes, sessions)),
        listing,
    ];
    values.extend(expire_half(expiry_watch, subject, sessions, load).await);
    values
}

/// Measures single operations over all sessions, in nanoseconds.
async fn timed(subject: &mut dyn Subject, sessions: usize, end: Instant, write: bool) -> Vec<f64> {
    const OPERATIONS: usize = 2_000;
    let mut nanoseconds = Vec::new();
    for operation in 0..OPERATIONS {
        let session = operation * 7_919 % sessions;
        let started = Instant::now();
        if write {
            subject.write(session, end).await;
        } else {
            subject.read(session).await;
        }
        nanoseconds.push(started.elapsed().as_secs_f64() * 1e9);
    }
    nanoseconds
}

/// Measures another caller while every second session expires at the same moment.
async fn expire_half(
    expiry_watch: Duration,
    subject: &mut dyn Subject,
    sessions: usize,
    load: Duration,
) -> [Option<f64>; 7] {
    // The expiry must be after the last write. There are half as many writes as `load` made.
    let end = Instant::now() + load + expiry_watch * 2;
    subject.begin_batch().await;
    for session in (0..sessions).step_by(2) {
        subject.write(session, end).await;
    }
    subject.end_batch().await;
    let half = expiry_watch / 2;
    let calm = watch(subject, sessions, Instant::now() + expiry_watch).await;
    tokio::time::sleep_until((end - half).into()).await;
    let ending = watch(subject, sessions, end + half * 3).await;
    #[expect(clippy::cast_precision_loss, reason = "a number of operations")]
    [
        Some(ending.len() as f64),
        Some(quantile(&ending, 0.5)),
        Some(quantile(&ending, 0.999)),
        Some(quantile(&ending, 1.0)),
        Some(over_one_millisecond(&ending)),
        Some(quantile(&calm, 1.0)),
        Some(over_one_millisecond(&calm)),
    ]
}

/// Measures each operation of a caller until `end`, in microseconds.
async fn watch(subject: &mut dyn Subject, sessions: usize, end: Instant) -> Vec<f64> {
    let far = Instant::now() + Duration::from_secs(3_600);
    let mut microseconds = Vec::new();
    let mut operation = 0;
    loop {
        let session = (operation * 7_919 % sessions) | 1;
        let session = session.min(sessions - 1);
        let started = Instant::now();
        if operation % 4 == 3 {
            subject.write(session, far).await;
        } else {
            subject.read(session).await;
        }
        let ended = Instant::now();
        microseconds.push((ended - started).as_secs_f64() * 1e6);
        if ended > end {
            return microseconds;
        }
        // The calls are spaced out as on a server, so that the background tasks of the store can run.
        if operation % 64 == 0 {
            tokio::task::yield_now().await;
        }
        operation += 1;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a number of operations")]
fn over_one_millisecond(microseconds: &[f64]) -> f64 {
    microseconds.iter().filter(|took| **took > 1e3).count() as f64
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "bytes and a number of sessions")]
fn per_session(bytes: i64, sessions: usize) -> f64 {
    let payload = i64::try_from(sessions * (subject::KEY_LENGTH + subject::VALUE_LENGTH));
    (bytes - payload.unwrap_or(i64::MAX)) as f64 / sessions as f64
}
