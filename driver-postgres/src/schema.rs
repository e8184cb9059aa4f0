//! Creates or completes the table.

use std::time::Duration;

use session_core::{Error, ErrorKind};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::config::{Layout, TableName, invalid};
use crate::error::Failure;
use crate::invalidation::EVERYTHING;

/// Columns that a table must have, with their types. Ours come last.
const UNSTORAGE: [(&str, &str); 7] = [
    ("key", "character varying"),
    ("value", "text"),
    ("blob", "bytea"),
    ("created_at", "timestamp without time zone"),
    ("updated_at", "timestamp without time zone"),
    ("expires_at", "bigint"),
    ("revision", "bigint"),
];
const BYTES: [(&str, &str); 4] = [
    ("key", "bytea"),
    ("value", "bytea"),
    ("expires_at", "bigint"),
    ("revision", "bigint"),
];
const OURS: usize = 2;

/// The ends of the names of the triggers that notify.
const CHANGED: &str = "_changed";
const TRUNCATED: &str = "_truncated";

/// The statements that create or complete the table, each of which does nothing where it has nothing to do.
///
/// The triggers notice writers that ignore our columns. A row that is inserted without a revision gets one. A row whose
/// value is updated without its revision gets another one, and loses the expiry, which belonged to the former value.
/// They do not fire for our own writes, which always set a new revision, nor for a touch, which leaves the value alone.
pub(crate) fn sql(table: &TableName, layout: Layout) -> String {
    let (t, name) = (table.quoted(""), table.name());
    let function = table.quoted("_foreign_write");
    let (columns, written, order) = match layout {
        // Those of unstorage, in an order by which listings can follow the primary key.
        Layout::Unstorage => (
            "key VARCHAR(255) COLLATE \"C\" NOT NULL PRIMARY KEY,\n  value TEXT,\n  blob BYTEA,\n  \
             created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,\n  updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP",
            "value, blob",
            // One that unstorage created is in the order of the database.
            format!(
                "  IF EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation\n      \
                 WHERE a.attrelid = '{t}'::regclass AND a.attname = 'key' AND c.collname <> 'C') THEN\n    \
                 CREATE INDEX IF NOT EXISTS \"{name}_key_order\" ON {t} (key COLLATE \"C\");\n  END IF;\n"
            ),
        ),
        Layout::Bytes => (
            "key BYTEA NOT NULL PRIMARY KEY,\n  value BYTEA NOT NULL",
            "value",
            String::new(),
        ),
    };
    let trigger = |event: &str, on: &str, when: &str| {
        format!(
            "  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = '{t}'::regclass\n      \
             AND tgname = '{name}_foreign_{event}') THEN\n    \
             CREATE TRIGGER \"{name}_foreign_{event}\" BEFORE {on} ON {t} FOR EACH ROW\n      \
             WHEN ({when}) EXECUTE FUNCTION {function}();\n  END IF;\n"
        )
    };
    let on_insert = trigger("insert", "INSERT", "NEW.revision IS NULL");
    let on_update = trigger(
        "update",
        &format!("UPDATE OF {written}"),
        "NEW.revision IS NOT DISTINCT FROM OLD.revision",
    );
    format!(
        "CREATE TABLE IF NOT EXISTS {t} (\n  {columns}\n);\n\
         ALTER TABLE {t} ADD COLUMN IF NOT EXISTS expires_at BIGINT, ADD COLUMN IF NOT EXISTS revision BIGINT;\n\
         CREATE INDEX IF NOT EXISTS \"{name}_expires_at\" ON {t} (expires_at) WHERE expires_at IS NOT NULL;\n\
         CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$\n\
         BEGIN\n  \
         NEW.revision := ('x' || translate(gen_random_uuid()::text, '-', ''))::bit(64)::bigint;\n  \
         NEW.expires_at := NULL;\n  RETURN NEW;\n\
         END $$;\n\
         DO $$\nBEGIN\n{order}{on_insert}{on_update}END $$;\n"
    )
}

