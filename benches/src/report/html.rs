use std::fmt::Write as _;

use super::{Column, Comparison, Report, Row, Section, shown};

const STYLE: &str = "
:root { color-scheme: light dark; --ours: #2f6fdb; --peer: #9aa3af; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
tr.ours td { font-weight: 600; }
.missed { color: #c0392b; font-weight: 600; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
";

/// Renders a self-contained HTML page.
pub(super) fn render(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Benchmarks</title>\n\
         <style>{STYLE}</style>\n<h1>Benchmarks</h1>\n<ul>\n"
    );
    for (name, value) in &report.machine {
        let _ = writeln!(page, "<li>{}: {}</li>", escaped(name), escaped(value));
    }
    page.push_str("</ul>\n");
    if !report.budgets.is_empty() {
        page.push_str(&budgets(report));
    }
    for section in &report.sections {
        page.push_str(&render_section(section));
    }
    page.push_str("</html>\n");
    page
}

fn budgets(report: &Report) -> String {
    let mut text =
        "<h2>Budgets</h2>\n<table>\n<tr><th>what</th><th>bound</th><th>found</th></tr>\n"
            .to_owned();
    for budget in &report.budgets {
        let class = if budget.met { "met" } else { "missed" };
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td class=\"{class}\">{:.2}</td></tr>",
            escaped(&budget.what),
            escaped(&budget.bound),
            budget.found
        );
    }
    text.push_str("</table>\n");
    text
}

fn render_section(section: &Section) -> String {
    let mut text = format!("<h2>{}</h2>\n<ul>\n", escaped(section.title));
    for note in &section.notes {
        let _ = writeln!(text, "<li>{}</li>", escaped(note));
    }
    text.push_str("</ul>\n");
    for comparison in &section.comparisons {
        let _ = writeln!(
            text,
            "<h3>{}</h3>\n<div class=\"plots\">",
            escaped(&comparison.title)
        );
        for (position, column) in section.columns.iter().enumerate() {
            if column.plotted {
                text.push_str(&bars(comparison, position, column));
            }
        }
        text.push_str("</div>\n");
        text.push_str(&table(section, comparison));
    }
    text
}

fn table(section: &Section, comparison: &Comparison) -> String {
    let mut text = "<table>\n<tr><th></th>".to_owned();
    for column in &section.columns {
        let _ = write!(text, "<th>{}</th>", escaped(column.name));
    }
    text.push_str("</tr>\n");
    for row in &comparison.rows {
        let class = if row.ours { " class=\"ours\"" } else { "" };
        let _ = write!(text, "<tr{class}><td>{}</td>", escaped(&row.subject));
        for (column, value) in section.columns.iter().zip(&row.values) {
            let _ = write!(text, "<td>{}</td>", shown(*value, column.decimals));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table>\n");
    text
}

/// Renders a horizontal bar for each row, relative to the largest value.
fn bars(comparison: &Comparison, position: usize, column: &Column) -> String {
    const NAME: f64 = 230.0;
    const LONGEST: f64 = 220.0;
    const VALUE: f64 = 90.0;
    const LINE: f64 = 20.0;
    let value_of = |row: &Row| row.values.get(position).copied().flatten();
    let measured: Vec<(&Row, f64)> = comparison
        .rows
        .iter()
        .filter_map(|row| value_of(row).map(|value| (row, value)))
        .collect();
    let greatest = measured.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if greatest <= 0.0 {
        return String::new();
    }
    let mut y = LINE;
    let mut shapes = String::new();
    for (row, value) in &measured {
        let length = LONGEST * value.max(0.0) / greatest;
        let colour = if row.ours {
            "var(--ours)"
        } else {
            "var(--peer)"
        };
        let (text_y, bar_y, height) = (y + 14.0, y + 3.0, LINE - 6.0);
        let (value_x, shown) = (NAME + length + 6.0, shown(Some(*value), column.decimals));
        let _ = writeln!(
            shapes,
            "<text x=\"0\" y=\"{text_y}\">{}</text>\
             <rect x=\"{NAME}\" y=\"{bar_y}\" width=\"{length:.1}\" height=\"{height}\" fill=\"{colour}\"/>\
             <text x=\"{value_x:.1}\" y=\"{text_y}\">{shown}</text>",
            escaped(&row.subject)
        );
        y += LINE;
    }
    let width = NAME + LONGEST + VALUE;
    format!(
        "<svg viewBox=\"0 0 {width} {y}\" width=\"{width}\" height=\"{y}\" role=\"img\">\n\
         <text x=\"{NAME}\" y=\"14\">{}</text>\n{shapes}</svg>\n",
        escaped(column.name)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
