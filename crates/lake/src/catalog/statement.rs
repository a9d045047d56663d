//! SQL text with its arguments, and the two databases that run it.
//!
//! Each statement is written once: the databases differ only in how arguments are marked, in migrations and in how a
//! transaction takes the write lock.

use super::checkpoints::Checkpoints;
use crate::LakeError;
use crate::interposer::Interposer;
use sqlx::{AssertSqlSafe, Connection, FromRow, SqliteConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use uuid::Uuid;

/// One value to bind.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    Int(i64),
    Small(i32),
    OptionalInt(Option<i64>),
    Uuid(Uuid),
    OptionalUuid(Option<Uuid>),
    Text(String),
    OptionalText(Option<String>),
    Bytes(Vec<u8>),
    OptionalBytes(Option<Vec<u8>>),
}

/// Marks the place of an argument in SQL under construction. No SQL of ours contains this character.
const PLACEHOLDER: char = '\u{1}';

/// How SQL marks the place of an argument. SQLite takes `$1` for a name, and looks for each name among all those before
/// it. Measured in a debug build: an OTLP request of 10,000 resources took 4.7 s, and takes 3.3 s without names.
#[derive(Debug, Clone, Copy)]
enum Marks {
    /// `?`, in the order of the arguments: SQLite.
    Plain,
    /// `$1`, `$2` …: PostgreSQL.
    #[cfg_attr(
        not(any(feature = "postgres", test)),
        expect(dead_code, reason = "only PostgreSQL numbers them")
    )]
    Numbered,
}

/// SQL under construction. Values only ever become arguments, never text.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    sql: String,
    args: Vec<Arg>,
}

impl Statement {
    pub(super) fn new(sql: &str) -> Self {
        Self { sql: sql.to_owned(), args: Vec::new() }
    }

    pub(super) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    pub(super) fn bind(&mut self, arg: Arg) -> &mut Self {
        self.args.push(arg);
        self.sql.push(PLACEHOLDER);
        self
    }

    /// Appends another statement to the script.
    fn then(&mut self, other: Self) {
        self.sql.push_str("; ");
        self.sql.push_str(&other.sql);
        self.args.extend(other.args);
    }

    /// The SQL with its arguments marked, and the arguments.
    fn render(self, marks: Marks) -> (String, Vec<Arg>) {
        let mut sql = String::with_capacity(self.sql.len() + 3 * self.args.len());
        let mut number = 0;
        for part in self.sql.split_inclusive(PLACEHOLDER) {
            let Some(before) = part.strip_suffix(PLACEHOLDER) else {
                sql.push_str(part);
                continue;
            };
            number += 1;
            sql.push_str(before);
            match marks {
                Marks::Plain => sql.push('?'),
                Marks::Numbered => sql.push_str(&format!("${number}")),
            }
        }
        (sql, self.args)
    }

    /// `(a, b, c)`
    pub(super) fn tuple(&mut self, args: impl IntoIterator<Item = Arg>) -> &mut Self {
        self.push("(");
        for (i, arg) in args.into_iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.bind(arg);
        }
        self.push(")")
    }
}

/// A query of `$statement` that is ready to run on either kind of database.
macro_rules! prepare {
    ($make:path, $statement:expr, $marks:expr) => {{
        let (sql, args) = $statement.render($marks);
        // the statement of a whole group is large and rarely needed twice: it would only fill the statement cache
        let mut query = $make(AssertSqlSafe(sql)).persistent(args.len() <= 32);
        for arg in args {
            query = match arg {
                Arg::Int(v) => query.bind(v),
                Arg::Small(v) => query.bind(v),
                Arg::OptionalInt(v) => query.bind(v),
                Arg::Uuid(v) => query.bind(v),
                Arg::OptionalUuid(v) => query.bind(v),
                Arg::Text(v) => query.bind(v),
                Arg::OptionalText(v) => query.bind(v),
                Arg::OptionalBytes(v) => query.bind(v),
                Arg::Bytes(v) => query.bind(v),
            };
        }
        query
    }};
}

