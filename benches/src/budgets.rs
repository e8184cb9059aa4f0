//! The performance budgets, as ratios within one run.

use crate::report::{Budget, Report};
use crate::sessions::peers::{OURS, TOWER_SESSIONS};
use crate::stores::{Operation, comparison};
use crate::{growth, sessions, stores};

/// Compares the results with the budgets. Budgets without results are skipped.
pub(crate) fn check(report: &Report) -> Vec<Budget> {
    let mut budgets = Vec::new();
    requests(report, &mut budgets);
    memory(report, &mut budgets);
    grown(report, &mut budgets);
    folder(report, &mut budgets);
    sqlite(report, &mut budgets);
    redis(report, &mut budgets);
    postgres(report, &mut budgets);
    far_away(report, &mut budgets);
    budgets
}

fn requests(report: &Report, budgets: &mut Vec<Budget>) {
    let above = |title: &str, subject: &str, column: &str| {
        report.value(sessions::REQUESTS, title, subject, column)
    };
    for (title, bound) in [
        ("untouched, no cookie", 0.3),
        ("untouched, with the cookie", 0.3),
        ("read, one small value", 0.4),
        ("read + write, one small value", 0.5),
        ("read one of 5 values/1 KiB", 0.7),
        ("read + write one of 5 values/1 KiB", 0.7),
        ("read 5 values/1 KiB", 0.7),
        ("read 5 values/1 KiB + write one", 0.7),
    ] {
        let ours = above(title, OURS, "ns above");
        let theirs = above(title, TOWER_SESSIONS, "ns above");
        let what = format!("{title}: time above the identity layer, × {TOWER_SESSIONS}");
        budgets.extend(at_most(what, bound, ratio(ours, theirs)));
        if bound <= 0.3 {
            let what = format!("{title}: allocations above the identity layer");
            let found = above(title, OURS, "allocations above");
            budgets.extend(at_most(what, 3.0, found));
        }
    }
}

fn memory(report: &Report, budgets: &mut Vec<Budget>) {
    const LIMIT: &str = "bare dashmap";
    for operation in [Operation::Read, Operation::Write] {
        let title = comparison(operation, 8);
        for (subject, bound) in [
            ("driver-memory, read_now", 0.7),
            ("driver-memory, dyn Driver", 0.55),
        ] {
            let what = format!("memory, {title}: {subject}, × {LIMIT}");
            let found = rates(report, stores::memory::TITLE, &title, subject, LIMIT);
            budgets.extend(at_least(what, bound, found));
        }
    }
}

fn grown(report: &Report, budgets: &mut Vec<Budget>) {
    let title = growth::comparison("memory", 1_000_000);
    let value = |column: &str| report.value(growth::TITLE, &title, "driver-memory", column);
    let what = format!("{title}: bytes above key and value (goal 150)");
    budgets.extend(at_most(what, 220.0, value("bytes above")));
    let what = format!("{title}: µs within which 99.9 % end while half of them expire");
    budgets.extend(at_most(what, 1_000.0, value("p99.9 µs")));
}

fn folder(report: &Report, budgets: &mut Vec<Budget>) {
    let (ours, bare) = (stores::fs::OURS, stores::fs::BARE);
    for (operation, bound) in [(Operation::Read, 0.5), (Operation::Write, 0.7)] {
        for callers in stores::CALLERS {
            let title = comparison(operation, callers);
            let found = rates(report, stores::fs::TITLE, &title, ours, bare);
            let what = format!("fs, {title}: × {bare}");
            budgets.extend(at_least(what, bound, found));
        }
    }
}

fn sqlite(report: &Report, budgets: &mut Vec<Budget>) {
    const OURS: &str = "driver-sqlite";
    const TOWER: &str = "tower-sessions SqliteStore";
    const LIMIT: &str = "bare sqlx";
    let mut against = |operation: Operation, callers: usize, peer: &str, bound: f64, goal: &str| {
        let title = comparison(operation, callers);
        let found = rates(report, stores::sqlite::TITLE, &title, OURS, peer);
        let what = format!("sqlite, {title}: × {peer}{goal}");
        budgets.extend(at_least(what, bound, found));
    };
    against(Operation::Read, 64, TOWER, 1.2, " (goal 1.5)");
    against(Operation::Commit, 64, TOWER, 3.0, " (goal 4)");
    for operation in Operation::ALL {
        against(operation, 1, LIMIT, 0.9, "");
    }
}

