//! Creates or completes the table: the one of unstorage, with two columns, an index and two triggers of ours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use session_core::{Error, ErrorKind};

use crate::config::TableName;
use crate::error::{During, from_sqlite, is_locked};

/// Columns without which a table is not unstorage's.
const FOREIGN_COLUMNS: [&str; 5] = ["key", "value", "blob", "created_at", "updated_at"];

/// Columns that we add. unstorage names its columns in every statement and never sees ours.
const OUR_COLUMNS: [&str; 2] = ["expires_at", "revision"];

/// Creates or completes the table. Other processes may do the same at the same time. It waits for their locks for as
/// long as `busy_timeout`, which is the connection's too.
pub(crate) fn prepare(
    connection: &Connection,
    table: &TableName,
    in_memory: bool,
    busy_timeout: Duration,
) -> Result<(), Error> {
    let encoding: String = connection
        .pragma_query_value(None, "encoding", |row| row.get(0))
        .map_err(reading)?;
    if !in_memory {
        use_write_ahead_log(connection, busy_timeout).map_err(writing)?;
    }
    if encoding != "UTF-8" {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "the database stores text in UTF-16, which would change values; use a database in UTF-8",
        ));
    }
    // Looking takes no lock, and usually nothing is missing.
    if missing(connection, table)?.is_empty() {
        return check_writable(connection, table, busy_timeout).map_err(writing);
    }
    connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(writing)?;
    // Another process may have been faster.
    let completed = missing(connection, table).and_then(|statements| {
        let all = statements.join(";");
        connection.execute_batch(&all).map_err(writing)
    });
    let end = match completed {
        Ok(()) => "COMMIT",
        Err(_) => "ROLLBACK",
    };
    let ended = connection.execute_batch(end).map_err(writing);
    completed.and(ended)
}

/// Switching to the write-ahead log needs an exclusive lock for a moment, and SQLite does not wait for it.
fn use_write_ahead_log(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    let until = Instant::now() + busy_timeout;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                tracing::warn!(
                    "this file system does not support a write-ahead log, so readers and writers of the database \
                     wait for each other"
                );
                return Ok(());
            }
            Err(error) if is_locked(&error) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Fails now if the database is read-only, which SQLite would report at the first write. If another process holds the
/// lock, the file can be written, so there is no need to wait.
fn check_writable(
    connection: &Connection,
    table: &TableName,
    busy_timeout: Duration,
) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    // It removes nothing. A BEGIN IMMEDIATE would begin a transaction for reading.
    let nothing = format!("DELETE FROM {} WHERE 0", table.quoted());
    match connection.execute_batch(&nothing) {
        Err(error) if !is_locked(&error) => Err(error),
        _ => connection.busy_timeout(busy_timeout),
    }
}

/// The statements that are left to run.
fn missing(connection: &Connection, table: &TableName) -> Result<Vec<String>, Error> {
    let mut statements = Vec::new();
    let columns = columns(connection, table).map_err(reading)?;
    if columns.is_empty() {
        statements.push(create_table(table));
    } else {
        check(&columns, table)?;
    }
    for column in OUR_COLUMNS {
        if !columns.contains_key(column) {
            statements.push(format!(
                "ALTER TABLE {} ADD COLUMN {column} INTEGER",
                table.quoted()
            ));
        }
    }
    let existing = definitions(connection, table).map_err(reading)?;
    for (kind, name, definition) in our_definitions(table) {
        match existing.get(&name) {
            Some(sql) if *sql == definition => {}
            Some(_) => {
                statements.push(format!("DROP {kind} \"{name}\""));
                statements.push(definition);
            }
            None => statements.push(definition),
        }
    }
    Ok(statements)
}

/// Byte for byte the statement of unstorage, so that the table is the same whichever side created it.
fn create_table(table: &TableName) -> String {
    let name = table.as_str();
    let name = match needs_quotes(name) {
        true => table.quoted(),
        false => name.to_owned(),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {name} (
        key TEXT PRIMARY KEY,
        value TEXT,
        blob BLOB,
        created_at TEXT DEFAULT CURRENT_TIMESTAMP,
        updated_at TEXT DEFAULT CURRENT_TIMESTAMP
      )"
    )
}

