//! The SQL of the driver, built once for a table.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::config::{Layout, TableName};

/// The statements of a table. Keys and values are bytes in their parameters and results, whatever the layout.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) read: SqlStr,
    pub(crate) metadata: SqlStr,
    pub(crate) list: InRange,
    pub(crate) clear: InRange,
    pub(crate) sweep: SqlStr,
    pub(crate) put: Changing,
    pub(crate) delete: Changing,
    pub(crate) touch: Changing,
    pub(crate) notify: SqlStr,
}

/// A statement over a range of keys that has an end, and the same over all keys.
#[derive(Debug)]
pub(crate) struct InRange {
    pub(crate) below: SqlStr,
    pub(crate) all: SqlStr,
}

/// A statement that changes rows.
#[derive(Debug)]
pub(crate) struct Changing {
    /// It waits for a row that another transaction holds.
    pub(crate) waiting: SqlStr,
    /// It leaves such a row alone, so that one locked row does not hold up the others.
    pub(crate) skipping: SqlStr,
}

/// The time of the server at the moment of evaluation in milliseconds. The time of the statement or the transaction would
/// let an entry that expired while a lock was waited for count as present.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)";

/// The time at which the statement began, by which an index can be searched.
const BEGAN: &str = "floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint";

impl Statements {
    pub(crate) fn new(table: &TableName, layout: Layout) -> Self {
        let t = table.quoted("");
        let parts = Parts::new(layout);
        let Parts {
            key,
            value,
            order,
            bytes_of_key,
            ..
        } = &parts;
        let alive = format!("(t.expires_at IS NULL OR t.expires_at > {NOW})");
        let one = parts.key_of("$1");
        let times = match layout {
            Layout::Unstorage => {
                "(extract(epoch FROM t.created_at) * 1000)::bigint, (extract(epoch FROM t.updated_at) * 1000)::bigint"
            }
            Layout::Bytes => "NULL::bigint, NULL::bigint",
        };
        // `$1` is before the first key, and `$2` the position where the last page ended. Another may follow.
        let start = parts.key_of("coalesce(decode($2, 'hex'), $1)");
        let in_range = |build: &dyn Fn(&str) -> String| InRange {
            below: sql(build(&format!(
                "{order} > {start} AND {order} < {}",
                parts.key_of("$4")
            ))),
            all: sql(build(&format!("{order} > {start}"))),
        };
        Self {
            read: sql(format!(
                "SELECT w.i, {value}, t.expires_at, coalesce(t.revision, 0) \
                 FROM unnest($1::bytea[]) WITH ORDINALITY AS w(k, i) JOIN {t} t ON t.key = {key} WHERE {alive}"
            )),
            metadata: sql(format!(
                "SELECT octet_length({value})::bigint, t.expires_at, coalesce(t.revision, 0), {times} \
                 FROM {t} t WHERE t.key = {one} AND {alive}"
            )),
            list: in_range(&|range| format!(
                "SELECT {bytes_of_key}, encode({bytes_of_key}, 'hex'), {alive} FROM {t} t WHERE {range} \
                 ORDER BY {order} LIMIT $3"
            )),
            clear: in_range(&|range| format!(
                "WITH d AS (SELECT t.key FROM {t} t WHERE {range} ORDER BY {order} LIMIT $3 FOR UPDATE), \
                 gone AS (DELETE FROM {t} t USING d WHERE t.key = d.key RETURNING t.key) \
                 SELECT max(encode({bytes_of_key}, 'hex')) FROM gone t"
            )),
            sweep: sql(format!(
                "WITH d AS (SELECT t.key FROM {t} t WHERE t.expires_at <= {BEGAN} ORDER BY t.expires_at LIMIT $1 \
                 FOR UPDATE SKIP LOCKED), \
                 gone AS (DELETE FROM {t} t USING d WHERE t.key = d.key AND t.expires_at <= {BEGAN} RETURNING 1) \
                 SELECT count(*) FROM gone"
            )),
            put: parts.changing(&t, &parts.put(&t)),
            delete: parts.changing(&t, &format!(
                "changed AS (DELETE FROM {t} t USING judged j WHERE t.key = j.key AND j.ok RETURNING j.i)"
            )),
            touch: parts.changing(&t, &format!(
                "changed AS (UPDATE {t} t SET expires_at = j.until FROM judged j \
                 WHERE t.key = j.key AND j.ok AND NOT j.gone RETURNING j.i)"
            )),
            notify: sql("SELECT pg_notify($1, $2)".to_owned()),
        }
    }
}

/// How the columns are read and written in a layout.
struct Parts {
    layout: Layout,
    /// The key of `w`.
    key: String,
    /// The key of `t` as bytes.
    bytes_of_key: &'static str,
    /// The value of `t`.
    value: &'static str,
    /// The value of a locked row, from columns that are read only if it is needed.
    locked_value: &'static str,
    locked_columns: &'static str,
    /// The key of `t` in the order of bytes.
    order: &'static str,
}

