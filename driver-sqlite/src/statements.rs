//! The SQL of reads and writes, built once for a table.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::config::TableName;

/// Milliseconds since 1970 by SQLite. It is evaluated when the statement runs, so under the lock of its transaction. A
/// time from before waiting for the lock would let an expired entry count as present.
/// (`unixepoch('now','subsec')` gives the same and takes longer.)
const NOW: &str = "round((julianday()-2440587.5)*86400000.0)";

/// How many statements of one kind a transaction has, or how many keys a read. Few sizes, filled up with statements
/// that do nothing, keep the number of prepared statements small.
const SIZES: [usize; 6] = [0, 1, 4, 16, 32, MAX_BATCH];

/// How many statements a transaction has at most, or keys a read.
pub(crate) const MAX_BATCH: usize = 64;

/// The smallest size for `count`.
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
        let not_expired = "(expires_at IS NULL OR expires_at>?)";
        let not_expired_now = format!("(expires_at IS NULL OR expires_at>{NOW})");
        let columns = "key,value,blob,expires_at,revision";
        let read_many = |count: usize| {
            let marks = vec!["?"; count].join(",");
            sql(format!(
                "SELECT {columns} FROM {t} WHERE key IN({marks}) AND {not_expired}"
            ))
        };
        Self {
            read: sql(format!(
                "SELECT {columns} FROM {t} WHERE key=? AND {not_expired}"
            )),
            exists: sql(format!("SELECT 1 FROM {t} WHERE key=? AND {not_expired}")),
            metadata: sql(format!(
                "SELECT octet_length(coalesce(value,blob,'')),expires_at,revision,\
                 unixepoch(created_at),unixepoch(updated_at) FROM {t} WHERE key=? AND {not_expired}"
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
            // The parameter of the first WHERE says whether to insert at all, and that of the second whether to replace
            // an entry that has not expired.
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
                 WHERE key=? AND coalesce(revision,0)=? AND {not_expired_now}"
            )),
            delete: sql(format!(
                "DELETE FROM {t} WHERE key=? AND(? OR(coalesce(revision,0)=? AND {not_expired_now}))"
            )),
            touch: sql(format!(
                "UPDATE {t} SET expires_at=? WHERE key=? AND(? OR coalesce(revision,0)=?)AND {not_expired_now}"
            )),
            reads: SIZES
                .into_iter()
                .filter(|size| *size > 1)
                .map(|size| (size, read_many(size)))
                .collect(),
            transactions: Mutex::new(HashMap::new()),
        }
    }

    /// The read of `size` keys, one of the sizes above one.
    pub(crate) fn read_many(&self, size: usize) -> SqlStr {
        self.reads
            .iter()
            .find(|(of, _)| *of == size)
            .map_or_else(|| self.read.clone(), |(_, sql)| sql.clone())
    }

    /// A statement of a kind, which SQLite commits by itself.
    pub(crate) fn single(&self, kind: Kind) -> SqlStr {
        self.of(kind).clone()
    }

    /// A transaction with so many statements of each kind.
    ///
    /// It is one text, so the thread of the connection runs it without waiting in between, and holds the lock as
    /// shortly as possible.
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

/// The text consists of constants and the name of a table that was checked. Values are always bound.
fn sql(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}
