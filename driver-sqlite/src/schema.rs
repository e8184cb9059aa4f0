//! Creates or completes the table: the one of unstorage, with two columns, an index and two triggers of ours.

use std::collections::BTreeMap;

use session_core::{Error, ErrorKind};
use sqlx::{AssertSqlSafe, Executor, Row, SqliteConnection};
use tokio::time::Instant;

use crate::config::TableName;
use crate::connection::{SHORT_BUSY_TIMEOUT, waited_for_lock};
use crate::error::{During, from_sqlx, is_locked};

/// Columns without which a table is not unstorage's.
const FOREIGN_COLUMNS: [&str; 5] = ["key", "value", "blob", "created_at", "updated_at"];

/// Columns that we add. unstorage names its columns in every statement and never sees ours.
const OUR_COLUMNS: [&str; 2] = ["expires_at", "revision"];

/// Creates or completes the table. Other processes may do the same at the same time.
pub(crate) async fn prepare(
    connection: &mut SqliteConnection,
    table: &TableName,
    in_memory: bool,
    locked_until: Instant,
) -> Result<(), Error> {
    let encoding = text(connection, "PRAGMA encoding").await?;
    if !in_memory {
        use_write_ahead_log(connection, locked_until).await?;
    }
    if encoding != "UTF-8" {
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "the database stores text in UTF-16, which would change values; use a database in UTF-8",
        ));
    }
    // Looking takes no lock, and usually nothing is missing.
    if Plan::of(connection, table).await?.is_empty() {
        return check_writable(connection, table).await;
    }
    run(connection, "BEGIN IMMEDIATE").await?;
    let completed = complete(connection, table).await;
    let end = match completed {
        Ok(()) => "COMMIT",
        Err(_) => "ROLLBACK",
    };
    let ended = run(connection, end).await;
    completed.and(ended)?;
    wait_shortly(connection).await
}

/// From now on the driver itself waits for locks, not SQLite.
async fn wait_shortly(connection: &mut SqliteConnection) -> Result<(), Error> {
    let pragma = format!("PRAGMA busy_timeout={}", SHORT_BUSY_TIMEOUT.as_millis());
    run(connection, &pragma).await
}

/// Switching to the write-ahead log needs an exclusive lock for a moment, and SQLite does not wait for it.
async fn use_write_ahead_log(
    connection: &mut SqliteConnection,
    locked_until: Instant,
) -> Result<(), Error> {
    loop {
        match connection.fetch_optional("PRAGMA journal_mode=WAL").await {
            Ok(row) => {
                let mode: Option<String> = row.and_then(|row| row.try_get(0).ok());
                if mode.as_deref() != Some("wal") {
                    tracing::warn!(
                        "this file system does not support a write-ahead log, so readers and writers of the \
                         database wait for each other"
                    );
                }
                return Ok(());
            }
            Err(error) if waited_for_lock(&error, || Instant::now() < locked_until).await => {}
            Err(error) => return Err(from_sqlx(error, During::Writing)),
        }
    }
}

/// Fails now if the database is read-only, which SQLite would report at the first write. If another process holds the
/// lock, the file can be written, so there is no need to wait.
async fn check_writable(connection: &mut SqliteConnection, table: &TableName) -> Result<(), Error> {
    run(connection, "PRAGMA busy_timeout=0").await?;
    // It removes nothing. A BEGIN IMMEDIATE would begin a transaction for reading.
    let nothing = format!("DELETE FROM {} WHERE 0", table.quoted());
    match connection.execute(AssertSqlSafe(nothing)).await {
        Err(error) if !is_locked(&error) => return Err(from_sqlx(error, During::Writing)),
        _ => {}
    }
    wait_shortly(connection).await
}

/// Looks again under the lock, since another process may have been faster, and runs what is left.
async fn complete(connection: &mut SqliteConnection, table: &TableName) -> Result<(), Error> {
    let plan = Plan::of(connection, table).await?;
    for statement in plan.statements {
        run(connection, &statement).await?;
    }
    Ok(())
}

/// The statements that are left to run.
struct Plan {
    statements: Vec<String>,
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    async fn of(connection: &mut SqliteConnection, table: &TableName) -> Result<Self, Error> {
        let mut statements = Vec::new();
        let columns = columns(connection, table).await?;
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
        let existing = definitions(connection, table).await?;
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
        Ok(Self { statements })
    }
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

async fn columns(
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<BTreeMap<String, Column>, Error> {
    let query = sqlx::query("SELECT name,type,pk>0 FROM pragma_table_info(?)")
        .bind(table.as_str())
        .persistent(false);
    let rows = connection.fetch_all(query).await.map_err(reading)?;
    rows.iter()
        .map(|row| {
            let column = Column {
                kind: row.try_get(1).map_err(reading)?,
                in_primary_key: row.try_get_unchecked(2).map_err(reading)?,
            };
            Ok((row.try_get(0).map_err(reading)?, column))
        })
        .collect()
}

async fn definitions(
    connection: &mut SqliteConnection,
    table: &TableName,
) -> Result<BTreeMap<String, String>, Error> {
    let query = sqlx::query(
        "SELECT name,sql FROM sqlite_master WHERE tbl_name=? AND type IN('index','trigger') AND sql NOTNULL",
    )
    .bind(table.as_str())
    .persistent(false);
    let rows = connection.fetch_all(query).await.map_err(reading)?;
    rows.iter()
        .map(|row| {
            Ok((
                row.try_get(0).map_err(reading)?,
                row.try_get(1).map_err(reading)?,
            ))
        })
        .collect()
}

async fn text(connection: &mut SqliteConnection, sql: &'static str) -> Result<String, Error> {
    let row = connection.fetch_one(sql).await.map_err(reading)?;
    row.try_get(0).map_err(reading)
}

async fn run(connection: &mut SqliteConnection, sql: &str) -> Result<(), Error> {
    let done = connection.execute(AssertSqlSafe(sql)).await;
    done.map(drop)
        .map_err(|error| from_sqlx(error, During::Writing))
}

fn reading(error: sqlx::Error) -> Error {
    from_sqlx(error, During::Reading)
}
