use std::time::Duration;

/// The scope and the precision of a run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// A part of the title of a section or of a comparison. An empty filter selects all.
    filter: String,
    /// How often each peer is restarted.
    pub(crate) request_processes: usize,
    /// The rounds of requests for each start.
    pub(crate) request_rounds: usize,
    /// The number of requests in a round.
    pub(crate) requests: usize,
    /// The rounds of operations on a store, and the approximate duration of each.
    pub(crate) store_rounds: usize,
    pub(crate) store_round: Duration,
    /// The numbers of sessions that stores grow to.
    pub(crate) memory_sizes: &'static [usize],
    pub(crate) sqlite_sizes: &'static [usize],
    pub(crate) fs_sizes: &'static [usize],
    /// How long a caller is measured while sessions expire.
    pub(crate) expiry_watch: Duration,
}

impl Plan {
    pub(crate) fn new(filter: Option<String>, quick: bool) -> Self {
        Self {
            filter: filter.unwrap_or_default().to_lowercase(),
            request_processes: if quick { 2 } else { 7 },
            request_rounds: if quick { 6 } else { 20 },
            requests: if quick { 200 } else { 400 },
            store_rounds: if quick { 3 } else { 15 },
            store_round: Duration::from_millis(if quick { 20 } else { 150 }),
            memory_sizes: if quick {
                &[1_000, 100_000]
            } else {
                &[1_000, 100_000, 1_000_000]
            },
            sqlite_sizes: if quick {
                &[1_000]
            } else {
                &[1_000, 100_000, 1_000_000]
            },
            fs_sizes: if quick { &[1_000] } else { &[1_000, 100_000] },
            expiry_watch: Duration::from_millis(if quick { 300 } else { 2_000 }),
        }
    }

    /// Returns `true` if the benchmark with this title is selected.
    pub(crate) fn includes(&self, title: &str) -> bool {
        title.to_lowercase().contains(&self.filter)
    }
}
