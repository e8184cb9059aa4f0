//! The search for an order: Wing and Gong's, with Lowe's cache of what was tried already.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use session_core::Timestamp;

use super::render::table;
use super::state::{State, Timed};
use super::{Call, Event, Lasts};

/// A part of a history that has no order, as short as it was found. `Display` shows it as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Disorder {
    /// The calls that contradict each other. All are on one key.
    pub calls: Vec<Call>,
    /// The wall-clock time at which the recording began.
    pub started: Timestamp,
    /// Whether the search was given up, because too many calls are open at once.
    pub given_up: bool,
}

impl fmt::Display for Disorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.given_up {
            let count = self.calls.len();
            return write!(
                f,
                "the history of a key has {count} calls, too many of them open; use more keys"
            );
        }
        let begins = self.calls.iter().map(|call| call.begin);
        let first = begins.min().unwrap_or_default();
        let zero = self.started.saturating_add(first).as_millis();
        writeln!(
            f,
            "no order of these calls explains their answers; their times count from {zero} ms:"
        )?;
        f.write_str(&table(&self.calls, first))
    }
}

impl std::error::Error for Disorder {}

/// More steps than the search of any sensible history takes.
const MOST_STEPS: usize = 400_000;

/// The clocks of calls and expiries are read one after the other, in whole milliseconds.
const TICK: Duration = Duration::from_millis(TICK_MILLIS);
const TICK_MILLIS: u64 = 2;

/// Checks the calls on one key.
pub(super) fn key(
    calls: &[Call],
    losses: &[(Duration, Duration)],
    started: Timestamp,
    staleness: Duration,
) -> Result<(), Disorder> {
    let mut losses = losses.to_vec();
    losses.sort_unstable();
    let mut start = Window::from(Duration::ZERO);
    for epoch in 0..=losses.len() {
        let (until, next) = losses
            .get(epoch)
            .copied()
            .unwrap_or((Duration::MAX, Duration::MAX));
        let part = Part {
            calls: part(calls, Window { until, ..start }, staleness),
            // Whatever was written before may be what is left.
            initial: match epoch {
                0 => vec![State::Absent],
                _ => any_state(calls),
            },
            started,
        };
        if let Err(given_up) = part.check() {
            return Err(part.shortest(calls, given_up));
        }
        start = Window {
            lost_from: until,
            from: next,
            until: Duration::MAX,
        };
    }
    Ok(())
}

/// A part of the time in which no writes are lost. It begins after writes may have been lost from `lost_from` on.
#[derive(Clone, Copy)]
struct Window {
    lost_from: Duration,
    from: Duration,
    until: Duration,
}

impl Window {
    fn from(from: Duration) -> Self {
        Self {
            lost_from: from,
            from,
            until: Duration::MAX,
        }
    }
}

/// Any state that the writes among `calls` could have left.
fn any_state(calls: &[Call]) -> Vec<State> {
    let forgotten = Lasts::Until(Timestamp::from_millis(0), Timestamp::from_millis(u64::MAX));
    let written = calls.iter().filter_map(|call| match &call.event {
        Event::Wrote { value, .. } => Some(value),
        _ => None,
    });
    let mut states: Vec<State> = written
        .map(|value| State::Present {
            value: value.clone(),
            version: None,
            lasts: forgotten,
        })
        .collect();
    states.push(State::Absent);
    states
}

/// The calls in a window. A change that is under way at its start or its end, or that was made while writes may have
/// been lost, is open; a read proves nothing then.
fn part(calls: &[Call], window: Window, staleness: Duration) -> Vec<Call> {
    let mut part = Vec::new();
    for call in calls {
        let ends_before = call.end.is_some_and(|end| end < window.lost_from);
        if ends_before || call.begin >= window.until {
            continue;
        }
        let mut call = call.clone();
        let crosses = call.begin < window.from || call.end.is_none_or(|end| end >= window.until);
        if call.event.is_read() {
            if crosses {
                continue;
            }
            if matches!(call.event, Event::Read(_)) {
                call.begin = call.begin.saturating_sub(staleness).max(window.from);
            }
        } else if crosses {
            call.end = None;
        }
        part.push(call);
    }
    part.sort_by_key(|call| call.begin);
    part
}

struct Part {
    /// In the order of their beginnings.
    calls: Vec<Call>,
    initial: Vec<State>,
    started: Timestamp,
}

struct GivenUp(bool);

impl Part {
    fn check(&self) -> Result<(), GivenUp> {
        match search(&self.calls, self.initial.clone(), self.started) {
            Search::Ordered => Ok(()),
            Search::Disordered => Err(GivenUp(false)),
            Search::GivenUp => Err(GivenUp(true)),
        }
    }