fn redis(report: &Report, budgets: &mut Vec<Budget>) {
    const LIMIT: &str = "bare redis";
    let mut against = |section: &str, operation: Operation, ours: &str, peer: &str, bound: f64| {
        let title = comparison(operation, 64);
        let found = rates(report, section, &title, ours, peer);
        let what = format!("{section}, {title}: {ours}, × {peer}");
        budgets.extend(at_least(what, bound, found));
    };
    for section in [stores::redis::TITLE, stores::redis::VALKEY] {
        for ours in ["driver-redis", "driver-redis, dyn Driver"] {
            against(section, Operation::Read, ours, LIMIT, 0.85);
            against(section, Operation::Commit, ours, LIMIT, 0.8);
        }
    }
    for (section, commit) in [
        (stores::redis::requests::TITLE, 1.0),
        (stores::redis::requests::VALKEY, 1.2),
    ] {
        const CACHED: &str = "session-kit, near-cache";
        const TOWER: &str = "tower-sessions 0.14";
        const MOKA: &str = "tower-sessions 0.14, Moka";
        against(section, Operation::Read, OURS, TOWER, 0.95);
        against(section, Operation::Commit, OURS, TOWER, 0.95);
        against(section, Operation::Read, CACHED, TOWER, 4.2);
        against(section, Operation::Read, CACHED, MOKA, 1.1);
        against(section, Operation::Commit, CACHED, TOWER, commit);
    }
}

fn postgres(report: &Report, budgets: &mut Vec<Budget>) {
    let tower = stores::postgres::TOWER;
    for (operation, callers, ours, bound, goal) in [
        (Operation::Read, 64, OURS, 2.0, ""),
        (Operation::Read, 1, OURS, 1.0, ""),
        (Operation::Commit, 64, OURS, 1.5, " (goal 2.5)"),
        (Operation::Commit, 1, OURS, 0.95, ""),
        (Operation::Read, 64, stores::postgres::CACHED, 10.0, ""),
    ] {
        let title = comparison(operation, callers);
        let found = rates(report, stores::postgres::TITLE, &title, ours, tower);
        let what = format!("postgres, {title}: {ours}, × {tower}{goal}");
        budgets.extend(at_least(what, bound, found));
    }
}

fn far_away(report: &Report, budgets: &mut Vec<Budget>) {
    for (section, ours) in [
        (stores::upstash::TITLE, stores::upstash::OURS),
        (stores::cloudflare_kv::TITLE, stores::cloudflare_kv::OURS),
    ] {
        let rate = |callers: usize| {
            let title = comparison(Operation::Read, callers);
            report.value(section, &title, ours, "ops/s")
        };
        let what = format!("{section}, read: {ours}, 64 callers × 1 caller");
        budgets.extend(at_least(what, 20.0, ratio(rate(64), rate(1))));
    }
}

fn rates(report: &Report, section: &str, title: &str, subject: &str, peer: &str) -> Option<f64> {
    let rate = |subject: &str| report.value(section, title, subject, "ops/s");
    ratio(rate(subject), rate(peer))
}

fn ratio(found: Option<f64>, peer: Option<f64>) -> Option<f64> {
    Some(found? / peer?)
}

fn at_most(what: String, bound: f64, found: Option<f64>) -> Option<Budget> {
    let found = found?;
    Some(Budget {
        what,
        bound: format!("≤ {bound}"),
        found,
        met: found <= bound,
    })
}

fn at_least(what: String, bound: f64, found: Option<f64>) -> Option<Budget> {
    let found = found?;
    Some(Budget {
        what,
        bound: format!("≥ {bound}"),
        found,
        met: found >= bound,
    })
}