impl Parts {
    fn new(layout: Layout) -> Self {
        let parts = match layout {
            // If unstorage has left both text and bytes, the text counts, as for its `getItem`.
            Layout::Unstorage => Self {
                layout,
                key: String::new(),
                bytes_of_key: "convert_to(t.key, 'UTF8')",
                value: "coalesce(convert_to(t.value, 'UTF8'), t.blob, ''::bytea)",
                locked_value: "coalesce(convert_to(j.value, 'UTF8'), j.blob, ''::bytea)",
                locked_columns: "t.value, t.blob",
                order: "t.key COLLATE \"C\"",
            },
            Layout::Bytes => Self {
                layout,
                key: String::new(),
                bytes_of_key: "t.key",
                value: "t.value",
                locked_value: "j.value",
                locked_columns: "t.value",
                order: "t.key",
            },
        };
        Self {
            key: parts.key_of("w.k"),
            ..parts
        }
    }

    /// The key that has the bytes `bytes`.
    fn key_of(&self, bytes: &str) -> String {
        match self.layout {
            Layout::Unstorage => format!("convert_from({bytes}, 'UTF8')"),
            Layout::Bytes => format!("({bytes})::bytea"),
        }
    }

    /// Changes the rows of several keys, each on a condition of its own, and says of each what was done.
    ///
    /// The rows are locked first, in the order of the parameters, which is that of the keys, so that statements of
    /// several processes do not wait for each other in a circle. Whether a row has expired is decided after that. A key
    /// without a row in `locked` had none when the statement began, or its row is held by another transaction and was
    /// skipped.
    ///
    /// `mode` is 0 for no condition, 1 for absent, 2 for the revision `expected`.
    fn changing(&self, t: &str, changed: &str) -> Changing {
        let (key, columns, value) = (&self.key, self.locked_columns, self.locked_value);
        let build = |lock: &str| {
            sql(format!(
                "WITH w AS MATERIALIZED (SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bool[], $4::bigint[], \
                 $5::bigint[], $6::smallint[], $7::bigint[]) \
                 WITH ORDINALITY AS w(k, v, is_text, until, next, mode, expected, i)), \
                 locked AS MATERIALIZED (SELECT w.*, t.key, {columns}, t.expires_at, coalesce(t.revision, 0) AS revision \
                 FROM w JOIN {t} t ON t.key = {key} ORDER BY w.i FOR UPDATE OF t{lock}), \
                 timed AS MATERIALIZED (SELECT l.*, coalesce(l.expires_at <= {NOW}, false) AS gone FROM locked l), \
                 judged AS MATERIALIZED (SELECT l.*, CASE l.mode WHEN 0 THEN true WHEN 1 THEN l.gone \
                 ELSE NOT l.gone AND l.revision = l.expected END AS ok FROM timed l), \
                 {changed} \
                 SELECT w.i, c.i IS NOT NULL, j.i IS NOT NULL, j.gone, \
                 CASE WHEN c.i IS NULL AND NOT j.gone THEN {value} END, j.expires_at, j.revision \
                 FROM w LEFT JOIN judged j ON j.i = w.i LEFT JOIN changed c ON c.i = w.i"
            ))
        };
        Changing {
            waiting: build(""),
            skipping: build(" SKIP LOCKED"),
        }
    }

    /// Updates the rows that are there, and inserts the others. One that appears meanwhile is left alone, and the
    /// statement is to be repeated for it.
    fn put(&self, t: &str) -> String {
        const TEXT: &str = "CASE WHEN #.is_text THEN convert_from(#.v, 'UTF8') END";
        const BLOB: &str = "CASE WHEN NOT #.is_text THEN #.v END";
        let key = &self.key;
        let (columns, sets, values) = match self.layout {
            Layout::Unstorage => (
                "value, blob, created_at, updated_at",
                format!(
                    "value = {TEXT}, blob = {BLOB}, \
                     created_at = CASE WHEN #.gone THEN CURRENT_TIMESTAMP ELSE t.created_at END, \
                     updated_at = CURRENT_TIMESTAMP"
                ),
                format!("{TEXT}, {BLOB}, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"),
            ),
            Layout::Bytes => ("value", "value = #.v".to_owned(), "#.v".to_owned()),
        };
        let (sets, values) = (sets.replace('#', "j"), values.replace('#', "w"));
        format!(
            "updated AS (UPDATE {t} t SET {sets}, expires_at = j.until, revision = j.next FROM judged j \
             WHERE t.key = j.key AND j.ok RETURNING j.i), \
             inserted AS (INSERT INTO {t} (key, {columns}, expires_at, revision) \
             SELECT {key}, {values}, w.until, w.next FROM w \
             WHERE w.mode < 2 AND NOT EXISTS (SELECT FROM locked l WHERE l.i = w.i) ORDER BY w.i \
             ON CONFLICT (key) DO NOTHING RETURNING revision), \
             changed AS (SELECT i FROM updated UNION ALL \
             SELECT w.i FROM w JOIN inserted n ON n.revision = w.next)"
        )
    }
}

fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}
