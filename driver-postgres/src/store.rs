//! The pool, and statements on one of its connections.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection, PgPool, Postgres, SqlStr};
use tokio::time::{Instant, timeout_at};

use crate::error::{Failure, closed};
use crate::statements::Statements;

/// How long the server has beyond the deadline to give a statement up by itself, which spares the connection.
const GRACE: Duration = Duration::from_millis(250);

/// What every part of the driver uses.
pub(crate) struct Store {
    pub(crate) pool: PgPool,
    pub(crate) statements: Statements,
    pub(crate) timeout: Duration,
    pub(crate) pooler: bool,
}

/// A pool of the driver's own. A connection that was idle for a while is tried before it is used, since the server or a
/// firewall may have ended it; the others are not.
pub(crate) fn pool(options: PgConnectOptions, size: u32, timeout: Duration) -> PgPool {
    const TRUSTED: Duration = Duration::from_secs(1);
    PgPoolOptions::new()
        .max_connections(size)
        // The error of a pool that cannot connect says more than that of the deadline.
        .acquire_timeout(timeout.mul_f32(0.8))
        .test_before_acquire(false)
        .before_acquire(|connection, idle| {
            Box::pin(async move {
                if idle.idle_for > TRUSTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

impl Store {
    /// A connection of the pool, taken when it is first needed.
    pub(crate) fn lease(&self) -> Lease<'_> {
        Lease {
            store: self,
            connection: None,
            is_busy: false,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// A connection of the pool while it is used. A broken one is replaced with the next statement.
pub(crate) struct Lease<'s> {
    store: &'s Store,
    connection: Option<PoolConnection<Postgres>>,
    /// An answer is still to come on the connection, so that nobody else can use it.
    is_busy: bool,
}

impl Lease<'_> {
    /// Takes a connection. Whatever fails here, nothing was sent.
    pub(crate) async fn connect(&mut self, deadline: Instant) -> Result<(), Failure> {
        if self.is_busy {
            self.discard();
        }
        if self.connection.is_none() {
            let acquired = timeout_at(deadline, self.store.pool.acquire()).await;
            let acquired = acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut));
            self.connection = Some(acquired.map_err(Failure::to_connect)?);
        }
        Ok(())
    }

    /// Whether the pool has no other connection to give.
    pub(crate) fn is_last(&self) -> bool {
        let pool = &self.store.pool;
        pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections()
    }

    /// Gives the connection back to the pool.
    pub(crate) fn release(&mut self) {
        match self.is_busy {
            true => self.discard(),
            false => self.connection = None,
        }
    }

    /// Closes the connection.
    fn discard(&mut self) {
        self.is_busy = false;
        drop(self.connection.take().map(PoolConnection::detach));
    }

    /// Runs a statement that changes something. It is sent once.
    pub(crate) async fn change(
        &mut self,
        sql: &SqlStr,
        arguments: PgArguments,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, Failure> {
        let (pooler, limit) = (self.store.pooler, self.store.timeout);
        self.connect(deadline).await?;
        let Some(connection) = self.connection.as_mut() else {
            return Err(closed());
        };
        // It stays so if this future is dropped.
        self.is_busy = true;
        let running = run(connection, sql, arguments, pooler.then_some(limit));
        let failure = match timeout_at(deadline + GRACE, running).await {
            Ok(Ok(rows)) => {
                self.is_busy = false;
                return Ok(rows);
            }
            Ok(Err(error)) => Failure::of(error),
            Err(_) => Failure::unanswered(),
        };
        self.is_busy = failure.is_broken;
        if self.is_busy {
            self.discard();
        }
        Err(failure)
    }

    /// Runs a statement that changes nothing, once more on each connection that turns out to be broken.
    pub(crate) async fn read(
        &mut self,
        sql: &SqlStr,
        arguments: impl Fn() -> PgArguments,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, Failure> {
        /// A pause after the first broken connection, which the server may have ended because it restarts.
        const PAUSE: Duration = Duration::from_millis(20);
        loop {
            let failure = match self.change(sql, arguments(), deadline).await {
                Err(failure) if failure.is_broken => failure,
                done => return done,
            };
            let next = Instant::now() + PAUSE;
            if self.store.pool.is_closed() || next >= deadline {
                return Err(failure);
            }
            tokio::time::sleep_until(next).await;
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Runs a statement, in a transaction of its own if there is a `limit`.
async fn run(
    connection: &mut PgConnection,
    sql: &SqlStr,
    arguments: PgArguments,
    limit: Option<Duration>,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let query = sqlx::query_with(sql.clone(), arguments).persistent(limit.is_none());
    let Some(limit) = limit else {
        return query.fetch_all(connection).await;
    };
    let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", limit.as_millis());
    let mut transaction = connection.begin_with(AssertSqlSafe(begin)).await?;
    match query.fetch_all(&mut *transaction).await {
        Ok(rows) => {
            transaction.commit().await?;
            Ok(rows)
        }
        Err(error) => {
            // The first error says what happened.
            let _ended = transaction.rollback().await;
            Err(error)
        }
    }
}
