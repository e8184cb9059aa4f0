//! Compares a typical session record with serde_json and equivalent JSON: `cargo bench -p serde_devalue`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_devalue::{Document, Map, WriteOptions, Writer};

#[path = "../tests/record/mod.rs"]
mod record;

/// Returns the best of many short runs, which had the least disturbance.
fn time<T>(mut run: impl FnMut() -> T) -> Duration {
    const RUNS: u32 = 2_000;
    let mut best = Duration::MAX;
    for _ in 0..60 {
        let start = Instant::now();
        for _ in 0..RUNS {
            black_box(run());
        }
        best = best.min(start.elapsed() / RUNS);
    }
    best
}

fn compare(what: &str, ours: Duration, json: Duration) {
    let ratio = json.as_secs_f64() / ours.as_secs_f64();
    println!("{what:<28} {ours:>10.2?}   serde_json {json:>10.2?}   {ratio:.2} of its speed");
}

fn main() {
    let record = record::typical();
    let text = serde_devalue::to_string(&Map(&record)).unwrap();
    let json = serde_json::to_string(&record).unwrap();
    println!(
        "{} bytes of devalue, {} bytes of JSON",
        text.len(),
        json.len()
    );
    let document = Document::parse(text.clone()).unwrap();
    let bytes = document.as_bytes().clone();

    compare(
        "read into a type",
        time(|| serde_devalue::from_str::<record::Record>(black_box(&text)).unwrap()),
        time(|| serde_json::from_str::<record::Record>(black_box(&json)).unwrap()),
    );
    compare(
        "read into borrowed values",
        time(|| serde_devalue::from_str::<record::Borrowed<'_>>(black_box(&text)).unwrap()),
        time(|| serde_json::from_str::<record::Borrowed<'_>>(black_box(&json)).unwrap()),
    );
    compare(
        "write from a type",
        time(|| serde_devalue::to_string(black_box(&Map(&record))).unwrap()),
        time(|| serde_json::to_string(black_box(&record)).unwrap()),
    );
    println!(
        "{:<28} {:>10.2?}",
        "Document::parse",
        time(|| Document::parse(black_box(&bytes).clone()).unwrap())
    );
    println!(
        "{:<28} {:>10.2?}",
        "one entry of a document",
        time(|| {
            let (_, entry) = black_box(&document)
                .root()
                .map_entries()
                .unwrap()
                .nth(3)
                .unwrap()
                .unwrap();
            let (_, data) = entry.object_entries().unwrap().next().unwrap().unwrap();
            data.deserialize::<Vec<record::CartItem>>().unwrap()
        })
    );
    println!(
        "{:<28} {:>10.2?}",
        "a record from its nodes",
        time(|| record::rewrite(black_box(&document), Writer::new(WriteOptions::astro())))
    );
}