/// The statements that make the table notify of each change, without which nobody can listen.
///
/// A row that is inserted is not told of, since nobody can have read it.
pub(crate) fn notifying_sql(table: &TableName, layout: Layout) -> String {
    let (t, name, channel) = (table.quoted(""), table.name(), table.channel());
    let function = table.quoted("_notify");
    let key = match layout {
        Layout::Unstorage => "convert_to(OLD.key, 'UTF8')",
        Layout::Bytes => "OLD.key",
    };
    format!(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$\n\
         BEGIN\n  \
         IF TG_OP = 'TRUNCATE' THEN\n    PERFORM pg_notify('{channel}', '{EVERYTHING}');\n  \
         ELSE\n    PERFORM pg_notify('{channel}', encode({key}, 'hex'));\n  END IF;\n  \
         RETURN NULL;\n\
         END $$;\n\
         CREATE OR REPLACE TRIGGER \"{name}{CHANGED}\" AFTER UPDATE OR DELETE ON {t} FOR EACH ROW\n  \
         EXECUTE FUNCTION {function}();\n\
         CREATE OR REPLACE TRIGGER \"{name}{TRUNCATED}\" AFTER TRUNCATE ON {t} FOR EACH STATEMENT\n  \
         EXECUTE FUNCTION {function}();\n"
    )
}

/// Makes the table notify if it does not yet and `migrate` says so.
pub(crate) async fn prepare_to_notify(
    connection: &mut PgConnection,
    table: &TableName,
    layout: Layout,
    migrate: bool,
) -> Result<(), Error> {
    let found = Found::look(connection, table).await?;
    found.check_server(layout)?;
    if found.notifies(table) {
        return Ok(());
    }
    if !migrate {
        return Err(invalid(
            "the table does not notify of changes; run `invalidation_sql`, or set `migrate`",
        ));
    }
    let sql = notifying_sql(table, layout);
    let is_complete = |found: &Found| found.notifies(table);
    complete(connection, table, sql, is_complete)
        .await
        .map_err(|error| Failure::of(error).error())
}

/// Creates or completes the table if `migrate` says so, and checks that it is one that the driver can use. Other processes
/// may do the same at the same time.
pub(crate) async fn prepare(
    connection: &mut PgConnection,
    table: &TableName,
    layout: Layout,
    migrate: bool,
) -> Result<(), Error> {
    // In a transaction, since a pooler may send the two halves of a statement to different connections else.
    let begun = connection.begin().await;
    let mut transaction = begun.map_err(|error| Failure::of(error).error())?;
    let found = Found::look(&mut transaction, table).await?;
    let ended = transaction.commit().await;
    ended.map_err(|error| Failure::of(error).error())?;
    found.check_server(layout)?;
    if found.columns.is_empty() && !migrate {
        return Err(invalid(
            "the table does not exist; create it with `schema_sql`, or set `migrate`",
        ));
    }
    if !found.columns.is_empty() {
        found.check_columns(table, layout)?;
    }
    if found.is_complete(table, layout) {
        return Ok(());
    }
    if !migrate {
        return Err(invalid(
            "the table lacks columns, the index or triggers of this driver; run `schema_sql`, or set `migrate`",
        ));
    }
    let is_complete = |found: &Found| found.is_complete(table, layout);
    complete(connection, table, sql(table, layout), is_complete)
        .await
        .map_err(|error| Failure::of(error).error())
}

