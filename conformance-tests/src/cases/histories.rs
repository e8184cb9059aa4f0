//! Histories of concurrent operations have an order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{
    Conditions, ConflictState, Driver, Entry, Error, Expiry, Key, Outcome, RemoveOptions,
    RemoveOutcome, TouchOptions, Version, Write, WriteOptions, WriteOutcome,
};

use super::cases;
use crate::case::Need;
use crate::context::{Context, random};
use crate::failure::{CaseResult, Failure, describe};
use crate::history::{History, Recorded, Recorder};
use crate::subject::Disruption;

cases! {
    concurrent_operations_have_an_order [Need::Writes, Need::Strong]: "concurrent operations on a key take effect one after the other, each as the contract says";
    concurrent_operations_with_expiry_have_an_order [Need::Writes, Need::Strong, Need::ShortLives]: "concurrent operations on entries that expire take effect one after the other";
    operations_during_a_fault_have_an_order [Need::Writes, Need::Strong, Need::Disruption]: "what a driver says of an operation is true, also when the backend fails meanwhile";
}

/// How many tasks use the keys of a round at once.
const TASKS: usize = 8;

/// How many operations each task makes in a round.
const OPERATIONS: usize = 20;

type Process = Recorded<Arc<dyn Driver>>;

/// How often each operation is chosen. Each round has one of these mixes.
#[derive(Clone, Copy)]
struct Mix {
    read: u64,
    write: u64,
    if_absent: u64,
    if_version: u64,
    remove: u64,
    remove_version: u64,
    touch: u64,
    batches: u64,
}

const MIXES: [Mix; 4] = [
    Mix {
        read: 4,
        write: 3,
        if_absent: 2,
        if_version: 3,
        remove: 1,
        remove_version: 1,
        touch: 2,
        batches: 3,
    },
    // A session that is destroyed, beside requests that save it.
    Mix {
        read: 4,
        write: 0,
        if_absent: 1,
        if_version: 6,
        remove: 3,
        remove_version: 2,
        touch: 0,
        batches: 1,
    },
    // Touches beside writes.
    Mix {
        read: 3,
        write: 3,
        if_absent: 1,
        if_version: 3,
        remove: 1,
        remove_version: 0,
        touch: 6,
        batches: 0,
    },
    // Batches beside everything.
    Mix {
        read: 1,
        write: 2,
        if_absent: 1,
        if_version: 2,
        remove: 1,
        remove_version: 1,
        touch: 1,
        batches: 8,
    },
];

/// A source of random numbers, since a task has its own.
struct Random(u64);

impl Random {
    /// Returns a number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

/// A task that makes random operations.
struct Task {
    driver: Arc<Process>,
    number: usize,
    random: Random,
    mix: Mix,
    conditions: bool,
    touch: bool,
    /// The longest life of an entry. `None` if no entry expires.
    longest: Option<Duration>,
    /// The last version that this task saw of any key.
    seen: Option<(Key, Version)>,
    made: usize,
}

impl Task {
    fn value(&mut self) -> String {
        self.made += 1;
        format!("{}.{}", self.number, self.made)
    }

    fn expiry(&mut self) -> Expiry {
        match self.longest {
            Some(longest) if self.random.below(2) == 0 => {
                let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
                Expiry::after(Duration::from_millis(1 + self.random.below(millis)))
            }
            _ => Expiry::Never,
        }
    }

    fn version_of(&self, key: &Key) -> Option<Version> {
        let (of, version) = self.seen.as_ref()?;
        (of == key).then(|| version.clone())
    }

    fn saw(&mut self, key: &Key, version: Option<Version>) {
        self.seen = version.map(|version| (key.clone(), version));
    }

    fn saw_entry(&mut self, key: &Key, entry: Option<&Entry>) {
        self.saw(key, entry.and_then(|entry| entry.version.clone()));
    }

    fn saw_outcome(&mut self, key: &Key, outcome: &WriteOutcome) {
        match outcome {
            WriteOutcome::Written { version, .. } => self.saw(key, version.clone()),
            WriteOutcome::Conflict(ConflictState::Present(entry)) => {
                self.saw_entry(key, Some(entry));
            }
            _ => self.seen = None,
        }
    }

