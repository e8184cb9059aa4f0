//! Runs the benchmarks against other libraries. The result is a table, an HTML page and a JSON file.

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

/// Runs the benchmarks against other libraries.
#[derive(Parser)]
struct Options {
    /// Run only the benchmarks whose title contains this, such as `requests` or `sqlite`.
    filter: Option<String>,
    /// Run a short version with rough results.
    #[arg(long)]
    quick: bool,
    /// For child processes that run one subject: the section and the name of the subject.
    #[arg(long, hide = true, requires = "subject")]
    subject_of: Option<String>,
    #[arg(long, hide = true)]
    subject: Option<String>,
    /// For child processes that share a server: its URL.
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
        eprintln!("benches: no benchmark has this in its title");
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
            eprintln!("benches: cannot write the report: {error}");
            ExitCode::FAILURE
        }
    }
}
