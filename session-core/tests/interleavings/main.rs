//! Runs the commit protocol of sessions in every order that several requests can interleave in, with an error
//! or a lost answer at every step, and checks after each run that nothing was lost, doubled or revived.
//!
//! A request is a short program of session calls; the driver below has a gate before each operation.
//! The model checker chooses which gate opens next and how that operation ends, and runs the real code
//! anew for each choice.

#[cfg(test)]
mod execution;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod model;
#[cfg(test)]
mod program;
#[cfg(test)]
mod world;

use model::{Explorer, Scenario};
use program::{Step, programs};
use world::Backend;

/// Two requests of up to `steps` steps each and the commit at the end, in every combination.
fn pairs(steps: usize, scenario: impl Fn(Vec<Vec<Step>>) -> Scenario) -> Vec<Scenario> {
    let programs = programs(steps);
    let mut scenarios = Vec::new();
    for (index, first) in programs.iter().enumerate() {
        for second in programs.iter().skip(index) {
            scenarios.push(scenario(vec![first.clone(), second.clone()]));
        }
    }
    scenarios
}

#[test_support::test(limit = 300)]
fn two_requests_of_four_steps_and_a_commit_on_two_servers() {
    Explorer::new(pairs(4, |requests| Scenario {
        requests,
        servers: 2,
        faults: 0,
        backend: Backend::Right,
    }))
    .assert_holds();
}

#[test_support::test(limit = 300)]
fn two_requests_of_four_steps_and_a_commit_on_one_server() {
    Explorer::new(pairs(4, |requests| Scenario {
        requests,
        servers: 1,
        faults: 0,
        backend: Backend::Right,
    }))
    .assert_holds();
}

#[test_support::test(limit = 300)]
fn two_requests_of_three_steps_and_a_commit_with_a_fault_at_each_operation() {
    Explorer::new(pairs(3, |requests| Scenario {
        requests,
        servers: 2,
        faults: 1,
        backend: Backend::Right,
    }))
    .assert_holds();
}

#[test_support::test(limit = 300)]
fn three_requests_of_one_step_on_three_servers() {
    let programs = programs(1);
    let mut scenarios = Vec::new();
    for (i, first) in programs.iter().enumerate() {
        for (j, second) in programs.iter().enumerate().skip(i) {
            for third in programs.iter().skip(j) {
                scenarios.push(Scenario {
                    requests: vec![first.clone(), second.clone(), third.clone()],
                    servers: 3,
                    faults: 0,
                    backend: Backend::Right,
                });
            }
        }
    }
    Explorer::new(scenarios).assert_holds();
}

#[test_support::test(limit = 300)]
fn a_backend_that_ignores_conditions_is_found_out() {
    for (requests, violation) in [
        (vec![vec![Step::Update], vec![Step::Update]], "lost"),
        (
            vec![vec![Step::Get, Step::Set], vec![Step::Destroy]],
            "revived",
        ),
    ] {
        Explorer::new(vec![Scenario {
            requests,
            servers: 2,
            faults: 0,
            backend: Backend::IgnoresConditions,
        }])
        .assert_violated(violation);
    }
}

#[test_support::test(limit = 300)]
fn a_backend_that_applies_a_write_twice_is_found_out() {
    Explorer::new(vec![Scenario {
        requests: vec![vec![Step::Update], vec![Step::Get]],
        servers: 2,
        faults: 0,
        backend: Backend::ReportsFalseConflicts,
    }])
    .assert_violated("more often");
}
