use std::hash::{Hash, Hasher};

use stateright::{Checker, Model, Property};

use crate::execution::{Run, run};
use crate::invariants::check;
use crate::program::Step;
use crate::world::{Backend, Ending};

/// Some requests on one session, and what surrounds them.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) requests: Vec<Vec<Step>>,
    /// How many processes serve them; each has a queue of commits of its own.
    pub(crate) servers: usize,
    /// How many operations may fail in one run.
    pub(crate) faults: usize,
    pub(crate) backend: Backend,
    /// Whether a request that only reads renews the session.
    pub(crate) is_due: bool,
}

/// Which request's gate opens next, and how its operation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Choice {
    pub(crate) request: usize,
    pub(crate) ending: Ending,
}

/// A run so far: it is what its choices are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunSoFar {
    scenario: usize,
    schedule: Vec<Choice>,
    choices: Vec<Choice>,
    violation: Option<String>,
}

impl Hash for RunSoFar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scenario.hash(state);
        self.schedule.hash(state);
    }
}

/// Explores all runs of some scenarios.
pub(crate) struct Explorer {
    scenarios: Vec<Scenario>,
}

const HOLDS: &str = "the invariants hold";

impl Explorer {
    pub(crate) fn new(scenarios: Vec<Scenario>) -> Self {
        Self { scenarios }
    }

    fn continue_run(&self, scenario: usize, schedule: Vec<Choice>) -> RunSoFar {
        let (choices, violation) = match run(&self.scenarios[scenario], &schedule) {
            Run::Choices(choices) => (choices, None),
            Run::Ended(seen) => (Vec::new(), check(&seen).err()),
        };
        RunSoFar {
            scenario,
            schedule,
            choices,
            violation,
        }
    }

    fn explore(self) -> (usize, Option<String>) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let checker = self.checker().threads(threads).spawn_dfs().join();
        let runs = checker.unique_state_count();
        let violation = checker.discovery(HOLDS).map(|path| {
            let last = path.last_state();
            let scenario = &checker.model().scenarios[last.scenario];
            let violation = last.violation.as_deref().unwrap_or_default();
            format!("{violation}\nin {scenario:?}\nafter {:#?}", last.schedule)
        });
        (runs, violation)
    }

    pub(crate) fn assert_holds(self) {
        let scenarios = self.scenarios.len();
        let (runs, violation) = self.explore();
        println!("{scenarios} scenarios, {runs} steps of runs");
        assert!(runs > scenarios);
        if let Some(violation) = violation {
            panic!("{violation}");
        }
    }

    pub(crate) fn assert_violated(self, expected: &str) {
        let (_, violation) = self.explore();
        let violation = violation.expect("no violation was found");
        assert!(violation.contains(expected), "{violation}");
    }
}

impl Model for Explorer {
    type State = RunSoFar;
    type Action = Choice;

    fn init_states(&self) -> Vec<RunSoFar> {
        (0..self.scenarios.len())
            .map(|scenario| self.continue_run(scenario, Vec::new()))
            .collect()
    }

    fn actions(&self, state: &RunSoFar, actions: &mut Vec<Choice>) {
        actions.extend(&state.choices);
    }

    fn next_state(&self, state: &RunSoFar, choice: Choice) -> Option<RunSoFar> {
        let mut schedule = state.schedule.clone();
        schedule.push(choice);
        Some(self.continue_run(state.scenario, schedule))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(HOLDS, |_, run: &RunSoFar| {
            run.violation.is_none()
        })]
    }
}
