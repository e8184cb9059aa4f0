//! The results of a run, and their output formats.

mod html;
mod text;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The results of a run.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Vec<(&'static str, String)>,
    pub(crate) sections: Vec<Section>,
    pub(crate) budgets: Vec<Budget>,
}

/// A section: comparisons with the same columns.
#[derive(Serialize)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// Notes on configuration and limits.
    pub(crate) notes: Vec<String>,
    pub(crate) columns: Vec<Column>,
    pub(crate) comparisons: Vec<Comparison>,
}

/// A measured quantity.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) decimals: usize,
    /// Whether the page plots it.
    pub(crate) plotted: bool,
}

/// A comparison of subjects that were measured in turns.
#[derive(Serialize)]
pub(crate) struct Comparison {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// The results of one subject, in the order of the columns.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) ours: bool,
    pub(crate) values: Vec<Option<f64>>,
}

/// A performance budget and the measured value.
#[derive(Serialize)]
pub(crate) struct Budget {
    pub(crate) what: String,
    pub(crate) bound: String,
    pub(crate) found: f64,
    pub(crate) met: bool,
}

impl Column {
    pub(crate) const fn plain(name: &'static str, decimals: usize) -> Self {
        Self {
            name,
            decimals,
            plotted: false,
        }
    }

    pub(crate) const fn plotted(name: &'static str, decimals: usize) -> Self {
        Self {
            name,
            decimals,
            plotted: true,
        }
    }
}

impl Report {
    /// Returns the value of `column` for `subject` in a comparison, if it was measured.
    pub(crate) fn value(
        &self,
        section: &str,
        comparison: &str,
        subject: &str,
        column: &str,
    ) -> Option<f64> {
        let section = self.sections.iter().find(|found| found.title == section)?;
        let position = section
            .columns
            .iter()
            .position(|found| found.name == column)?;
        let comparison = section
            .comparisons
            .iter()
            .find(|found| found.title == comparison)?;
        let row = comparison.rows.iter().find(|row| row.subject == subject)?;
        row.values.get(position).copied().flatten()
    }

    /// Formats the table for a terminal.
    pub(crate) fn to_text(&self) -> String {
        text::render(self)
    }

    /// Writes the page and the data into `folder`, and returns their paths.
    pub(crate) fn write_to(&self, folder: &Path) -> io::Result<[PathBuf; 2]> {
        std::fs::create_dir_all(folder)?;
        let page = folder.join("report.html");
        std::fs::write(&page, html::render(self))?;
        let data = folder.join("report.json");
        std::fs::write(&data, serde_json::to_vec_pretty(self)?)?;
        Ok([page, data])
    }
}

fn shown(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut grouped = String::new();
    for (position, digit) in digits.char_indices() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(shown(Some(1_234_567.0), 0), "1,234,567");
        assert_eq!(shown(Some(-1234.56), 1), "-1,234.6");
        assert_eq!(shown(Some(12.0), 0), "12");
        assert_eq!(shown(None, 0), "–");
    }
}
