//! Prints the table of the README: what the worst texts of 1 MB cost.

#[path = "../tests/worst/mod.rs"]
mod worst;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The time that this thread has run, which other programs do not disturb; elsewhere than on Linux, the time.
fn cpu_time() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat");
    let on_cpu = statistics
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok());
    on_cpu.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

fn main() {
    let filter = std::env::args()
        .nth(1)
        .filter(|argument| !argument.starts_with('-'));
    println!("| shared or repeated | time | by | memory beyond the text | by |");
    println!("|---|---|---|---|---|");
    for (name, make) in worst::TEXTS {
        if filter.as_ref().is_some_and(|filter| !name.contains(filter)) {
            continue;
        }
        let text = make(1_000_000);
        let mut slowest = (Duration::ZERO, "");
        let mut largest = (0, "");
        for (reader, read) in worst::READERS {
            let times = (0..3).map(|_| {
                let start = cpu_time();
                let _ = read(&text);
                cpu_time().saturating_sub(start)
            });
            let time = times.min().unwrap_or_default();
            if filter.is_some() {
                eprintln!("{reader}: {time:?}");
            }
            slowest = slowest.max((time, reader));
            let memory = allocation_counter::measure(|| drop(read(&text))).bytes_max;
            largest = largest.max((memory, reader));
        }
        let megabytes = largest.0 as f64 / 1e6;
        println!(
            "| {name} | {:.0?} ms | `{}` | {megabytes:.0} MB | `{}` |",
            slowest.0.as_millis(),
            slowest.1,
            largest.1
        );
    }
}