/// Whether a name could be a keyword. unstorage does not quote, and keywords contain no `_` except for those that
/// begin with `current_`.
fn needs_quotes(name: &str) -> bool {
    name != crate::config::DEFAULT_TABLE
        && (!name.contains('_') || name.to_ascii_lowercase().starts_with("current_"))
}

/// An index and triggers, each with its name.
///
/// The triggers notice writers that ignore our columns. An inserted row without a revision gets one. A row whose value
/// is updated without its revision gets another revision, and loses the expiry, which belonged to the previous value.
/// The triggers do not fire for our own writes, which always set a new revision, for a touch, which updates neither
/// of their columns, or for their own updates.
fn our_definitions(table: &TableName) -> [(&'static str, String, String); 3] {
    let t = table.quoted();
    let name = table.as_str();
    let index = format!("{name}_expires_at");
    let inserted = format!("{name}_foreign_insert");
    let updated = format!("{name}_foreign_update");
    let on_index =
        format!("CREATE INDEX \"{index}\" ON {t}(expires_at) WHERE expires_at IS NOT NULL");
    let on_insert = format!(
        "CREATE TRIGGER \"{inserted}\" AFTER INSERT ON {t} WHEN NEW.revision IS NULL BEGIN \
         UPDATE {t} SET revision=random() WHERE rowid=NEW.rowid; END"
    );
    let on_update = format!(
        "CREATE TRIGGER \"{updated}\" AFTER UPDATE OF value,blob ON {t} \
         WHEN NEW.revision IS OLD.revision BEGIN \
         UPDATE {t} SET revision=random(),expires_at=NULL WHERE rowid=NEW.rowid; END"
    );
    [
        ("INDEX", index, on_index),
        ("TRIGGER", inserted, on_insert),
        ("TRIGGER", updated, on_update),
    ]
}

struct Column {
    kind: String,
    in_primary_key: bool,
}

fn check(columns: &BTreeMap<String, Column>, table: &TableName) -> Result<(), Error> {
    let wrong = |what: String| {
        Error::new(
            ErrorKind::InvalidConfig,
            format!(
                "the table `{}` is not one of unstorage: {what}; set `table` to another one. The table was not \
                 changed",
                table.as_str()
            ),
        )
    };
    for name in FOREIGN_COLUMNS {
        if !columns.contains_key(name) {
            return Err(wrong(format!("it has no column `{name}`")));
        }
    }
    let primary: Vec<&str> = columns
        .iter()
        .filter(|(_, column)| column.in_primary_key)
        .map(|(name, _)| name.as_str())
        .collect();
    if primary != ["key"] {
        return Err(wrong("its primary key is not the column `key`".to_owned()));
    }
    for name in OUR_COLUMNS {
        if let Some(column) = columns.get(name)
            && !column.kind.eq_ignore_ascii_case("INTEGER")
        {
            return Err(wrong(format!("its column `{name}` is not an INTEGER")));
        }
    }
    Ok(())
}

fn columns(
    connection: &Connection,
    table: &TableName,
) -> rusqlite::Result<BTreeMap<String, Column>> {
    let mut statement = connection.prepare("SELECT name,type,pk>0 FROM pragma_table_info(?1)")?;
    let rows = statement.query_map(params![table.as_str()], |row| {
        let column = Column {
            kind: row.get(1)?,
            in_primary_key: row.get(2)?,
        };
        Ok((row.get(0)?, column))
    })?;
    rows.collect()
}

fn definitions(
    connection: &Connection,
    table: &TableName,
) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare(
        "SELECT name,sql FROM sqlite_master WHERE tbl_name=?1 AND type IN('index','trigger') AND sql NOTNULL",
    )?;
    let rows = statement.query_map(params![table.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    rows.collect()
}

fn reading(error: rusqlite::Error) -> Error {
    from_sqlite(error, During::Reading)
}

fn writing(error: rusqlite::Error) -> Error {
    from_sqlite(error, During::Writing)
}
