//! Random programs over all methods of a driver, compared with a reference model.

mod code;
mod execute;
pub(crate) mod families;
pub(crate) mod program;
mod reference;
mod strategy;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use session_core::decorators::Prefixed;
use session_core::{Conditions, Driver, Listing, Prefix};
use tokio::runtime::Handle;

use crate::budget::{Budget, seed_from_environment};
use crate::context::{Context, random};
use crate::failure::{CaseResult, Failure};
use execute::{Difference, Instance, World, execute};
use program::{Action, Only, Program, Put};
pub(crate) use strategy::Focus;
use strategy::{Abilities, programs};

/// How many programs run at once. They mostly wait.
const LANES: usize = 4;

/// The longest time that a failing program is shrunk.
const SHRINKING: Duration = Duration::from_secs(15);

/// How many programs of a case run at once. Many of them wait for an entry to expire.
const AT_ONCE: usize = 24;

/// Runs each of `programs`, or as many of them as a slow backend runs in time, chosen at random.
pub(crate) async fn run_all(context: Context, mut programs: Vec<Program>) -> CaseResult {
    let budget = context.budget().for_a_table();
    let model = Arc::new(Model::new(context, Focus::Keys).await);
    programs.sort_by_cached_key(|_| random());
    let begun = (0..).zip(programs);
    let begun = begun.take_while(|(number, _)| budget.allows(*number));
    let runs = begun.map(|(_, program)| {
        let model = Arc::clone(&model);
        async move {
            let program = model.supported(program);
            model.run_program(&program).await
        }
    });
    let mut runs = stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some(result) = runs.next().await {
        result.map_err(|Difference { code, failure }| {
            Failure::new(
                failure.expected,
                format!("{}\n\nThe program:\n\n{code}", failure.got),
            )
        })?;
    }
    Ok(())
}

