//! The SQL of reads and writes, built once for a table.

use crate::config::TableName;

/// The statements of a table. A connection prepares each of them once.
///
/// Everywhere `?1` is the key, and `?2` the time now in milliseconds. A writer takes the time under its lock, since a
/// time from before waiting for the lock would let an expired entry count as present.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: String,
    pub(crate) exists: String,
    pub(crate) metadata: String,
    pub(crate) list: String,
    pub(crate) page_end: String,
    pub(crate) delete_range: String,
    pub(crate) sweep: String,
    pub(crate) put: String,
    pub(crate) replace: String,
    pub(crate) delete: String,
    pub(crate) touch: String,
}

impl Statements {
    pub(crate) fn new(table: &TableName) -> Self {
        let t = table.quoted();
        let not_expired = "(expires_at IS NULL OR expires_at>?2)";
        // `?3` says that there is no condition on the revision, and `?4` is the expected one.
        let expected = format!("(?3 OR(coalesce(revision,0)=?4 AND {not_expired}))");
        Self {
            read: format!(
                "SELECT value,blob,expires_at,revision FROM {t} WHERE key=?1 AND {not_expired}"
            ),
            exists: format!("SELECT 1 FROM {t} WHERE key=?1 AND {not_expired}"),
            metadata: format!(
                "SELECT octet_length(coalesce(value,blob,'')),expires_at,revision,\
                 unixepoch(created_at),unixepoch(updated_at) FROM {t} WHERE key=?1 AND {not_expired}"
            ),
            // These are of the keys between two others.
            list: format!(
                "SELECT key,expires_at FROM {t} WHERE key>?1 AND key<?2 ORDER BY key LIMIT ?3"
            ),
            page_end: format!(
                "SELECT max(key)FROM(SELECT key FROM {t} WHERE key>?1 AND key<?2 ORDER BY key LIMIT ?3)"
            ),
            delete_range: format!("DELETE FROM {t} WHERE key>?1 AND key<=?2"),
            sweep: format!(
                "DELETE FROM {t} WHERE rowid IN(SELECT rowid FROM {t} WHERE expires_at<=?1 \
                 ORDER BY expires_at LIMIT ?2)"
            ),
            // `?3` says whether to replace an entry that has not expired.
            put: format!(
                "INSERT INTO {t}(key,value,blob,expires_at,revision,created_at,updated_at)\
                 VALUES(?1,?4,?5,?6,?7,CURRENT_TIMESTAMP,CURRENT_TIMESTAMP)\
                 ON CONFLICT(key)DO UPDATE SET value=excluded.value,blob=excluded.blob,\
                 expires_at=excluded.expires_at,revision=excluded.revision,\
                 created_at=CASE WHEN expires_at<=?2 THEN CURRENT_TIMESTAMP ELSE created_at END,\
                 updated_at=CURRENT_TIMESTAMP WHERE ?3 OR expires_at<=?2"
            ),
            replace: format!(
                "UPDATE {t} SET value=?4,blob=?5,expires_at=?6,revision=?7,updated_at=CURRENT_TIMESTAMP \
                 WHERE key=?1 AND coalesce(revision,0)=?3 AND {not_expired}"
            ),
            delete: format!("DELETE FROM {t} WHERE key=?1 AND {expected}"),
            touch: format!(
                "UPDATE {t} SET expires_at=?5 WHERE key=?1 AND {not_expired} AND {expected}"
            ),
        }
    }
}
