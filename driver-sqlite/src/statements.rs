//! All SQL, made once for a table.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::config::TableName;

/// Milliseconds since 1970 by SQLite. It is taken when the statement runs, hence under the lock of its
/// transaction: a time that was taken before waiting for the lock would let an ended entry count as alive.
/// (`unixepoch('now','subsec')` says the same and takes longer.)
const NOW: &str = "round((julianday()-2440587.5)*86400000.0)";

/// How many of one kind of statement a transaction or a read of many is made of. Few sizes, filled up with
/// statements that do nothing, keep the number of prepared statements small.
const SIZES: [usize; 6] = [0, 1, 4, 16, 32, MAX_BATCH];

/// How many statements a transaction, or keys a read, holds at most.
pub(crate) const MAX_BATCH: usize = 64;

/// The smallest of the sizes that holds `count`.
pub(crate) fn size_for(count: usize) -> usize {
    SIZES
        .into_iter()
        .find(|size| *size >= count)
        .unwrap_or(MAX_BATCH)
}

/// The kinds of statements that change something, in the order in which a transaction has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    Replace,
    Delete,
    Touch,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Put, Kind::Replace, Kind::Delete, Kind::Touch];

pub(crate) type Counts = [usize; KINDS.len()];

pub(crate) struct Statements {
    pub(crate) read: SqlStr,
    pub(crate) exists: SqlStr,
    pub(crate) metadata: SqlStr,
    pub(crate) list: SqlStr,
    pub(crate) list_all: SqlStr,
    pub(crate) page_end: SqlStr,
    pub(crate) page_end_all: SqlStr,
    pub(crate) delete_range: SqlStr,
    pub(crate) sweep: SqlStr,
    put: SqlStr,
    replace: SqlStr,
    delete: SqlStr,
    touch: SqlStr,
    reads: Vec<(usize, SqlStr)>,
    transactions: Mutex<HashMap<Counts, SqlStr>>,
}

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let t = table.quoted();
        let alive = "(expires_at IS NULL OR expires_at>?)";
        let alive_now = format!("(expires_at IS NULL OR expires_at>{NOW})");
        let columns = "key,value,blob,expires_at,revision";
        let read_many = |count: usize| {
            let marks = vec!["?"; count].join(",");
            sql(format!(
                "SELECT {columns} FROM {t} WHERE key IN({marks}) AND {alive}"
            ))
        };
        Self {
            read: sql(format!("SELECT {columns} FROM {t} WHERE key=? AND {alive}")),
            exists: sql(format!("SELECT 1 FROM {t} WHERE key=? AND {alive}")),
            metadata: sql(format!(
                "SELECT octet_length(coalesce(value,blob,'')),expires_at,revision,\
                 unixepoch(created_at),unixepoch(updated_at) FROM {t} WHERE key=? AND {alive}"
            )),
            list: sql(format!(
                "SELECT key,expires_at FROM {t} WHERE key>? AND key<? ORDER BY key LIMIT ?"
            )),
            list_all: sql(format!(
                "SELECT key,expires_at FROM {t} WHERE key>? ORDER BY key LIMIT ?"
            )),
            page_end: sql(format!(
                "SELECT max(key) FROM(SELECT key FROM {t} WHERE key>? AND key<? ORDER BY key LIMIT ?)"
            )),
            page_end_all: sql(format!(
                "SELECT max(key) FROM(SELECT key FROM {t} WHERE key>? ORDER BY key LIMIT ?)"
            )),
            delete_range: sql(format!("DELETE FROM {t} WHERE key>? AND key<=?")),
            sweep: sql(format!(
                "DELETE FROM {t} WHERE rowid IN(SELECT rowid FROM {t} WHERE expires_at<={NOW} \
                 ORDER BY expires_at LIMIT ?)AND expires_at<={NOW}"
            )),
            // The first parameter says whether this one does anything, the one after ON CONFLICT whether it may
            // replace an entry that is alive.
            put: sql(format!(
                "INSERT INTO {t}(key,value,blob,expires_at,revision,created_at,updated_at)\
                 SELECT ?,?,?,?,?,CURRENT_TIMESTAMP,CURRENT_TIMESTAMP WHERE ? \
                 ON CONFLICT(key)DO UPDATE SET value=excluded.value,blob=excluded.blob,\
                 expires_at=excluded.expires_at,revision=excluded.revision,\
                 created_at=CASE WHEN expires_at<={NOW} THEN CURRENT_TIMESTAMP ELSE created_at END,\
                 updated_at=CURRENT_TIMESTAMP WHERE ? OR expires_at<={NOW}"
            )),
            replace: sql(format!(
                "UPDATE {t} SET value=?,blob=?,expires_at=?,revision=?,updated_at=CURRENT_TIMESTAMP \
                 WHERE key=? AND coalesce(revision,0)=? AND {alive_now}"
            )),
            delete: sql(format!(
                "DELETE FROM {t} WHERE key=? AND(? OR(coalesce(revision,0)=? AND {alive_now}))"
            )),
            touch: sql(format!(
                "UPDATE {t} SET expires_at=? WHERE key=? AND(? OR coalesce(revision,0)=?)AND {alive_now}"
            )),
            reads: SIZES
                .into_iter()
                .filter(|size| *size > 1)
                .map(|size| (size, read_many(size)))
                .collect(),
            transactions: Mutex::new(HashMap::new()),
        }
    }

    /// The read of `size` keys, which is one of the sizes above one.
    pub(crate) fn read_many(&self, size: usize) -> SqlStr {
        self.reads
            .iter()
            .find(|(of, _)| *of == size)
            .map_or_else(|| self.read.clone(), |(_, sql)| sql.clone())
    }

    /// One statement of a kind, which SQLite commits by itself.
    pub(crate) fn single(&self, kind: Kind) -> SqlStr {
        self.of(kind).clone()
    }

    /// A transaction with so many statements of each kind.
    ///
    /// It is one text: the thread of the connection runs it through without waiting for anything in
    /// between, so the lock is held for as short as can be.
    pub(crate) fn transaction(&self, counts: Counts) -> SqlStr {
        let mut transactions = self.transactions.lock();
        let cached = transactions.entry(counts).or_insert_with(|| {
            let mut text = String::from("BEGIN IMMEDIATE;");
            for (kind, count) in KINDS.into_iter().zip(counts) {
                for _ in 0..count {
                    text.push_str(self.of(kind).as_str());
                    text.push(';');
                }
            }
            text.push_str("COMMIT");
            sql(text)
        });
        cached.clone()
    }

    fn of(&self, kind: Kind) -> &SqlStr {
        match kind {
            Kind::Put => &self.put,
            Kind::Replace => &self.replace,
            Kind::Delete => &self.delete,
            Kind::Touch => &self.touch,
        }
    }
}

/// The text is made of constants and of a table's name that was checked; values are always bound.
fn sql(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}
