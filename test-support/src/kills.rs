//! Crash tests: processes that write to a driver and are killed at random moments.
//!
//! The child process runs [`write_until_killed`] and prints each acknowledged write. The parent calls
//! [`kill_at_random`] and then [`check_survivors`].

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use session_core::{Driver, Key, WriteOptions, WriteOutcome};

use crate::step;

/// How many keys a process writes concurrently.
const KEYS: usize = 6;

/// The longest time between the first acknowledged write and the kill.
const LONGEST: Duration = Duration::from_millis(25);

/// The last acknowledged or read number of each key.
pub type Acknowledged = HashMap<String, u64>;

/// A random number generator with a seed.
pub struct Random {
    seed: u64,
    numbers: Rng,
}

impl Random {
    /// Creates the generator of one of several tasks that share `seed`. `Display` shows the seed.
    pub fn for_task(seed: u64, task: usize) -> Self {
        let numbers = Rng::with_seed(seed.wrapping_add(task as u64));
        Self { seed, numbers }
    }

    /// Returns the seed in the environment variable `TEST_SEED`, or a new one.
    pub fn seed() -> u64 {
        let given = std::env::var("TEST_SEED").ok();
        given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap())
    }
}

impl fmt::Display for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TEST_SEED={}", self.seed)
    }
}

/// Returns a value that starts with its number. Its length and its letter follow from the number, so that a mix of
/// two values is detected.
fn value(number: u64) -> Vec<u8> {
    let letter = b'a' + u8::try_from(number % 26).unwrap();
    let length = 500 + usize::try_from(number * 7919 % 30_000).unwrap();
    let mut value = format!("{number}:").into_bytes();
    value.resize(value.len() + length, letter);
    value
}

/// Returns the number of a whole value.
fn number_of(stored: &[u8]) -> Option<u64> {
    let colon = stored.iter().position(|byte| *byte == b':')?;
    let number = std::str::from_utf8(&stored[..colon]).ok()?.parse().ok()?;
    (stored == value(number)).then_some(number)
}

fn keys() -> impl Iterator<Item = Key> {
    (0..KEYS).map(|number| Key::new(&format!("killed:{number}")).unwrap())
}

/// Writes increasing numbers, starting from the stored ones, and prints each acknowledged write.
///
/// The process to be killed calls it. Some of the writes are conditional.
pub async fn write_until_killed(driver: &dyn Driver) {
    let writers = keys().map(|key| async move {
        loop {
            let entry = driver.read(&key).await.unwrap();
            let number = entry
                .as_ref()
                .map_or(0, |entry| number_of(&entry.value).unwrap())
                + 1;
            let options = match entry.and_then(|entry| entry.version) {
                Some(version) if number % 2 == 0 => WriteOptions::if_version(version),
                Some(_) => WriteOptions::default(),
                None => WriteOptions::if_absent(),
            };
            let outcome = driver
                .write(&key, value(number).into(), options)
                .await
                .unwrap();
            assert!(matches!(outcome, WriteOutcome::Written { .. }));
            let mut out = std::io::stdout().lock();
            writeln!(out, "{} {number}", key.as_str()).unwrap();
            out.flush().unwrap();
        }
    });
    join_all(writers).await;
}

/// Starts `command`, which must call [`write_until_killed`], and kills it at a random time after its first write. It
/// adds the acknowledged writes to `acknowledged`.
///
/// # Panics
///
/// If the process exits by itself.
pub fn kill_at_random(command: &mut Command, random: &mut Random, acknowledged: &mut Acknowledged) {
    step(format!(
        "waiting for the first write of a process ({random})"
    ));
    let started = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut process = started.unwrap_or_else(|error| panic!("{command:?} cannot start: {error}"));
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    // The test harness prints its own lines first.
    let is_first = |line: &String| line.contains("killed:");
    let first = lines.by_ref().map(Result::unwrap).find(is_first);
    let part = random.numbers.f64();
    std::thread::sleep(LONGEST.mul_f64(part));
    step(format!("killing the writing process ({random})"));
    process.kill().unwrap();
    let output = process.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code().is_none(),
        "the process exited by itself ({random}): {errors}"
    );
    let first = first.unwrap_or_else(|| panic!("the process wrote nothing ({random}): {errors}"));
    for line in std::iter::once(first).chain(lines.map(Result::unwrap)) {
        // The first line may follow an unfinished line of the harness.
        let Some((key, number)) = line.rsplit_once(' ') else {
            continue;
        };
        let key = key.rsplit(' ').next().unwrap_or_default();
        if let (true, Ok(number)) = (key.starts_with("killed:"), number.parse()) {
            acknowledged.insert(key.to_owned(), number);
        }
    }
}

/// Checks that a newly opened driver has every acknowledged write, and only whole values.
pub async fn check_survivors(
    driver: &dyn Driver,
    acknowledged: &mut Acknowledged,
    random: &Random,
) {
    step(format!("checking the survivors ({random})"));
    for key in keys() {
        let entry = driver.read(&key).await.unwrap();
        let last = acknowledged.get(key.as_str()).copied();
        let stored = entry.map(|entry| {
            let number = number_of(&entry.value);
            number.unwrap_or_else(|| panic!("{} is torn ({random})", key.as_str()))
        });
        // The write in progress may have been applied, but no later one.
        let (least, most) = (last.unwrap_or(0), last.unwrap_or(0) + 1);
        let stored = stored.unwrap_or(0);
        assert!(
            (least..=most).contains(&stored),
            "{}: {least} was acknowledged and {stored} is stored ({random})",
            key.as_str()
        );
        // The next process continues from the stored number.
        acknowledged.insert(key.as_str().to_owned(), stored);
    }
}
