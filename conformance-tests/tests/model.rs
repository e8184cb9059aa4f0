//! The random programs find faults that no named case looks for, shrink them, and print them as code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::let_unit_value,
    reason = "helpers of tests are tests"
)]

use std::sync::Arc;

use conformance_tests::Report;
use driver_memory::MemoryDriver;
use session_core::*;

const RANDOM: [&str; 4] = [
    "random_programs_on_hostile_keys_follow_the_model",
    "random_programs_with_hostile_values_follow_the_model",
    "random_programs_with_every_expiry_follow_the_model",
    "random_programs_of_batches_and_conditions_follow_the_model",
];

/// A touch on a key with an accent loses the accent.
struct ForgetsAccents(Arc<MemoryDriver>);

#[async_trait]
impl Driver for ForgetsAccents {
    delegate_driver!(this => this.0, except touch);

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let key = Key::new(&key.as_str().replace('é', "e"))?;
        self.0.touch(&key, options).await
    }
}

async fn report_on<D: Driver>(driver: impl Fn() -> D + Send + Sync + 'static) -> Report {
    conformance_tests::run_only(&RANDOM, move || std::future::ready(driver())).await
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 120)]
async fn a_failing_program_is_short_and_says_which_seed_repeats_it() {
    let report = report_on(|| ForgetsAccents(Arc::new(MemoryDriver::new()))).await;
    let failed: Vec<_> = report.failed().collect();
    let [(name, failure)] = failed.as_slice() else {
        panic!("only the programs on hostile keys can fail:\n{report}");
    };
    assert_eq!(*name, RANDOM[0]);
    let got = &failure.got;
    assert!(got.contains("SEED="), "{got}");
    let (_, code) = got.split_once("async fn program").unwrap();
    let calls = code.lines().filter(|line| line.contains(".await?"));
    assert!(calls.count() <= 3, "{code}");
    assert!(code.contains("touch(&key_"), "{code}");
}

/// What a failing program looks like, pasted.
mod pasted {
    use bytes::Bytes;
    use session_core::*;
    use std::time::Duration;

    pub(super) async fn program(driver: &dyn Driver, driver_2: &dyn Driver) -> Result<()> {
        let key_0 = Key::new("a b")?;
        let key_1 = Key::new("a\u{301}")?;
        let written_1 = driver
            .write(&key_1, long(300, 0, 48), WriteOptions::default())
            .await?; // Written
        let written_2 = all(driver_2
            .write_many(vec![
                put(
                    &key_0,
                    Bytes::from_static(b"\x00"),
                    WriteOptions::if_absent().with_expiry(Expiry::Never),
                ),
                put(
                    &key_1,
                    Bytes::from_static(b"a"),
                    WriteOptions::if_version(version(&written_1)).with_expiry(ago(60000)),
                ),
            ])
            .await)?;
        let _ = driver
            .remove(&key_0, RemoveOptions::if_version(version(&written_2[0])))
            .await?;
        let _ = driver
            .touch(
                &key_1,
                TouchOptions::to(Expiry::after(Duration::from_millis(60000))),
            )
            .await?;
        let _ = driver
            .list(ListOptions::below(Prefix::root()).with_limit(1))
            .await?; // and the pages after it
        let _ = driver.clear(&Prefix::from(&Key::new("a")?)).await?;
        let _ = driver_2.read_many(&[key_0.clone(), key_1.clone()]).await?;
        // expected the 1 bytes "a"
        // got a miss
        Ok(())
    }
    fn version(outcome: &WriteOutcome) -> Version {
        match outcome {
            WriteOutcome::Written { version, .. } => version.clone().expect("a version"),
            conflict => panic!("{conflict:?}"),
        }
    }
    fn all(outcomes: Vec<Result<WriteOutcome>>) -> Result<Vec<WriteOutcome>> {
        outcomes.into_iter().collect()
    }
    fn put(key: &Key, value: Bytes, options: WriteOptions) -> Write {
        Write::new(key.clone(), value).with_options(options)
    }
    fn long(length: usize, place: usize, byte: u8) -> Bytes {
        let mut value = vec![b'x'; length];
        value[place] = byte;
        value.into()
    }
    fn ago(millis: u64) -> Expiry {
        Expiry::At(Timestamp::from_millis(
            Timestamp::now().as_millis().saturating_sub(millis),
        ))
    }
}

#[test_support::test]
async fn a_printed_program_compiles_and_runs() {
    let driver = MemoryDriver::new();
    pasted::program(&driver, &driver).await.unwrap();
}
