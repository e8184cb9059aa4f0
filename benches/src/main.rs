//! Measures the workspace beside its peers: one table, one page, one file of data.

mod allocations;
mod budgets;
mod growth;
mod machine;
mod plan;
mod report;
mod sessions;
mod statistics;
mod stores;
mod subprocess;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime;
use tokio::task::LocalSet;

use plan::Plan;
use report::Report;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Measures the workspace beside its peers.
#[derive(Parser)]
struct Options {
    /// Measure only what has this in its title, such as `requests` or `sqlite`.
    filter: Option<String>,
    /// A short version, for trying things out: its figures are rough.
    #[arg(long)]
    quick: bool,
    /// Given to processes of this program that are one of the subjects: of which section, and which.
    #[arg(long, hide = true, requires = "subject")]
    subject_of: Option<String>,
    #[arg(long, hide = true)]
    subject: Option<String>,
    /// On which server, for those that share one.
    #[arg(long, hide = true)]
    server: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let one_thread = runtime::Builder::new_current_thread().enable_all().build();
    let one_thread = one_thread.expect("a runtime");
    let threads = runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.expect("a runtime");
    match (options.subject_of.as_deref(), options.subject) {
        (Some(sessions::REQUESTS), Some(name)) => {
            sessions::be(&one_thread, &name);
            return ExitCode::SUCCESS;
        }
        (Some(growth::TITLE), Some(name)) => {
            growth::be(&threads, &name);
            return ExitCode::SUCCESS;
        }
        (Some(sessions::in_cookies::IN_COOKIES), Some(name)) => {
            sessions::in_cookies::be(&one_thread, &name);
            return ExitCode::SUCCESS;
        }
        (Some(section), Some(name)) => {
            stores::be(&threads, section, &name, options.server);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let plan = Plan::new(options.filter, options.quick);
    let mut report = Report {
        machine: machine::describe(options.quick),
        sections: Vec::new(),
        budgets: Vec::new(),
    };

    let sessions = LocalSet::new().block_on(&one_thread, sessions::measure(&plan));
    report.sections.extend(sessions);

    let stores = threads.block_on(stores::measure(&plan));
    report.sections.extend(stores);
    report
        .sections
        .extend(threads.block_on(growth::measure(&plan)));

    if report.sections.is_empty() {
        eprintln!("benches: nothing that is measured has this in its title");
        return ExitCode::FAILURE;
    }
    report.budgets = budgets::check(&report);

    print!("{}", report.to_text());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report");
    match report.write_to(&folder) {
        Ok([page, data]) => {
            println!("\n{}\n{}", page.display(), data.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("benches: the report cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}
