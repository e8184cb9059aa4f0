//! Stores on a SQLite file, one file each. A further one is a file and a line in [`contenders`].

mod ours;
mod rusqlite;
mod sqlx;
mod table;
mod tower;

use super::contender::Contender;
use super::in_process;
use super::javascript::Unstorage;

pub(crate) const TITLE: &str = "stores: sqlite";
pub(super) const NOTE: &str = "on files of their own on one disk, each in WAL with `synchronous = NORMAL`, 8 MiB of page cache and a \
     checkpoint at 4,000 pages; all in this process run the same SQLite";

pub(super) async fn contenders() -> Vec<Box<dyn Contender>> {
    let folder = table::Folder::new();
    let path = folder.path("unstorage.db");
    let unstorage = Unstorage::start(
        "unstorage db0 (Node)",
        "node:sqlite, in one thread that waits for each statement, which is all that it gives; with the same \
         pragmas",
        "db0",
        &path,
    );
    vec![
        in_process(ours::Sqlite::open(folder.clone()).await).await,
        in_process(sqlx::BareSqlx::open(folder.clone()).await).await,
        in_process(rusqlite::BareRusqlite::open(folder.clone())).await,
        in_process(tower::TowerSqlite::open(folder.clone()).await).await,
        unstorage.await.expect("unstorage must run"),
    ]
}
