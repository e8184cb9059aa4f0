//! Retries with exponential backoff.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use crate::{Error, ErrorKind, Outcome, Result};

/// How often a failed operation is retried, and with which backoff.
///
/// ```
/// use session_core::{Error, ErrorKind, Idempotency, Result, RetryPolicy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let mut attempts = 0;
/// let answer = RetryPolicy::default()
///     .run(Idempotency::Idempotent, || {
///         attempts += 1;
///         let answer = match attempts {
///             1 => Err(Error::new(ErrorKind::Unavailable, "the server is starting")),
///             _ => Ok("hello"),
///         };
///         async { answer }
///     })
///     .await?;
/// assert_eq!((answer, attempts), ("hello", 2));
/// # Ok(())
/// # }
/// ```
///
/// Only transient errors are retried: those of kind [`RateLimited`](ErrorKind::RateLimited),
/// [`Unavailable`](ErrorKind::Unavailable) and [`TimedOut`](ErrorKind::TimedOut), if the [`Idempotency`] of the operation
/// allows it. All other errors, and the error of the last attempt, are returned to the caller.
///
/// The first delay is `min_delay`. Each further delay is twice as long, up to `max_delay`. Random jitter of up to the
/// length of the delay is added, so that callers that failed together do not retry together. If the backend
/// [says how long to wait](Error::retry_after), the delay is at least that long; if that exceeds `max_delay`, the
/// operation is not retried.
///
/// In configuration it is a table with these names and times in seconds: `retry = { attempts = 5 }`. The defaults are 3
/// attempts and delays from 50 ms to 1 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first; with 0 or 1 nothing is retried.
    pub attempts: u32,
    /// The first delay.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "crate::config::durations::seconds")
    )]
    pub min_delay: Duration,
    /// The maximum delay, and the maximum that a backend may ask for; at most an hour.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "crate::config::durations::seconds")
    )]
    pub max_delay: Duration,
}

/// Whether an operation is safe to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Safe to retry, such as a read or a write without a condition.
    Idempotent,
    /// Not safe to retry, such as a conditional write. It is retried only if it was
    /// [certainly not applied](Outcome::NotApplied).
    NonIdempotent,
}

const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            min_delay: Duration::from_millis(50),
            max_delay: Duration::from_secs(1),
        }
    }
}

impl RetryPolicy {
    /// Returns a policy that retries nothing.
    pub const fn never() -> Self {
        Self {
            attempts: 1,
            min_delay: Duration::ZERO,
            max_delay: Duration::ZERO,
        }
    }

    /// Runs `operation` until it succeeds or must not be retried.
    ///
    /// `operation` is called for each attempt, so it can recompute values that depend on the time. Dropping the future
    /// stops it, even during a delay.
    pub async fn run<T, F, Running>(&self, repeat: Idempotency, operation: F) -> Result<T>
    where
        F: FnMut() -> Running,
        Running: Future<Output = Result<T>>,
    {
        self.attempt(None, repeat, operation).await
    }

    /// Works like [`run`](Self::run), but starts no further attempt after `last_start`.
    ///
    /// It is for operations with a deadline: if no time is left for another attempt, the last error is returned at once.
    /// The first attempt is always made. If any attempt may have been applied, the outcome of the error is
    /// [`Unknown`](Outcome::Unknown), even if a later attempt was certainly not applied.
    pub async fn run_until<T, F, Running>(
        &self,
        last_start: Instant,
        repeat: Idempotency,
        operation: F,
    ) -> Result<T>
    where
        F: FnMut() -> Running,
        Running: Future<Output = Result<T>>,
    {
        self.attempt(Some(last_start), repeat, operation).await
    }

