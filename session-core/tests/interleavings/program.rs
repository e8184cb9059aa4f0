use std::fmt;

/// One call on the session, as a handler makes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Reads, and so loads the record.
    Get,
    /// Sets a key that only this request sets.
    Set,
    /// Adds one to a counter that all requests share.
    Update,
    /// Sets a counter that all requests share to one more than this request has read.
    ReadThenSet,
    /// Flashes a value that only this request flashes.
    Flash,
    /// Takes the value that was flashed before.
    TakeFlash,
    /// Gives the session a lifetime of its own.
    SetLifetime,
    Rotate,
    Regenerate,
    Destroy,
    Save,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Update => "update",
            Self::ReadThenSet => "read then set",
            Self::Flash => "flash",
            Self::TakeFlash => "take flash",
            Self::SetLifetime => "set lifetime",
            Self::Rotate => "rotate",
            Self::Regenerate => "regenerate",
            Self::Destroy => "destroy",
            Self::Save => "save",
        })
    }
}

/// The calls that change a value or the id.
pub(crate) const STEPS: [Step; 8] = [
    Step::Get,
    Step::Set,
    Step::Update,
    Step::ReadThenSet,
    Step::Rotate,
    Step::Regenerate,
    Step::Destroy,
    Step::Save,
];

/// All calls.
pub(crate) const ALL_STEPS: [Step; 11] = [
    Step::Get,
    Step::Set,
    Step::Update,
    Step::ReadThenSet,
    Step::Flash,
    Step::TakeFlash,
    Step::SetLifetime,
    Step::Rotate,
    Step::Regenerate,
    Step::Destroy,
    Step::Save,
];

/// Every program of one to `longest` steps that does something no shorter or other one does. Each ends with a
/// commit, which is not among the steps.
pub(crate) fn programs(longest: usize, steps: &[Step]) -> Vec<Vec<Step>> {
    let mut all = Vec::new();
    let mut last: Vec<Vec<Step>> = vec![Vec::new()];
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|program| {
                steps.iter().map(|step| {
                    let mut longer = program.clone();
                    longer.push(*step);
                    longer
                })
            })
            .filter(|program| is_worth_running(program))
            .collect();
        all.extend(
            last.iter()
                // The commit at the end is a save.
                .filter(|program| program.last() != Some(&Step::Save))
                .cloned(),
        );
    }
    all
}

fn is_worth_running(program: &[Step]) -> bool {
    let Some((last, before)) = program.split_last() else {
        return true;
    };
    let unsaved: Vec<Step> = before
        .iter()
        .rev()
        .take_while(|step| !matches!(step, Step::Save | Step::Destroy))
        .copied()
        .collect();
    let moves = |step: &Step| matches!(step, Step::Rotate | Step::Regenerate);
    match last {
        // A record that was loaded is not read again.
        Step::Get => before.is_empty(),
        // Twice the same change is one change, and changes commute.
        Step::Set | Step::Flash | Step::TakeFlash | Step::SetLifetime => {
            !unsaved.contains(last) && !unsaved.iter().any(moves)
        }
        Step::Update | Step::ReadThenSet => {
            !unsaved.contains(last) && !unsaved.contains(&Step::Set) && !unsaved.iter().any(moves)
        }
        Step::Regenerate | Step::Rotate => !unsaved.iter().any(moves),
        // What was not saved would be dropped.
        Step::Destroy => {
            before.last() != Some(&Step::Destroy)
                && unsaved
                    .iter()
                    .all(|step| matches!(step, Step::Get | Step::Update))
        }
        Step::Save => unsaved
            .iter()
            .any(|step| !matches!(step, Step::Get | Step::Save | Step::Destroy)),
    }
}
