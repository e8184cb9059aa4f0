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
            Self::Regenerate => "regenerate",
            Self::Destroy => "destroy",
            Self::Save => "save",
        })
    }
}

const STEPS: [Step; 6] = [
    Step::Get,
    Step::Set,
    Step::Update,
    Step::Regenerate,
    Step::Destroy,
    Step::Save,
];

/// Every program of one to `longest` steps that does something no shorter or other one does. Each ends with a
/// commit, which is not among the steps.
pub(crate) fn programs(longest: usize) -> Vec<Vec<Step>> {
    let mut all = Vec::new();
    let mut last: Vec<Vec<Step>> = vec![Vec::new()];
    for _ in 0..longest {
        last = last
            .iter()
            .flat_map(|program| {
                STEPS.iter().map(|step| {
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
    match last {
        // A record that was loaded is not read again.
        Step::Get => before.is_empty(),
        // Twice the same change is one change, and changes commute.
        Step::Set => !unsaved.contains(&Step::Set) && !unsaved.contains(&Step::Regenerate),
        Step::Update => {
            !unsaved.contains(&Step::Update)
                && !unsaved.contains(&Step::Set)
                && !unsaved.contains(&Step::Regenerate)
        }
        Step::Regenerate => !unsaved.contains(&Step::Regenerate),
        // What was not saved would be dropped.
        Step::Destroy => {
            before.last() != Some(&Step::Destroy)
                && !unsaved.contains(&Step::Set)
                && !unsaved.contains(&Step::Regenerate)
        }
        Step::Save => unsaved
            .iter()
            .any(|step| matches!(step, Step::Set | Step::Update | Step::Regenerate)),
    }
}