    async fn attempt<T, F, Running>(
        &self,
        last_start: Option<Instant>,
        repeat: Idempotency,
        mut operation: F,
    ) -> Result<T>
    where
        F: FnMut() -> Running,
        Running: Future<Output = Result<T>>,
    {
        let mut pauses = self.pauses();
        let mut outcome = Outcome::NotApplied;
        loop {
            let error = match operation().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let may_repeat = repeat.allows(&error);
            if error.outcome() == Outcome::Unknown {
                outcome = Outcome::Unknown;
            }
            let error = error.with_outcome(outcome);
            let pause = pauses.next().filter(|_| may_repeat);
            let Some(pause) = pause.and_then(|pause| self.pause(pause, &error)) else {
                return Err(error);
            };
            if last_start.is_some_and(|last| last < Instant::now() + pause) {
                return Err(error);
            }
            tracing::debug!(kind = ?error.kind(), ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// The delays between attempts, one for each retry.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let longest = self.max_delay.min(LONGEST_DELAY);
        ExponentialBuilder::new()
            .with_min_delay(self.min_delay.min(longest))
            .with_max_delay(longest)
            .with_max_times(usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(usize::MAX))
            .with_jitter()
            .build()
            .map(move |pause| pause.min(longest))
    }

    /// The delay after `error`, at least `pause`; `None` if the backend asks for more than the maximum.
    pub(crate) fn pause(&self, pause: Duration, error: &Error) -> Option<Duration> {
        match error.retry_after() {
            Some(wait) if wait > self.max_delay.min(LONGEST_DELAY) => None,
            Some(wait) => Some(pause.max(wait)),
            None => Some(pause),
        }
    }
}

impl Idempotency {
    /// Returns whether an operation may be retried after `error`, and whether a retry may help.
    pub fn allows(self, error: &Error) -> bool {
        let passing = matches!(
            error.kind(),
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::TimedOut
        );
        passing && (self == Self::Idempotent || error.outcome() == Outcome::NotApplied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs an operation that fails with `error`, and returns the number of attempts and the time they took.
    async fn attempts(
        policy: RetryPolicy,
        repeat: Idempotency,
        error: fn() -> Error,
    ) -> (u32, Duration) {
        let started = tokio::time::Instant::now();
        let mut attempts = 0;
        let result: Result<()> = policy
            .run(repeat, || {
                attempts += 1;
                async move { Err(error()) }
            })
            .await;
        assert_eq!(result.unwrap_err().kind(), error().kind());
        (attempts, started.elapsed())
    }

    fn unavailable() -> Error {
        Error::new(ErrorKind::Unavailable, "")
    }

    #[test_support::test(start_paused = true)]
    async fn pauses_grow_within_their_bounds() {
        let policy = RetryPolicy {
            attempts: 6,
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_millis(400),
        };
        let (attempts, took) = attempts(policy, Idempotency::Idempotent, unavailable).await;
        assert_eq!(attempts, 6);
        // 100, 200, and then the maximum, each with jitter.
        assert!(took >= Duration::from_millis(1_500), "{took:?}");
        assert!(took <= Duration::from_millis(1_810), "{took:?}");
    }

    #[test_support::test(start_paused = true)]
    async fn callers_that_fail_together_do_not_come_back_together() {
        let pauses = || RetryPolicy::default().pauses().collect::<Vec<_>>();
        assert_ne!(pauses(), pauses());
    }

    #[test_support::test(start_paused = true)]
    async fn what_may_have_happened_is_repeated_only_where_that_is_safe() {
        let policy = RetryPolicy::default();
        assert_eq!(
            attempts(policy, Idempotency::Idempotent, unavailable)
                .await
                .0,
            3
        );
        assert_eq!(
            attempts(policy, Idempotency::NonIdempotent, unavailable)
                .await
                .0,
            1
        );
        let refused = || unavailable().with_outcome(Outcome::NotApplied);
        assert_eq!(
            attempts(policy, Idempotency::NonIdempotent, refused)
                .await
                .0,
            3
        );
    }

    #[test_support::test(start_paused = true)]
    async fn what_does_not_pass_is_not_repeated() {
        for error in [
            || Error::new(ErrorKind::Unauthorized, ""),
            || Error::new(ErrorKind::TooLarge, ""),
            || Error::new(ErrorKind::CorruptData, ""),
            || Error::new(ErrorKind::Backend, ""),
        ] {
            let (attempts, took) =
                attempts(RetryPolicy::default(), Idempotency::Idempotent, error).await;
            assert_eq!((attempts, took), (1, Duration::ZERO));
        }
    }

    #[test_support::test(start_paused = true)]
    async fn a_backend_that_asks_for_a_wait_gets_it_within_the_bound() {
        let limited =
            || Error::new(ErrorKind::RateLimited, "").with_retry_after(Duration::from_millis(900));
        let (count, took) =
            attempts(RetryPolicy::default(), Idempotency::NonIdempotent, limited).await;
        assert_eq!(count, 3);
        assert!(took >= Duration::from_millis(1_800), "{took:?}");

        let long =
            || Error::new(ErrorKind::RateLimited, "").with_retry_after(Duration::from_secs(60));
        let (count, took) = attempts(RetryPolicy::default(), Idempotency::Idempotent, long).await;
        assert_eq!((count, took), (1, Duration::ZERO));
    }

    #[test_support::test(start_paused = true)]
    async fn no_attempt_begins_after_the_last_start() {
        let policy = RetryPolicy {
            attempts: 100,
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_millis(100),
        };
        let started = Instant::now();
        let last_start = started + Duration::from_secs(1);
        let mut last_attempt = started;
        let result: Result<()> = policy
            .run_until(last_start, Idempotency::Idempotent, || {
                last_attempt = Instant::now();
                async { Err(unavailable()) }
            })
            .await;
        result.unwrap_err();
        assert!(last_attempt > started && last_attempt <= last_start);
        assert_eq!(Instant::now(), last_attempt);
    }

    #[test_support::test(start_paused = true)]
    async fn an_attempt_that_may_have_been_applied_is_not_forgotten() {
        let mut attempts = 0;
        let result: Result<()> = RetryPolicy::default()
            .run(Idempotency::Idempotent, || {
                attempts += 1;
                let outcome = match attempts {
                    1 => Outcome::Unknown,
                    _ => Outcome::NotApplied,
                };
                async move { Err(unavailable().with_outcome(outcome)) }
            })
            .await;
        assert_eq!(result.unwrap_err().outcome(), Outcome::Unknown);
        assert_eq!(attempts, 3);
    }

    #[test_support::test(start_paused = true)]
    async fn never_is_never_and_extremes_do_no_harm() {
        let (count, _) = attempts(RetryPolicy::never(), Idempotency::Idempotent, unavailable).await;
        assert_eq!(count, 1);
        let extreme = RetryPolicy {
            attempts: 4,
            min_delay: Duration::MAX,
            max_delay: Duration::MAX,
        };
        let (count, took) = attempts(extreme, Idempotency::Idempotent, unavailable).await;
        assert_eq!((count, took), (4, 3 * LONGEST_DELAY));
    }

    #[cfg(feature = "config")]
    #[test]
    fn configuration_names_what_differs_from_the_defaults() {
        use crate::config::{ConfigContext, Options};

        #[derive(Debug, serde::Deserialize)]
        struct Sample {
            #[serde(default)]
            retry: RetryPolicy,
        }

        let parse = |toml: &str| {
            let options: Options = toml::from_str(toml).unwrap();
            options.parse::<Sample>("shelf", &ConfigContext::default())
        };
        assert_eq!(parse("").unwrap().retry, RetryPolicy::default());
        let some = parse("retry = { attempts = 5, maxDelay = 0.25 }").unwrap();
        let expected = RetryPolicy {
            attempts: 5,
            max_delay: Duration::from_millis(250),
            ..RetryPolicy::default()
        };
        assert_eq!(some.retry, expected);
        let error = parse("retry = { atempts = 5 }").unwrap_err();
        assert!(
            error.to_string().contains("did you mean `attempts`"),
            "{error}"
        );
    }
}
