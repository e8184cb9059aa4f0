//! The result of a run of the suite.

use std::fmt;
use std::time::Duration;

use crate::case::Case;
use crate::failure::Failure;

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The driver satisfies the case.
    Passed,
    /// The driver violates the contract.
    Failed(Failure),
    /// The case does not apply to this driver, for this reason.
    Skipped(String),
}

/// One case and its result.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The case.
    pub case: &'static Case,
    /// The result of the case.
    pub verdict: Verdict,
    /// How long the case took.
    pub took: Duration,
}

/// The results of all cases, in the order of the suite. `Display` formats a table.
#[derive(Clone, Debug)]
#[must_use = "a report lists the failed cases; call assert_passed() to panic on failures"]
pub struct Report {
    /// One report for each case.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// Returns `true` if no case failed.
    pub fn has_passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Returns the names of the failed cases and their failures.
    pub fn failed(&self) -> impl Iterator<Item = (&'static str, &Failure)> {
        self.cases
            .iter()
            .filter_map(|report| match &report.verdict {
                Verdict::Failed(failure) => Some((report.case.name, failure)),
                _ => None,
            })
    }

    /// Returns the names of the skipped cases and the reasons.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.cases
            .iter()
            .filter_map(|report| match &report.verdict {
                Verdict::Skipped(reason) => Some((report.case.name, reason.as_str())),
                _ => None,
            })
    }

    /// Panics if a case failed, with the failures and the table of all results.
    #[expect(clippy::panic, reason = "this is what an assertion does")]
    pub fn assert_passed(&self) {
        if !self.has_passed() {
            // First the failures alone: a log may cut the middle of the table.
            let failed = self.failed();
            let failed: Vec<_> = failed.map(|(name, it)| format!("{name}: {it}")).collect();
            let failed = failed.join("\n");
            panic!("the driver violates the contract:\n{failed}\n\nAll cases:\n{self}");
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
                Verdict::Skipped(reason) => ("ignored", reason.clone()),
            };
            let line = format!("{:width$}  {word:7}  {took:>8.1?}  {detail}", case.name);
            writeln!(f, "{}", line.trim_end())?;
        }
        let (failed, skipped) = (self.failed().count(), self.skipped().count());
        let passed = self.cases.len() - failed - skipped;
        write!(f, "{passed} passed, {failed} failed, {skipped} ignored")
    }
}
