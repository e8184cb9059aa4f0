use std::fmt::Write as _;

use super::{Report, Section, shown};

/// Formats all sections as text.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    for (name, value) in &report.machine {
        let _ = writeln!(text, "{name}: {value}");
    }
    for section in &report.sections {
        text.push_str(&render_section(section));
    }
    if !report.budgets.is_empty() {
        text.push_str("\n# Budgets\n");
    }
    for budget in &report.budgets {
        let mark = if budget.met { "met   " } else { "MISSED" };
        let (what, bound, found) = (&budget.what, &budget.bound, budget.found);
        let _ = writeln!(text, "{mark}  {found:>8.2}  {bound:<8}  {what}");
    }
    text
}

fn render_section(section: &Section) -> String {
    let mut text = format!("\n# {}\n", section.title);
    for note in &section.notes {
        let _ = writeln!(text, "- {note}");
    }
    let mut lines = vec![
        std::iter::once(String::new())
            .chain(section.columns.iter().map(|column| column.name.to_owned()))
            .collect::<Vec<_>>(),
    ];
    for comparison in &section.comparisons {
        lines.push(vec![format!("## {}", comparison.title)]);
        for row in &comparison.rows {
            let mark = if row.ours { "* " } else { "  " };
            let values = section.columns.iter().zip(&row.values);
            lines.push(
                std::iter::once(format!("{mark}{}", row.subject))
                    .chain(values.map(|(column, value)| shown(*value, column.decimals)))
                    .collect(),
            );
        }
    }
    let mut widths = vec![0; section.columns.len() + 1];
    for line in lines.iter().filter(|line| line.len() > 1) {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for line in &lines {
        for (position, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match position {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
    text
}