    /// Cuts the part, first at its end and then at its start, as long as it has no order.
    fn shortest(&self, all: &[Call], GivenUp(given_up): GivenUp) -> Disorder {
        if given_up {
            return Disorder {
                calls: self.calls.clone(),
                started: self.started,
                given_up,
            };
        }
        let mut ends: Vec<Duration> = self.calls.iter().filter_map(|call| call.end).collect();
        ends.sort_unstable();
        let has_no_order = |calls: &[Call], initial: &[State]| {
            matches!(
                search(calls, initial.to_vec(), self.started),
                Search::Disordered
            )
        };
        let tick = Duration::from_nanos(1);
        let until = |end: &Duration| {
            let window = Window {
                until: *end + tick,
                ..Window::from(Duration::ZERO)
            };
            part(&self.calls, window, Duration::ZERO)
        };
        let shortest = ends.partition_point(|end| !has_no_order(&until(end), &self.initial));
        let calls = ends.get(shortest).map_or(self.calls.clone(), until);

        let any = any_state(all);
        let from = |begin: &Duration| {
            let later = calls
                .iter()
                .filter(|call| call.end.is_none_or(|end| end >= *begin));
            later.cloned().collect::<Vec<Call>>()
        };
        let mut begins: Vec<Duration> = calls.iter().map(|call| call.begin).collect();
        begins.sort_unstable();
        let latest = begins.partition_point(|begin| has_no_order(&from(begin), &any));
        let window = latest.checked_sub(1).and_then(|latest| begins.get(latest));
        Disorder {
            calls: window.map_or(calls.clone(), from),
            started: self.started,
            given_up,
        }
    }
}

enum Search {
    Ordered,
    Disordered,
    GivenUp,
}

/// Which calls have taken effect, as bits.
type Done = Vec<u64>;

fn search(calls: &[Call], initial: Vec<State>, started: Timestamp) -> Search {
    let at = |time: Duration| started.saturating_add(time);
    let timed: Vec<Timed<'_>> = calls
        .iter()
        .map(|call| Timed {
            call,
            begin: Timestamp::from_millis(at(call.begin).as_millis().saturating_sub(TICK_MILLIS)),
            end: call.end.map(|end| at(end).saturating_add(TICK)),
        })
        .collect();
    let nothing: Done = vec![0; calls.len().div_ceil(64)];
    let mut tried: HashSet<(Done, State)> = HashSet::new();
    let mut open: Vec<(Done, State)> = initial
        .into_iter()
        .map(|state| (nothing.clone(), state))
        .collect();
    while let Some((done, state)) = open.pop() {
        if tried.len() > MOST_STEPS {
            return Search::GivenUp;
        }
        let next = candidates(calls, &done);
        if next.iter().all(|number| end(calls, *number).is_none()) {
            // Only open calls are left, which need not have happened.
            return Search::Ordered;
        }
        let after = |number: &usize| match timed.get(*number) {
            Some(call) => call.apply(&state),
            None => Vec::new(),
        };
        let mut try_it = |number: usize, state: State| {
            let mut with = done.clone();
            set(&mut with, number);
            if tried.insert((with.clone(), state.clone())) {
                open.push((with, state));
            }
        };
        // A read that fits may as well take effect now: it changes nothing, so no other order needs a try.
        let is_read = |number: &usize| {
            calls
                .get(*number)
                .is_some_and(|call| call.event.is_read() && call.end.is_some())
        };
        let mut reads = next.iter().copied().filter(is_read);
        let unchanging = reads.find(|number| after(number).contains(&state));
        if let Some(number) = unchanging {
            try_it(number, state.clone());
            continue;
        }
        for number in next {
            for state in after(&number) {
                try_it(number, state);
            }
        }
    }
    Search::Disordered
}

/// The calls that may take effect next. A call may not if another pending call ended before it began.
fn candidates(calls: &[Call], done: &Done) -> Vec<usize> {
    let mut candidates = Vec::new();
    let mut first_end = Duration::MAX;
    for (number, call) in calls.iter().enumerate() {
        if call.begin > first_end {
            break;
        }
        if get(done, number) {
            continue;
        }
        candidates.push(number);
        if let Some(end) = call.end {
            first_end = first_end.min(end);
        }
    }
    candidates
}

fn end(calls: &[Call], number: usize) -> Option<Duration> {
    calls.get(number).and_then(|call| call.end)
}

fn get(done: &Done, number: usize) -> bool {
    done.get(number / 64)
        .is_some_and(|bits| bits >> (number % 64) & 1 == 1)
}

fn set(done: &mut Done, number: usize) {
    if let Some(bits) = done.get_mut(number / 64) {
        *bits |= 1 << (number % 64);
    }
}
