//! A test that hangs fails and names its last step.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use std::process::{Command, Output};
use std::time::Duration;

use test_support::step;

/// The environment variable that says which test hangs, and how.
const HOW: &str = "HOW_TO_HANG";

fn is_to_hang(how: &str) -> bool {
    std::env::var(HOW).is_ok_and(|told| told == how)
}

#[test_support::test(limit = 1)]
async fn may_wait_for_ever() {
    if is_to_hang("wait") {
        step("waiting for an answer");
        std::future::pending::<()>().await;
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 1, limit = 1)]
async fn may_wait_for_a_task() {
    if is_to_hang("wait for a task") {
        let task = async {
            step("in a task");
            std::future::pending::<()>().await;
        };
        tokio::spawn(task).await.unwrap();
    }
}

#[test_support::test(limit = 1)]
async fn may_block_its_thread() {
    if is_to_hang("block") {
        step("holding the thread");
        std::thread::sleep(Duration::from_secs(600));
    }
}

#[test_support::test(limit = 1)]
async fn may_leave_a_thread_that_never_exits() {
    if is_to_hang("leave a thread") {
        step("leaving");
        tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_secs(600)));
    }
}

#[test_support::test(limit = 1)]
fn may_block_without_a_runtime() {
    if is_to_hang("block without a runtime") {
        step("sleeping");
        std::thread::sleep(Duration::from_secs(600));
    }
}

#[test_support::test]
async fn runs_concurrently() {
    if is_to_hang("block") {
        step("running concurrently");
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

/// Runs these tests in another process, where one of them hangs.
fn run(how: &str, names: &[&str]) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(names)
        .args(["--exact", "--test-threads", "2"])
        .env(HOW, how)
        .output()
        .unwrap()
}

/// Asserts the exit status of failed tests and that all `words` are printed.
fn assert_failed(output: &Output, words: &[&str]) {
    let printed = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let printed = printed.concat();
    assert_eq!(output.status.code(), Some(101), "{printed}");
    for word in words {
        assert!(printed.contains(word), "{word}: {printed}");
    }
}

#[test_support::test]
fn a_test_that_waits_for_ever_fails_with_its_name_and_its_last_step() {
    let output = run("wait", &["may_wait_for_ever"]);
    let summary = "test result: FAILED. 0 passed; 1 failed";
    assert_failed(
        &output,
        &[
            "test limit::may_wait_for_ever has a limit of 1s",
            "waiting for an answer",
            summary,
        ],
    );
    let output = run("wait for a task", &["may_wait_for_a_task"]);
    assert_failed(&output, &["in a task", summary]);
}

#[test_support::test]
fn a_test_that_blocks_its_thread_exits_the_process_and_names_the_running_tests() {
    let output = run("block", &["may_block_its_thread", "runs_concurrently"]);
    assert_failed(
        &output,
        &[
            "test limit::may_block_its_thread has a limit of 1s",
            "holding the thread",
            "also running: test limit::runs_concurrently has a limit of 120s",
        ],
    );
    let output = run("leave a thread", &["may_leave_a_thread_that_never_exits"]);
    assert_failed(&output, &["may_leave_a_thread_that_never_exits", "leaving"]);
}

#[test_support::test]
fn a_blocking_test_without_a_runtime_exits_the_process() {
    let output = run("block without a runtime", &["may_block_without_a_runtime"]);
    assert_failed(&output, &["may_block_without_a_runtime", "sleeping"]);
}

#[test_support::test(start_paused = true, limit = 5)]
async fn a_paused_clock_does_not_affect_the_limit() {
    tokio::time::sleep(Duration::from_secs(3_600)).await;
}
