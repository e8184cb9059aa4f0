use std::fmt;
use std::time::Duration;

use crate::case::Case;
use crate::failure::Failure;

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The driver kept the promise.
    Passed,
    /// The driver broke the promise.
    Failed(Failure),
    /// The case does not apply to this driver, for this reason.
    Skipped(String),
}

/// One case and what became of it.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The case.
    pub case: &'static Case,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// What became of each case, in the order of the suite. `Display` is a table.
#[derive(Clone, Debug)]
#[must_use = "a report says what is wrong; assert_passed() panics if anything is"]
pub struct Report {
    /// One for each case.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// Whether no case failed.
    pub fn has_passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The names of the cases that failed, and how.
    pub fn failed(&self) -> impl Iterator<Item = (&'static str, &Failure)> {
        self.cases
            .iter()
            .filter_map(|report| match &report.verdict {
                Verdict::Failed(failure) => Some((report.case.name, failure)),
                _ => None,
            })
    }

    /// The names of the cases that were skipped, and why.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.cases
            .iter()
            .filter_map(|report| match &report.verdict {
                Verdict::Skipped(reason) => Some((report.case.name, reason.as_str())),
                _ => None,
            })
    }

    /// Panics with the whole table if a case failed.
    #[expect(clippy::panic, reason = "this is what an assertion does")]
    pub fn assert_passed(&self) {
        if !self.has_passed() {
            panic!("the driver breaks the contract:\n{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.cases.iter().map(|report| report.case.name.len());
        let width = names.max().unwrap_or_default();
        for CaseReport {
            case,
            verdict,
            took,
        } in &self.cases
        {
            let (word, detail) = match verdict {
                Verdict::Passed => ("passed", String::new()),
                Verdict::Failed(failure) => ("FAILED", format!("{failure} ({})", case.proves)),
                Verdict::Skipped(reason) => ("skipped", reason.clone()),
            };
            let line = format!("{:width$}  {word:7}  {took:>8.1?}  {detail}", case.name);
            writeln!(f, "{}", line.trim_end())?;
        }
        let (failed, skipped) = (self.failed().count(), self.skipped().count());
        let passed = self.cases.len() - failed - skipped;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}
