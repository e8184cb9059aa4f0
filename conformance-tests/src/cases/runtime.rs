//! How a driver behaves in a runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::{Driver, Key, ListOptions, Listing, RemoveOptions, Write, WriteOptions};

use super::cases;
use crate::case::Need;
use crate::context::{Context, written};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    operations_do_not_block_the_runtime [Need::Writes]: "methods never block the runtime";
    a_driver_works_in_another_runtime [Need::Writes]: "a driver may be used from another runtime than the one that opened it, as long as that runs";
}

/// How often each operation is tried. A busy machine disturbs some of the measurements, but not each of them.
const ROUNDS: usize = 40;

/// An operation that holds up the runtime for this long, each time, blocks it.
const BLOCKED: Duration = Duration::from_millis(15);

/// How often it is looked whether other tasks run. A thread that sleeps in between is woken in time on a busy machine too.
const TICK: Duration = Duration::from_millis(1);

/// How long a runtime of its own lasts at most.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs `work` in a runtime of its own with one thread. The runtime ends when the case does.
async fn in_another_runtime<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let (done, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async move {
            // Work that hangs must not keep the thread. The case has failed by then.
            let Ok(result) = tokio::time::timeout(LONGEST, work).await else {
                return;
            };
            let _case_has_ended = sender.send(result);
            // Connections that the driver opened here are used until the case ends.
            let _case_is_done = tokio::time::timeout(LONGEST, stopped).await;
        });
    });
    let result = receiver.await;
    // The driver may have left connections in that runtime, so it stays for a little while.
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(done);
    });
    result.map_err(|_| {
        Failure::new(
            "the operations to finish in another runtime",
            "a panic, or no end",
        )
    })
}

async fn a_driver_works_in_another_runtime(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "here").await?;
    let (elsewhere, there) = (context.clone(), key.clone());
    in_another_runtime(async move {
        let value = elsewhere.read_present(&there).await?.value;
        same("the value in another runtime", value, "here".into())?;
        elsewhere.write(&there, "there").await?;
        let many = elsewhere
            .driver
            .read_many(std::slice::from_ref(&there))
            .await?;
        same("the number of entries", many.iter().flatten().count(), 1)
    })
    .await??;
    let value = context.read_present(&key).await?.value;
    same("the value", value, "there".into())
}

/// The longest time that nothing else could run, while `operation` did.
async fn longest_gap(
    operation: impl Future<Output = Result<(), Failure>>,
) -> Result<Duration, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let ticking = tokio::spawn(async move {
        let mut longest = Duration::ZERO;
        while !stopping.load(Ordering::Relaxed) {
            let last = Instant::now();
            tokio::time::sleep(TICK).await;
            longest = longest.max(last.elapsed());
        }
        longest
    });
    tokio::task::yield_now().await;
    let result = operation.await;
    stop.store(true, Ordering::Relaxed);
    let longest = ticking.await;
    result?;
    longest.map_err(|error| Failure::new("no panic", error.to_string()))
}

/// Measures an operation until it does not block. Only one that blocks each time is at fault.
macro_rules! blocks {
    ($driver:ident, $name:literal, $operation:expr) => {{
        let mut shortest = Duration::MAX;
        for _ in 0..ROUNDS {
            let operation = async {
                let _answer = $operation;
                Ok::<(), Failure>(())
            };
            shortest = shortest.min(longest_gap(operation).await?);
            if shortest < BLOCKED {
                break;
            }
        }
        check(
            shortest < BLOCKED,
            concat!("the runtime to run other tasks during ", $name),
            format!("each of {ROUNDS} calls held it up for {shortest:?} or longer"),
        )?;
    }};
}

async fn operations_do_not_block_the_runtime(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let driver = Arc::clone(&context.driver);
    let can_list = context.capabilities.listing != Listing::None;
    in_another_runtime(async move { measure(&driver, &key, can_list).await }).await?
}

async fn measure(driver: &Arc<dyn Driver>, key: &Key, can_list: bool) -> CaseResult {
    let keys = [key.clone()];
    blocks!(driver, "a read", driver.read(key).await?);
    blocks!(driver, "exists", driver.exists(key).await?);
    blocks!(driver, "metadata", driver.metadata(key).await?);
    blocks!(driver, "a batch of reads", driver.read_many(&keys).await?);
    blocks!(driver, "a write", {
        written(
            driver
                .write(key, "v".into(), WriteOptions::default())
                .await?,
        )?
    });
    blocks!(driver, "a batch of writes", {
        driver.write_many(vec![Write::new(key.clone(), "v")]).await
    });
    if driver.capabilities().touch {
        blocks!(driver, "a touch", {
            let options = session_core::TouchOptions::default();
            driver.touch(key, options).await?
        });
    }
    if can_list {
        blocks!(
            driver,
            "a listing",
            driver.list(ListOptions::default()).await?
        );
    }
    blocks!(driver, "a removal", {
        driver.remove(key, RemoveOptions::default()).await?
    });
    blocks!(
        driver,
        "a batch of removals",
        driver.remove_many(&keys).await?
    );
    Ok(())
}