/// Runs the statements while no other process does.
async fn complete(
    connection: &mut PgConnection,
    table: &TableName,
    sql: String,
    is_complete: impl Fn(&Found) -> bool,
) -> Result<(), sqlx::Error> {
    /// Any number that other programs are unlikely to lock.
    const LOCK: i64 = 0x5e55_1075_7044;
    /// Long enough to build an index. The caller's deadline comes first, and rolls back.
    const LONGEST: Duration = Duration::from_secs(600);
    let mut transaction = connection.begin().await?;
    let first = format!(
        "SET LOCAL statement_timeout = {}; SELECT pg_advisory_xact_lock({LOCK})",
        LONGEST.as_millis()
    );
    sqlx::raw_sql(AssertSqlSafe(first))
        .execute(&mut *transaction)
        .await?;
    // Another process may have been faster, and what is there need not be locked again.
    let found = Found::look(&mut transaction, table).await;
    if !found.is_ok_and(|found| is_complete(&found)) {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// What is there.
struct Found {
    /// `NAME TYPE` of each column.
    columns: Vec<String>,
    primary_key: Vec<String>,
    triggers: Vec<String>,
    indexes: Vec<String>,
    merges_keys: bool,
    is_in_order: bool,
    encoding: String,
    is_read_only: bool,
}

impl Found {
    async fn look(connection: &mut PgConnection, table: &TableName) -> Result<Self, Error> {
        const LOOK: &str = "\
            SELECT \
            ARRAY(SELECT attname || ' ' || format_type(atttypid, NULL) FROM pg_attribute \
                WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped), \
            ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a \
                ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = t.oid AND i.indisprimary), \
            ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = t.oid AND NOT tgisinternal), \
            ARRAY(SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                WHERE i.indrelid = t.oid AND i.indisvalid), \
            coalesce(NOT c.collisdeterministic, false), coalesce(c.collname = 'C', true), \
            current_setting('server_encoding'), current_setting('transaction_read_only') = 'on' \
            FROM (SELECT to_regclass($1)::oid AS oid) t \
            LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'key' \
            LEFT JOIN pg_collation c ON c.oid = a.attcollation";
        let query = sqlx::query(LOOK).bind(table.quoted("")).persistent(false);
        let look = async {
            let row = query.fetch_one(connection).await?;
            Ok(Self {
                columns: row.try_get(0)?,
                primary_key: row.try_get(1)?,
                triggers: row.try_get(2)?,
                indexes: row.try_get(3)?,
                merges_keys: row.try_get(4)?,
                is_in_order: row.try_get(5)?,
                encoding: row.try_get(6)?,
                is_read_only: row.try_get(7)?,
            })
        };
        look.await.map_err(|error| Failure::of(error).error())
    }

    fn check_server(&self, layout: Layout) -> Result<(), Error> {
        if self.is_read_only {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the server is a replica or accepts only reads; name the primary in `url`",
            ));
        }
        if self.encoding != "UTF8" && layout == Layout::Unstorage {
            return Err(invalid(
                "the encoding of the database is not UTF8, so that it cannot hold every text; use another database, or \
                 `layout = \"bytes\"`",
            ));
        }
        Ok(())
    }

    fn check_columns(&self, table: &TableName, layout: Layout) -> Result<(), Error> {
        let columns = columns(layout);
        let theirs = columns.len().saturating_sub(OURS);
        let wrong = |what: String| {
            Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "the table `{}` is not one for this `layout`: {what}; set `table` to another one. The table was \
                     not changed",
                    table.name()
                ),
            ))
        };
        for (place, (name, kind)) in columns.iter().enumerate() {
            let column = self.columns.iter().find_map(|column| {
                let (found, kind) = column.split_once(' ')?;
                (found == *name).then_some(kind)
            });
            match column {
                None if place < theirs => return wrong(format!("it has no column `{name}`")),
                Some(found) if !is_alike(found, kind) => {
                    return wrong(format!("its column `{name}` is of type {found}"));
                }
                _ => {}
            }
        }
        if self.primary_key != ["key"] {
            return wrong("its primary key is not the column `key`".to_owned());
        }
        if self.merges_keys {
            return wrong("the collation of its keys takes different keys for the same".to_owned());
        }
        Ok(())
    }

    fn notifies(&self, table: &TableName) -> bool {
        has(&self.triggers, table, CHANGED) && has(&self.triggers, table, TRUNCATED)
    }

    fn is_complete(&self, table: &TableName, layout: Layout) -> bool {
        columns(layout).iter().all(|(name, _)| {
            self.columns
                .iter()
                .any(|column| column.starts_with(&format!("{name} ")))
        }) && has(&self.triggers, table, "_foreign_insert")
            && has(&self.triggers, table, "_foreign_update")
            && has(&self.indexes, table, "_expires_at")
            && (layout == Layout::Bytes
                || self.is_in_order
                || has(&self.indexes, table, "_key_order"))
    }
}

/// Whether one of `names` is that of the table with `suffix`.
fn has(names: &[String], table: &TableName, suffix: &str) -> bool {
    names.contains(&format!("{}{suffix}", table.name()))
}

fn columns(layout: Layout) -> &'static [(&'static str, &'static str)] {
    match layout {
        Layout::Unstorage => &UNSTORAGE,
        Layout::Bytes => &BYTES,
    }
}

/// Texts of either type are used alike, and so are times.
fn is_alike(found: &str, expected: &str) -> bool {
    let is_text = |kind| matches!(kind, "text" | "character varying");
    found == expected
        || is_text(found) && is_text(expected)
        || found.starts_with("timestamp") && expected.starts_with("timestamp")
}