/// Connections for reading, and who stands before them.
#[derive(Debug)]
pub(super) struct Readers {
    pool: ReadingPool,
    pub(super) interposer: Interposer,
}

impl From<ReadingPool> for Readers {
    fn from(pool: ReadingPool) -> Self {
        Self { pool, interposer: Interposer::default() }
    }
}

impl Readers {
    pub(super) async fn fetch<T: DatabaseRow>(&self, statement: Statement) -> Result<Vec<T>, LakeError> {
        let request = self.interposer.request(Some(&statement.sql), false, false);
        self.interposer.run(request, self.pool.fetch(statement)).await
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Connections for reading.
#[derive(Debug)]
pub(super) enum ReadingPool {
    File(sqlx::SqlitePool),
    /// A database in memory lives as long as its one connection. A pool was tried: it closes a connection when a caller is
    /// cancelled while the pool checks it, and the data was gone.
    Memory(Arc<SqliteWriter>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

/// A row of either database.
pub(super) trait DatabaseRow:
    for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + MaybePostgres + Send + Unpin
{
}

#[cfg(feature = "postgres")]
pub(super) trait MaybePostgres: for<'r> FromRow<'r, sqlx::postgres::PgRow> {}
#[cfg(feature = "postgres")]
impl<T> MaybePostgres for T where T: for<'r> FromRow<'r, sqlx::postgres::PgRow> {}
#[cfg(not(feature = "postgres"))]
pub(super) trait MaybePostgres {}
#[cfg(not(feature = "postgres"))]
impl<T> MaybePostgres for T {}

impl<T> DatabaseRow for T where T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + MaybePostgres + Send + Unpin {}

impl ReadingPool {
    async fn fetch<T: DatabaseRow>(&self, statement: Statement) -> Result<Vec<T>, LakeError> {
        let rows = match self {
            Self::File(pool) => prepare!(sqlx::query_as, statement, Marks::Plain).fetch_all(pool).await,
            Self::Memory(one) => {
                prepare!(sqlx::query_as, statement, Marks::Plain)
                    .fetch_all(&mut *one.connection().await?)
                    .await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                prepare!(sqlx::query_as, statement, Marks::Numbered).fetch_all(pool).await
            }
        };
        Ok(rows?)
    }

    async fn close(&self) {
        match self {
            Self::File(pool) => pool.close().await,
            Self::Memory(_) => (),
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// One step of a transaction.
pub(super) enum Step {
    Do(Statement),
    /// The rows that it inserts, updates or deletes are counted.
    Count(Statement),
}

impl Step {
    fn into_parts(self) -> (Statement, bool) {
        match self {
            Self::Do(statement) => (statement, false),
            Self::Count(statement) => (statement, true),
        }
    }
}

/// The one connection that writes to a SQLite database: a pool around it would wake more threads than the work
/// does.
#[derive(Debug)]
pub(super) struct SqliteWriter {
    /// `None` once it is closed.
    connection: Mutex<Option<SqliteConnection>>,
    /// Commits are not synced: what a power cut takes can be restored from the objects.
    is_relaxed: bool,
    /// Whether a transaction may still be open because its caller was cancelled: sqlx stops a script when its future is
    /// dropped. Only read and written while holding the connection. See [`RollBack`].
    is_unfinished: AtomicBool,
    /// None for a database in memory.
    checkpoints: Option<Checkpoints>,
}

impl SqliteWriter {
    pub(super) fn new(
        connection: SqliteConnection,
        is_relaxed: bool,
        checkpoints: Option<Checkpoints>,
    ) -> Self {
        let connection = Mutex::new(Some(connection));
        Self { connection, is_relaxed, is_unfinished: AtomicBool::new(false), checkpoints }
    }

    /// The connection, outside of any transaction.
    async fn connection(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>, LakeError> {
        let connection = self.connection.lock().await;
        let mut connection = MutexGuard::try_map(connection, Option::as_mut)
            .map_err(|_| LakeError::from(sqlx::Error::PoolClosed))?;
        self.roll_back_unfinished(&mut connection).await;
        Ok(connection)
    }

    /// Waits until the connection is closed. SQLite takes its log into the catalog then, and removes it; a connection that
    /// is merely dropped is closed by its own thread, which a process that ends does not wait for.
    async fn close(&self) {
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.stop().await;
        }
        let connection = self.connection.lock().await.take();
        if let Some(connection) = connection
            && let Err(e) = connection.close().await
        {
            tracing::warn!("the catalog was not closed well: {e}");
        }
    }

    async fn roll_back_unfinished(&self, connection: &mut SqliteConnection) {
        if self.is_unfinished.load(Ordering::Relaxed) {
            // there may be none to roll back
            let _ = sqlx::query("ROLLBACK").execute(connection).await;
            self.is_unfinished.store(false, Ordering::Relaxed);
        }
    }

    /// The whole transaction is one script: sqlx runs SQLite on a thread of its own, and each statement sent by itself
    /// would cost a round trip between threads. A single statement is a transaction by itself.
    async fn transact(
        &self,
        connection: &mut SqliteConnection,
        mut steps: Vec<Step>,
    ) -> Result<u64, LakeError> {
        if steps.len() == 1
            && let Some(step) = steps.pop()
        {
            let (statement, is_counted) = step.into_parts();
            let added =
                prepare!(sqlx::query, statement, Marks::Plain).execute(connection).await?.rows_affected();
            return Ok(if is_counted { added } else { 0 });
        }
        // a deferred transaction takes the write lock at its first write, and fails there if another one wrote since it
        // began, whatever the busy timeout is
        let mut script = Statement::new("BEGIN IMMEDIATE");
        for step in steps {
            let (statement, is_counted) = step.into_parts();
            script.then(statement);
            if is_counted {
                script.then(Statement::new("SELECT changes()"));
            }
        }
        script.then(Statement::new("COMMIT"));
        let values = script.args.len();
        self.is_unfinished.store(true, Ordering::Relaxed);
        let counts =
            prepare!(sqlx::query_as::<_, (i64,)>, script, Marks::Plain).fetch_all(&mut *connection).await;
        if counts.is_ok() {
            self.is_unfinished.store(false, Ordering::Relaxed);
            if let Some(checkpoints) = &self.checkpoints {
                checkpoints.wrote(values);
            }
        }
        match counts {
            Ok(counts) => Ok(counts.iter().map(|(count,)| *count as u64).sum()),
            Err(e) => {
                self.roll_back_unfinished(connection).await;
                Err(e.into())
            }
        }
    }
}

/// Ends what a cancelled caller leaves. Its transaction may be open and hold the database's only lock for writing, and the
/// next one of this program, which would roll it back, may be hours away: until then no other program could write.
struct RollBack(Option<Arc<SqliteWriter>>);

impl RollBack {
    fn new(writer: &Arc<SqliteWriter>) -> Self {
        Self(Some(writer.clone()))
    }

    /// The transaction has come to its end.
    fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for RollBack {
    fn drop(&mut self) {
        // without a runtime the program is at its end, and so is the connection
        if let Some(writer) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // waits for the connection, which the caller still has, and takes it outside of any transaction
            runtime.spawn(async move { writer.connection().await.map(drop) });
        }
    }
}

/// The connection for writing, and who stands before it.
#[derive(Debug)]
pub(super) struct Writer {
    pool: WritingPool,
    pub(super) interposer: Interposer,
}

impl From<WritingPool> for Writer {
    fn from(pool: WritingPool) -> Self {
        Self { pool, interposer: Interposer::default() }
    }
}

impl Writer {
    /// Runs all steps or none, while no other writer runs. Returns how many rows the counted steps changed.
    pub(super) async fn transact(&self, steps: Vec<Step>) -> Result<u64, LakeError> {
        let request = self.interposer.request(first(&steps), true, false);
        self.interposer.run(request, self.pool.transact(steps)).await
    }

    /// Runs steps in a transaction that is synced to disk, and with it all transactions before it, also where commits
    /// are otherwise not synced.
    pub(super) async fn transact_synced(&self, steps: Vec<Step>) -> Result<u64, LakeError> {
        let request = self.interposer.request(first(&steps), true, true);
        self.interposer.run(request, self.pool.transact_synced(steps)).await
    }

    pub(super) fn pool(&self) -> &WritingPool {
        &self.pool
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// What a transaction begins with.
fn first(steps: &[Step]) -> Option<&str> {
    steps.first().map(|(Step::Do(first) | Step::Count(first))| first.sql.as_str())
}

/// The connection for writing.
#[derive(Debug)]
pub(super) enum WritingPool {
    Sqlite(Arc<SqliteWriter>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    /// The database can't be written.
    Nobody,
}

impl WritingPool {
    async fn transact(&self, steps: Vec<Step>) -> Result<u64, LakeError> {
        match self {
            Self::Sqlite(one) => {
                let rest = RollBack::new(one);
                let outcome = one.transact(&mut *one.connection().await?, steps).await;
                rest.finished();
                outcome
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => transact_postgres(pool, steps).await,
            Self::Nobody => Err(LakeError::Database(
                "the lake can only be read from here: its directory can't be written by this program".into(),
            )),
        }
    }

    async fn transact_synced(&self, steps: Vec<Step>) -> Result<u64, LakeError> {
        match self {
            Self::Sqlite(one) if one.is_relaxed => {
                let rest = RollBack::new(one);
                let mut connection = one.connection().await?;
                sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
                let outcome = one.transact(&mut connection, steps).await;
                sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await?;
                rest.finished();
                outcome
            }
            _ => self.transact(steps).await,
        }
    }

    async fn close(&self) {
        match self {
            Self::Sqlite(one) => one.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.close().await,
            Self::Nobody => {}
        }
    }
}

#[cfg(feature = "postgres")]
async fn transact_postgres(pool: &sqlx::PgPool, steps: Vec<Step>) -> Result<u64, LakeError> {
    let mut transaction = pool.begin().await?;
    // the number means nothing, but all servers of all versions must use the same one
    sqlx::query("SELECT pg_advisory_xact_lock(7449374901)").execute(&mut *transaction).await?;
    let mut count = 0;
    for step in steps {
        let (statement, is_counted) = step.into_parts();
        let added = prepare!(sqlx::query, statement, Marks::Numbered)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        count += if is_counted { added } else { 0 };
    }
    transaction.commit().await?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_numbers_for_postgresql_and_no_names_for_sqlite() {
        let mut statement = Statement::new("INSERT INTO t VALUES ");
        statement.tuple([Arg::Int(1), Arg::Small(2)]).push(" RETURNING a");
        let (sql, args) = statement.clone().render(Marks::Plain);
        assert_eq!((sql.as_str(), args.len()), ("INSERT INTO t VALUES (?, ?) RETURNING a", 2));
        assert_eq!(statement.render(Marks::Numbered).0, "INSERT INTO t VALUES ($1, $2) RETURNING a");
    }

    async fn writer(file: &std::path::Path) -> WritingPool {
        use sqlx::ConnectOptions;
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .busy_timeout(std::time::Duration::from_secs(2));
        WritingPool::Sqlite(Arc::new(SqliteWriter::new(options.connect().await.unwrap(), false, None)))
    }

    #[tokio::test]
    async fn a_cancelled_transaction_does_not_keep_other_programs_from_writing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("catalog.sqlite");
        let (cancelled, other) = (writer(&file).await, writer(&file).await);
        let insert = || Step::Count(Statement::new("INSERT INTO t VALUES (1)"));
        cancelled.transact(vec![Step::Do(Statement::new("CREATE TABLE t (a INT)"))]).await.unwrap();
        for polls in (1..400).step_by(9) {
            // dropped at any moment between its begin and its end
            let mut transaction = Box::pin(cancelled.transact((0..20).map(|_| insert()).collect()));
            for _ in 0..polls {
                if futures::poll!(&mut transaction).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(transaction);
            // the first program does nothing more
            other.transact(vec![insert(), insert()]).await.unwrap();
        }
    }
}
