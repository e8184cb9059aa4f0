//! How long the generated cases run, and from which seed.

use std::time::{Duration, Instant};

/// The variable that sets how many seconds each generated case runs.
const SECONDS: &str = "CONFORMANCE_SECONDS";

/// How long a generated case runs by default.
pub(crate) const DEFAULT: Duration = Duration::from_secs(4);

/// A slow backend gets at least this many programs.
const FEWEST: u64 = 12;

/// How many times as long the fewest programs may take.
const MOST: u32 = 5;

/// When a generated case ends.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    started: Instant,
    time: Duration,
}

impl Budget {
    /// The budget of a case that begins now. The environment overrides the time of the subject.
    pub(crate) fn new(of_subject: Duration) -> Self {
        let seconds = std::env::var(SECONDS).ok();
        let seconds = seconds.and_then(|seconds| seconds.parse().ok());
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self {
            started: Instant::now(),
            time: time.unwrap_or(of_subject),
        }
    }

    /// The budget for a table of programs, of which a fast backend runs all.
    pub(crate) fn for_a_table(mut self) -> Self {
        self.time *= 3;
        self
    }

    /// The longest time that programs are begun.
    pub(crate) fn longest(&self) -> Duration {
        self.time * MOST
    }

    /// Whether another program may begin after `done` ones.
    pub(crate) fn allows(&self, done: u64) -> bool {
        let elapsed = self.started.elapsed();
        elapsed < self.time || (done < FEWEST && elapsed < self.longest())
    }
}

/// The seed in the variable `SEED`, which repeats a program.
pub(crate) fn seed_from_environment() -> Option<u64> {
    std::env::var("SEED").ok()?.parse().ok()
}
