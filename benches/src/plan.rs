use std::time::Duration;

/// What a run measures, and how thoroughly.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// A part of the title of a section or of a comparison; everything if empty.
    filter: String,
    /// How often each peer is started anew.
    pub(crate) request_processes: usize,
    /// Rounds of requests, each of so many, for each time.
    pub(crate) request_rounds: usize,
    /// The requests of a round.
    pub(crate) requests: usize,
    /// Rounds of operations on a store, each about so long.
    pub(crate) store_rounds: usize,
    pub(crate) store_round: Duration,
    /// How many sessions stores grow to.
    pub(crate) memory_sizes: &'static [usize],
    pub(crate) sqlite_sizes: &'static [usize],
    pub(crate) fs_sizes: &'static [usize],
    /// How long a caller is watched while sessions end.
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

    /// Whether what has this title is to be measured.
    pub(crate) fn includes(&self, title: &str) -> bool {
        title.to_lowercase().contains(&self.filter)
    }
}