    /// Makes one operation.
    async fn step(&mut self, keys: &[Key]) -> Result<(), Error> {
        let count = u64::try_from(keys.len()).unwrap_or(1);
        let chosen = usize::try_from(self.random.below(count)).unwrap_or(0);
        let Some(key) = keys.get(chosen) else {
            return Ok(());
        };
        let key = &key.clone();
        let mix = self.mix;
        let (with, touching) = (u64::from(self.conditions), u64::from(self.touch));
        let weights = [
            mix.read,
            mix.write + (1 - with) * 2,
            mix.if_absent * with,
            mix.if_version * with,
            mix.remove,
            mix.remove_version * with,
            mix.touch * touching,
            mix.batches,
        ];
        let mut left = self.random.below(weights.iter().sum());
        let mut chosen = 0;
        for (number, weight) in weights.into_iter().enumerate() {
            if left < weight {
                chosen = number;
                break;
            }
            left -= weight;
        }
        let driver = Arc::clone(&self.driver);
        match chosen {
            0 => self.read(key).await,
            1..=3 => {
                let options = match (chosen, self.version_of(key)) {
                    (2, _) => WriteOptions::if_absent(),
                    (3, Some(version)) => WriteOptions::if_version(version),
                    (3, None) => return self.read(key).await,
                    _ => WriteOptions::default(),
                };
                let options = options.with_expiry(self.expiry());
                let outcome = driver.write(key, self.value().into(), options).await?;
                self.saw_outcome(key, &outcome);
                Ok(())
            }
            4 => driver.remove(key, RemoveOptions::default()).await.map(drop),
            5 => {
                let Some(version) = self.version_of(key) else {
                    return self.read(key).await;
                };
                let options = RemoveOptions::if_version(version);
                let outcome = driver.remove(key, options).await?;
                if outcome == RemoveOutcome::Removed {
                    self.seen = None;
                }
                Ok(())
            }
            6 => {
                let version = self.version_of(key).filter(|_| self.random.below(2) == 0);
                let options = TouchOptions::to(self.expiry()).with_version(version);
                driver.touch(key, options).await.map(drop)
            }
            _ => self.batch(keys).await,
        }
    }

    async fn read(&mut self, key: &Key) -> Result<(), Error> {
        match self.random.below(4) {
            0 => self.driver.exists(key).await.map(drop),
            1 => {
                let metadata = self.driver.metadata(key).await?;
                self.saw(key, metadata.and_then(|metadata| metadata.version));
                Ok(())
            }
            _ => {
                let entry = self.driver.read(key).await?;
                self.saw_entry(key, entry.as_ref());
                Ok(())
            }
        }
    }

    async fn batch(&mut self, keys: &[Key]) -> Result<(), Error> {
        match self.random.below(4) {
            0 => self.driver.read_many(keys).await.map(drop),
            1 => self.driver.remove_many(keys).await,
            _ => {
                let mut writes = Vec::with_capacity(keys.len());
                for key in keys {
                    let options = match (self.conditions, self.random.below(3)) {
                        (true, 0) => WriteOptions::if_absent(),
                        (true, 1) => match self.version_of(key) {
                            Some(version) => WriteOptions::if_version(version),
                            None => WriteOptions::default(),
                        },
                        _ => WriteOptions::default(),
                    };
                    let options = options.with_expiry(self.expiry());
                    writes.push(Write::new(key.clone(), self.value()).with_options(options));
                }
                let outcomes = self.driver.write_many(writes).await;
                for (key, outcome) in keys.iter().zip(outcomes) {
                    self.saw_outcome(key, &outcome?);
                }
                Ok(())
            }
        }
    }
}

/// Rounds of concurrent operations, each on keys of its own.
struct Rounds {
    context: Context,
    drivers: Vec<Arc<dyn Driver>>,
    longest: Option<Duration>,
}

impl Rounds {
    async fn new(context: &Context, longest: Option<Duration>) -> Self {
        let mut drivers = vec![Arc::clone(&context.driver)];
        if context.subject.shared_backend {
            drivers.push(context.another_driver().await);
        }
        Self {
            context: context.clone(),
            drivers,
            longest,
        }
    }

    fn recorder(&self) -> Recorder {
        let recorder = Recorder::with_default_ttl(self.context.subject.default_ttl);
        match self.context.subject.clocks_of_clients {
            true => recorder.with_clocks_of_clients(),
            false => recorder,
        }
    }

    fn tasks(&self, recorder: &Recorder, mix: Mix) -> Vec<Task> {
        let drivers = self.drivers.iter().cycle().take(TASKS).enumerate();
        drivers
            .map(|(number, driver)| Task {
                driver: Arc::new(recorder.driver(Arc::clone(driver))),
                number,
                random: Random(random()),
                mix,
                conditions: self.context.capabilities.conditions != Conditions::None,
                touch: self.context.capabilities.touch,
                longest: self.longest,
                seen: None,
                made: 0,
            })
            .collect()
    }

