//! Mutants: a right driver with one change in one answer, one argument or one effect, chosen at random. The suite must
//! catch them. `MUTANTS=500 cargo test --release -p conformance-tests --test mutants -- --nocapture` runs more.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod mutants {
    pub(crate) mod driver;
    pub(crate) mod mutation;
}

use std::sync::Arc;

use driver_memory::MemoryDriver;
use mutants::driver::Mutant;
use mutants::mutation::{Change, Method, Mutation, Trigger};

use conformance_tests::{Fault, Faulty, HookError, Subject};
use session_core::{Driver, ErrorKind, Expiry, WriteOptions};

const TTL: std::time::Duration = std::time::Duration::from_secs(3_600);

/// A subject with every hook, whose driver has the mutation.
fn subject(backend: &Arc<MemoryDriver>, mutation: &Mutation) -> Subject {
    let mutant = || Mutant::new(Arc::clone(backend), mutation.clone());
    let unreachable = Faulty::new(mutant());
    let fault = Fault::before(ErrorKind::Unavailable);
    unreachable.faults().outage(fault);
    let foreign = Arc::clone(backend);
    Subject::new(mutant())
        .with_default_ttl(TTL)
        .with_outage(unreachable)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let foreign = Arc::clone(&foreign);
            async move {
                let options = WriteOptions::default().with_expiry(Expiry::Never);
                let _first = foreign.write(&key, value, options).await?;
                Ok::<(), HookError>(())
            }
        })
}

/// The cases in the order in which they are tried: the ones that find most in the shortest time come first.
fn stages() -> [Vec<&'static str>; 3] {
    let (mut first, mut last, mut random) = (Vec::new(), Vec::new(), Vec::new());
    for name in conformance_tests::case_names() {
        if name.contains("every_method") {
            first.push(name);
        } else if name.starts_with("random_") {
            random.push(name);
        } else {
            last.push(name);
        }
    }
    [first, random, last]
}

/// Returns the cases that catch the mutation, of the first stage that has one.
async fn caught_by(mutation: &Mutation) -> Vec<String> {
    for stage in stages() {
        let backend = Arc::new(MemoryDriver::new().with_ttl(TTL));
        let mutation = mutation.clone();
        let open = move || {
            let subject = subject(&backend, &mutation);
            async move { subject }
        };
        let report = conformance_tests::run_only(&stage, open).await;
        let failed: Vec<String> = report.failed().map(|(name, _)| name.to_owned()).collect();
        if !failed.is_empty() {
            return failed;
        }
    }
    Vec::new()
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 300)]
async fn the_driver_that_is_mutated_is_right() {
    let mutation = Mutation {
        method: Method::Read,
        change: Change::Miss,
        trigger: Trigger::Never,
    };
    assert_eq!(caught_by(&mutation).await, Vec::<String>::new());
}

/// How many mutants are tried by default.
const DEFAULT: usize = 40;

/// How many runs a mutant must survive. The programs are random, so that one run may not meet a rare mistake.
const RUNS: usize = 3;

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 3600)]
async fn mutants_are_caught() {
    let count = std::env::var("MUTANTS").ok();
    let count = count
        .and_then(|count| count.parse().ok())
        .unwrap_or(DEFAULT);
    let first = std::env::var("FIRST_MUTANT").ok();
    let first: u64 = first.and_then(|first| first.parse().ok()).unwrap_or(1);
    let (mut tried, mut by_chance, mut survivors) = (0, 0, Vec::new());
    for seed in (first..).take(count) {
        let mutation = Mutation::of(seed);
        if let Some(reason) = mutation.is_unobservable() {
            println!("mutant {seed}: {mutation:?}: not counted, {reason}");
            continue;
        }
        tried += 1;
        let mut caught = caught_by(&mutation).await;
        if caught.is_empty() {
            println!("mutant {seed}: {mutation:?}: survived a run");
            by_chance += 1;
            for _ in 1..RUNS {
                if caught.is_empty() {
                    caught = caught_by(&mutation).await;
                }
            }
        }
        match caught.first() {
            Some(case) => println!(
                "mutant {seed}: {mutation:?}: caught by {case} and {} more",
                caught.len() - 1
            ),
            None => {
                println!("mutant {seed}: {mutation:?}: SURVIVED");
                survivors.push(format!("{seed}: {mutation:?}"));
            }
        }
    }
    let caught = tried - survivors.len();
    println!("caught {caught} of {tried} mutants, {by_chance} of them not by the first run");
    assert!(by_chance * 10 <= tried, "too many depend on chance");
    assert!(
        survivors.len() * 100 <= tried,
        "{} of {tried} mutants survive:\n{}",
        survivors.len(),
        survivors.join("\n")
    );
}