/// Runs random programs until the budget is used up, and shrinks the first one that fails.
pub(crate) async fn run(context: Context, focus: Focus) -> CaseResult {
    let budget = context.budget();
    let model = Arc::new(Model::new(context, focus).await);
    let handle = Handle::current();
    let lanes = (0..LANES).map(|_| {
        let (model, handle, budget) = (Arc::clone(&model), handle.clone(), budget.clone());
        // The runner of proptest is not async.
        tokio::task::spawn_blocking(move || model.lane(&handle, &budget))
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await
            .map_err(|error| Failure::new("no panic", error.to_string()))?;
    }
    match model.failure.lock().take() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

struct Model {
    context: Context,
    another: Option<(Arc<dyn Driver>, Arc<dyn Driver>)>,
    abilities: Abilities,
    unit: Duration,
    focus: Focus,
    started: AtomicU64,
    failure: Mutex<Option<Failure>>,
}

impl Model {
    async fn new(context: Context, focus: Focus) -> Self {
        Self {
            abilities: context.abilities(focus),
            another: match context.subject.shared_backend {
                true => Some(context.another_subject_driver().await),
                false => None,
            },
            unit: context.unit(),
            context,
            focus,
            started: AtomicU64::new(0),
            failure: Mutex::default(),
        }
    }

    /// The steps of a program that the driver supports.
    fn supported(&self, mut program: Program) -> Program {
        let Abilities {
            conditions,
            touch,
            listing,
            ..
        } = self.abilities;
        let unconditional = |put: &Put| matches!(put.only, Only::Always);
        program.steps.retain_mut(|step| match &mut step.action {
            Action::Touch(_, _, named) => touch && (conditions || named.is_none()),
            Action::List(..) | Action::Clear(_) => listing,
            Action::Remove(_, named) => conditions || named.is_none(),
            Action::Write(put) => conditions || unconditional(put),
            Action::WriteMany(puts) => {
                puts.retain(|put| conditions || unconditional(put));
                true
            }
            _ => true,
        });
        program
    }

    /// Runs one program after another until the budget is used up or a program has failed in any lane.
    fn lane(&self, handle: &Handle, budget: &Budget) {
        let given = seed_from_environment();
        loop {
            let number = self.started.fetch_add(1, Ordering::Relaxed);
            let is_done = match given {
                // The program with this seed fails or not: no other one is asked for.
                Some(_) => number > 0,
                None => !budget.allows(number),
            };
            if is_done || self.failure.lock().is_some() {
                return;
            }
            let seed = given.unwrap_or_else(random);
            if let Some(failure) = self.one(handle, seed) {
                self.failure.lock().get_or_insert(failure);
                return;
            }
        }
    }

    /// Runs the program of `seed` and returns its failure, shrunk.
    fn one(&self, handle: &Handle, seed: u64) -> Option<Failure> {
        let config = Config {
            cases: 1,
            failure_persistence: None,
            max_shrink_time: u32::try_from(SHRINKING.as_millis()).unwrap_or(u32::MAX),
            max_shrink_iters: 4_000,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes_of(seed, self.focus));
        let mut runner = TestRunner::new_with_rng(config, rng);
        let last: Mutex<Option<Difference>> = Mutex::new(None);
        let strategy = programs(self.focus, self.abilities);
        let started = Instant::now();
        let result = runner.run(&strategy, |program| {
            match handle.block_on(self.run_program(&program)) {
                Ok(()) => Ok(()),
                Err(difference) => {
                    *last.lock() = Some(difference);
                    Err(TestCaseError::fail("a difference"))
                }
            }
        });
        let last = last.into_inner();
        match (result, last) {
            (Ok(()), _) => None,
            (Err(TestError::Fail(..)), Some(difference)) => {
                Some(self.failure(seed, difference, started.elapsed()))
            }
            (Err(error), _) => Some(Failure::new("a program to run", error.to_string())),
        }
    }

    fn failure(&self, seed: u64, difference: Difference, took: Duration) -> Failure {
        let Difference { code, failure } = difference;
        Failure::new(
            failure.expected,
            format!(
                "{}\n\nThe shortest program found in {took:.1?} that fails. SEED={seed} repeats the one that it was \
                 made from:\n\n{code}",
                failure.got
            ),
        )
    }

    async fn run_program(&self, program: &Program) -> Result<(), Difference> {
        // A prefix of its own, since programs run at once.
        let prefix = Prefix::new(&format!("p{:08x}", random() & 0xffff_ffff));
        let prefix = prefix.map_err(|error| Difference {
            code: String::new(),
            failure: error.into(),
        })?;
        let below = |driver: &Arc<dyn Driver>| -> Arc<dyn Driver> {
            Arc::new(Prefixed::new(Arc::clone(driver), prefix.clone()))
        };
        let own = (&self.context.driver, &self.context.writer);
        let another = self.another.iter().map(|(reader, writer)| (reader, writer));
        let instances = std::iter::once(own).chain(another);
        let instances = instances.map(|(reader, writer)| Instance {
            reader: below(reader),
            writer: below(writer),
        });
        let world = World {
            instances: instances.collect(),
            default_ttl: self.context.subject.default_ttl,
            foreign: self.context.foreign_writes(prefix.clone()),
            unit: self.unit,
        };
        for name in &program.keys {
            if let Ok(key) = session_core::Key::new(name) {
                self.context.note(prefix.join(&key));
            }
        }
        execute(program, &world).await
    }
}

fn bytes_of(seed: u64, focus: Focus) -> [u8; 32] {
    let mut bytes = [0; 32];
    let parts = seed
        .to_le_bytes()
        .into_iter()
        .chain(focus.number().to_le_bytes());
    for (byte, part) in bytes.iter_mut().zip(parts) {
        *byte = part;
    }
    bytes
}

impl Context {
    fn abilities(&self, focus: Focus) -> Abilities {
        let capabilities = &self.capabilities;
        let shortest = capabilities.minimum_ttl + capabilities.expiry_granularity;
        Abilities {
            instances: if self.subject.shared_backend { 2 } else { 1 },
            conditions: capabilities.conditions != Conditions::None,
            touch: self.writer.capabilities().touch,
            listing: capabilities.listing != Listing::None,
            foreign: self.subject.foreign_write.is_some(),
            short_lives: focus == Focus::Expiry && shortest <= Duration::from_secs(2),
        }
    }
}