    /// Runs one round and checks it.
    async fn run(&self, number: usize) -> CaseResult {
        let mix = MIXES
            .iter()
            .cycle()
            .nth(number)
            .copied()
            .unwrap_or(MIXES[0]);
        let recorder = self.recorder();
        let names = (0..2).map(|key| format!("r{number}k{key}"));
        let keys = names.map(|name| self.context.key(&name));
        let keys: Arc<[Key]> = keys.collect::<Result<Vec<_>, _>>()?.into();
        let failed = Arc::new(AtomicUsize::new(0));
        let tasks = self.tasks(&recorder, mix).into_iter().map(|mut task| {
            let (keys, failed) = (Arc::clone(&keys), Arc::clone(&failed));
            tokio::spawn(async move {
                let mut error = None;
                for _ in 0..OPERATIONS {
                    if let Err(next) = task.step(&keys).await {
                        failed.fetch_add(1, Ordering::Relaxed);
                        error = Some(next);
                    }
                    if task.random.below(4) == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                error
            })
        });
        let mut error = None;
        for done in join_all(tasks).await {
            error = done.map_err(panicked)?.or(error);
        }
        // A driver that is busy may refuse some operations, but not most of them.
        if let Some(error) = error
            && failed.load(Ordering::Relaxed) > TASKS * OPERATIONS / 4
        {
            return Err(error.into());
        }
        for driver in &self.drivers {
            let last = recorder.driver(Arc::clone(driver));
            for key in &*keys {
                last.read(key).await?;
            }
        }
        self.context.driver.remove_many(&keys).await?;
        ordered(&recorder.history())
    }
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    Failure::new("no panic", error.to_string())
}

fn ordered(history: &History) -> CaseResult {
    history.check().map_err(|disorder| {
        Failure::new(
            "an order of the operations on each key that explains all answers",
            disorder.to_string(),
        )
    })
}

async fn run_rounds(context: &Context, longest: Option<Duration>) -> CaseResult {
    let budget = context.budget();
    let rounds = Rounds::new(context, longest).await;
    let mut number = 0;
    while budget.allows(u64::try_from(number).unwrap_or(u64::MAX)) {
        rounds.run(number).await?;
        number += 1;
    }
    Ok(())
}

async fn concurrent_operations_have_an_order(context: Context) -> CaseResult {
    run_rounds(&context, None).await
}

async fn concurrent_operations_with_expiry_have_an_order(context: Context) -> CaseResult {
    let longest = context.capabilities.minimum_ttl + Duration::from_millis(20);
    run_rounds(&context, Some(longest)).await
}

async fn operations_during_a_fault_have_an_order(context: Context) -> CaseResult {
    let rounds = Rounds::new(&context, None).await;
    for (number, disruption) in context.subject.disruptions.iter().enumerate() {
        for round in 0..3 {
            disrupt(&rounds, disruption, number * 3 + round)
                .await
                .map_err(|failure| failure.at(format!("during: {}", disruption.name)))?;
        }
    }
    Ok(())
}

/// The longest time for which operations may fail after a fault is over.
const RECOVERY: Duration = Duration::from_secs(30);

/// How long a task pauses after an operation while the fault is awaited, so that histories stay short.
const PAUSE: Duration = Duration::from_millis(1);

/// Runs operations, causes the fault meanwhile, and checks all that was answered.
async fn disrupt(rounds: &Rounds, disruption: &Disruption, number: usize) -> CaseResult {
    let recorder = rounds.recorder();
    let generation = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let tasks = rounds
        .tasks(&recorder, MIXES[0])
        .into_iter()
        .map(|mut task| {
            let (generation, stop) = (Arc::clone(&generation), Arc::clone(&stop));
            let context = rounds.context.clone();
            tokio::spawn(async move {
                let mut steps = 0;
                while !stop.load(Ordering::Relaxed) {
                    let now = generation.load(Ordering::Relaxed);
                    let names = [format!("d{number}g{now}"), format!("d{number}h{now}")];
                    let keys = [context.key(&names[0])?, context.key(&names[1])?];
                    let Err(error) = task.step(&keys).await else {
                        // A key has so few calls that its history stays quick to check.
                        steps += 1;
                        if steps % 12 == 11 {
                            generation.fetch_add(1, Ordering::Relaxed);
                        }
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    };
                    if error.outcome() == Outcome::Unknown {
                        // Nobody begins anything on this key again: what is open makes the search long.
                        let _retired = generation.compare_exchange(
                            now,
                            now + 1,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        );
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok::<(), Failure>(())
            })
        });
    let tasks: Vec<_> = tasks.collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cause = (disruption.cause)();
    let caused = match disruption.loses_writes {
        true => recorder.while_losing_writes(cause).await,
        false => cause.await,
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    for done in join_all(tasks).await {
        done.map_err(panicked)??;
    }
    caused.map_err(|error| Failure::new("the fault to be caused", error.to_string()))?;
    read_all(
        rounds,
        &recorder,
        number,
        generation.load(Ordering::Relaxed),
    )
    .await?;
    ordered(&recorder.history())
}

/// Reads every key that was used, as soon as the backend answers again.
async fn read_all(
    rounds: &Rounds,
    recorder: &Recorder,
    number: usize,
    generations: usize,
) -> CaseResult {
    let started = Instant::now();
    for driver in &rounds.drivers {
        let driver = recorder.driver(Arc::clone(driver));
        for generation in 0..=generations {
            for name in ["g", "h"] {
                let key = Key::new(&format!("d{number}{name}{generation}"))?;
                while let Err(error) = driver.read(&key).await {
                    if started.elapsed() > RECOVERY {
                        return Err(Failure::new(
                            format!("reads to succeed within {RECOVERY:?} after the fault"),
                            describe(&error),
                        ));
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    Ok(())
}
