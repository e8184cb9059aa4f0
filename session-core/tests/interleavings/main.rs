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
use program::{ALL_STEPS, STEPS, Step, programs};
use world::Backend;

/// Two requests of up to `longest` of these steps each and the commit at the end, in every combination.
fn pairs(longest: usize, steps: &[Step], servers: usize, faults: usize) -> Vec<Scenario> {
    let programs = programs(longest, steps);
    let mut scenarios = Vec::new();
    for (index, first) in programs.iter().enumerate() {
        for second in programs.iter().skip(index) {
            scenarios.push(Scenario {
                requests: vec![first.clone(), second.clone()],
                servers,
                faults,
                backend: Backend::Right,
                is_due: false,
            });
        }
    }
    scenarios
}

#[test_support::test(limit = 600)]
fn two_requests_of_three_steps_and_a_commit_on_two_servers() {
    Explorer::new(pairs(3, &STEPS, 2, 0)).assert_holds();
}

#[test_support::test(limit = 600)]
fn two_requests_of_three_steps_and_a_commit_on_one_server() {
    Explorer::new(pairs(3, &STEPS, 1, 0)).assert_holds();
}

#[test_support::test(limit = 600)]
fn two_requests_of_two_steps_of_every_kind_on_two_servers() {
    Explorer::new(pairs(2, &ALL_STEPS, 2, 0)).assert_holds();
}

#[test_support::test(limit = 600)]
fn two_requests_of_two_steps_on_a_session_that_is_to_be_renewed() {
    let mut scenarios = pairs(2, &STEPS, 2, 0);
    for scenario in &mut scenarios {
        scenario.is_due = true;
    }
    Explorer::new(scenarios).assert_holds();
}

#[test_support::test(limit = 600)]
fn two_requests_of_two_steps_and_a_commit_with_a_fault_at_each_operation() {
    Explorer::new(pairs(2, &ALL_STEPS, 2, 1)).assert_holds();
}

#[test_support::test(limit = 600)]
fn two_requests_of_one_step_of_every_kind_with_a_fault_at_each_operation() {
    let mut scenarios = pairs(1, &ALL_STEPS, 2, 1);
    scenarios.extend(pairs(1, &ALL_STEPS, 1, 1));
    // The session is to be renewed in half of them.
    for index in 0..scenarios.len() {
        let mut due = scenarios[index].clone();
        due.is_due = true;
        scenarios.push(due);
    }
    Explorer::new(scenarios).assert_holds();
}

#[test_support::test(limit = 600)]
fn three_requests_of_one_step_on_three_servers() {
    // A request that only reads is among the pairs.
    let changes = STEPS.iter().copied().filter(|step| *step != Step::Get);
    let programs = programs(1, &changes.collect::<Vec<_>>());
    let mut scenarios = Vec::new();
    for (i, first) in programs.iter().enumerate() {
        for (j, second) in programs.iter().enumerate().skip(i) {
            for third in programs.iter().skip(j) {
                scenarios.push(Scenario {
                    requests: vec![first.clone(), second.clone(), third.clone()],
                    servers: 3,
                    faults: 0,
                    backend: Backend::Right,
                    is_due: false,
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
            is_due: false,
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
        is_due: false,
    }])
    .assert_violated("more often");
}
