//! Stores on a SQLite file, one file each. To add one, add a file and a line in `CONTENDERS`.

pub(crate) mod beside;
pub(crate) mod sqlx;
pub(crate) mod table;
pub(crate) mod tower;

mod ours;
mod rusqlite;

use super::contender::{Contender, Operation, Runs, filled};
use super::{Backend, CALLERS, Location, SESSIONS, folder};

pub(crate) const TITLE: &str = "stores: sqlite";

pub(super) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "on files of their own on one disk, each in WAL with `synchronous = NORMAL`, 8 MiB of page cache and a \
           checkpoint at 4,000 pages; all but Node.js run the same SQLite",
    location: Location::Folder,
    operations: &Operation::ALL,
    callers: &CALLERS,
    contenders: &CONTENDERS,
};

const CONTENDERS: [Contender; 5] = [
    Contender::here::<ours::Sqlite>(|| {
        Box::pin(async { filled(ours::Sqlite::open(folder()).await).await })
    }),
    Contender::here::<sqlx::BareSqlx>(|| {
        Box::pin(async { filled(sqlx::BareSqlx::open(folder()).await).await })
    }),
    Contender::here::<rusqlite::BareRusqlite>(|| {
        Box::pin(filled(rusqlite::BareRusqlite::open(folder())))
    }),
    Contender::here::<tower::TowerSqlite>(|| {
        Box::pin(async { filled(tower::TowerSqlite::open(folder()).await).await })
    }),
    Contender {
        name: "unstorage db0 (Node)",
        note: "node:sqlite, in one thread that waits for each statement, which is all that it gives; with the same \
               pragmas",
        is_ours: false,
        runs: Runs::InNode("db0", SESSIONS),
    },
];
