//! How calls to a worker end when nobody answers them. What happens in which order is tested beside the source, under a
//! scheduler.

use std::time::Duration;

use session_core::worker::{self, Job};
use session_core::{ErrorKind, Outcome};
use tokio::time::Instant;

const TIMEOUT: Duration = Duration::from_secs(3);

#[test_support::test(start_paused = true)]
async fn a_call_that_did_not_begin_in_time_is_not_carried_out_later() {
    let (queue, jobs) = worker::queue::<&str, ()>(8);
    let started = Instant::now();
    let error = queue.run("write", TIMEOUT).await.unwrap_err();
    assert_eq!(started.elapsed(), TIMEOUT);
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.outcome(), Outcome::NotApplied);

    let job = jobs.try_recv().expect("the job waits in the queue");
    assert!(job.is_given_up());
    assert!(job.begin().is_none());
}

#[test_support::test(start_paused = true)]
async fn a_call_that_began_and_has_no_answer_in_time_may_have_been_carried_out() {
    let (queue, jobs) = worker::queue::<&str, ()>(8);
    let worker = tokio::spawn(async move {
        let begun = jobs.recv().await.and_then(Job::begin);
        std::future::pending::<()>().await;
        drop(begun);
    });
    let started = Instant::now();
    let error = queue.run("write", TIMEOUT).await.unwrap_err();
    assert_eq!(started.elapsed(), TIMEOUT);
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.outcome(), Outcome::Unknown);
    worker.abort();
}

#[test_support::test(start_paused = true)]
async fn the_wait_for_a_place_counts_as_well() {
    let (queue, jobs) = worker::queue::<u32, ()>(1);
    let deadline = Instant::now() + TIMEOUT;
    let first = queue.submit(1, deadline, TIMEOUT).await.unwrap();
    let started = Instant::now();
    let error = queue.run(2, TIMEOUT).await.unwrap_err();
    assert_eq!(started.elapsed(), TIMEOUT);
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.outcome(), Outcome::NotApplied);

    // The place is free again once a worker has taken the first job.
    let (work, reply) = jobs.recv().await.and_then(Job::begin).unwrap();
    assert_eq!(work, 1);
    reply.send(());
    first
        .answer(Instant::now() + TIMEOUT, TIMEOUT)
        .await
        .unwrap();
    assert!(jobs.try_recv().is_none());
    let deadline = Instant::now() + TIMEOUT;
    let third = queue.submit(3, deadline, TIMEOUT).await.unwrap();
    drop(third);
}

#[test_support::test]
async fn a_closed_queue_refuses_calls() {
    let (queue, jobs) = worker::queue::<u32, ()>(1);
    jobs.close();
    let error = queue.run(1, TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(jobs.recv().await.is_none());
}

#[test_support::test]
async fn a_caller_that_waits_for_a_place_hears_of_the_end() {
    let (queue, jobs) = worker::queue::<u32, ()>(1);
    let deadline = Instant::now() + TIMEOUT;
    let first = queue.submit(1, deadline, TIMEOUT).await.unwrap();
    let mut second = Box::pin(queue.run(2, TIMEOUT));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(jobs);
    for error in [
        second.await.unwrap_err(),
        first.answer(deadline, TIMEOUT).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
}
