//! The address of a database, and opening it.

use super::checkpoints::Checkpoints;
use super::reading::{is_read_only, is_refused, open_reading};
use super::statement::{ReadingPool, SqliteWriter, WritingPool};
use super::{Catalog, LakeError};
use crate::Cause;
use crate::files::FileIdentity;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Address of the metadata database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Database {
    /// A SQLite file, created if it does not exist.
    Sqlite(PathBuf),
    /// SQLite in memory: gone with the process.
    Memory,
    /// A PostgreSQL URL, `postgres://user:password@host:port/database`.
    Postgres(String),
}

impl FromStr for Database {
    type Err = LakeError;

    fn from_str(url: &str) -> Result<Self, LakeError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Self::Postgres(url.to_owned()))
        } else if let Some(path) = url.strip_prefix("sqlite://") {
            Ok(Self::Sqlite(path.into()))
        } else if url == "memory:" {
            Ok(Self::Memory)
        } else {
            Err(LakeError::Address(
                format!("'{url}' is not a database: use postgres://…, sqlite://PATH or memory:").into(),
            ))
        }
    }
}

/// How long a writer waits for the write lock.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const READERS: u32 = 4;

impl Catalog {
    /// Opens the database and brings its schema up to date. `is_relaxed` lets SQLite commit without a disk
    /// sync. A file that can't be written is opened to be read.
    pub async fn open(database: &Database, is_relaxed: bool) -> Result<Self, LakeError> {
        match database {
            Database::Sqlite(path) if is_read_only(path) => open_reading(path).await,
            Database::Sqlite(path) => match open_sqlite(path, is_relaxed).await {
                // the file can be written, and its directory can't
                Err(e) if is_refused(&e) && path.is_file() => open_reading(path).await.map_err(|_| e),
                opened => opened,
            },
            Database::Memory => {
                let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
                let mut connection = SqliteConnection::connect_with(&options).await?;
                migrate_sqlite(&mut connection).await?;
                let one = Arc::new(SqliteWriter::new(connection, false, None));
                let reader = || ReadingPool::Memory(Arc::clone(&one)).into();
                Ok(Self::new(reader(), reader(), WritingPool::Sqlite(Arc::clone(&one)).into()))
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => {
                let pool = |connections| {
                    sqlx::postgres::PgPoolOptions::new()
                        .max_connections(connections)
                        .acquire_timeout(LOCK_TIMEOUT)
                        // waiting is normal under load: sqlx would log a warning for each
                        .acquire_slow_threshold(LOCK_TIMEOUT)
                };
                let intake = pool(4).connect(url).await?;
                sqlx::migrate!("./migrations/postgres").run(&intake).await?;
                let readers = pool(6).connect_lazy(url)?;
                Ok(Self::new(
                    ReadingPool::Postgres(readers).into(),
                    ReadingPool::Postgres(intake.clone()).into(),
                    WritingPool::Postgres(intake).into(),
                ))
            }
            #[cfg(not(feature = "postgres"))]
            Database::Postgres(_) => {
                Err(LakeError::Address("this binary was built without the feature 'postgres'".into()))
            }
        }
    }
}

/// Pages that a connection which takes part in each commit keeps in memory, as SQLite wants it: negative, in KiB. Ids are
/// random, so each row touches other pages of the indexes. With SQLite's default, 2 MiB, they are read from the file and
/// written to it again and again once the catalog is larger: 10,000 new processes took 0.6 s in an empty catalog and 2.3 s
/// beside 30,000.
const COMMIT_CACHE: &str = "-32768";
/// Pages of 4 KiB in the log that a commit copies into the catalog if it finds so many: see [`Checkpoints`].
const CHECKPOINT_PAGES: &str = "8000";

async fn open_sqlite(path: &std::path::Path, is_relaxed: bool) -> Result<Catalog, LakeError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if is_relaxed { SqliteSynchronous::Normal } else { SqliteSynchronous::Full })
        .busy_timeout(LOCK_TIMEOUT)
        .disable_statement_logging();
    let writing = options
        .clone()
        .pragma("cache_size", COMMIT_CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        // else nearly each commit makes, writes and removes a file in the directory for temporary files
        .pragma("temp_store", "MEMORY");
    let mut connection = SqliteConnection::connect_with(&writing).await?;
    migrate_sqlite(&mut connection).await?;
    let checkpoints = Checkpoints::start(options.clone().pragma("wal_autocheckpoint", "0"));
    let options = options.read_only(true);
    let pool = |connections| {
        SqlitePoolOptions::new().max_connections(connections).acquire_slow_threshold(LOCK_TIMEOUT)
    };
    let readers = pool(READERS).connect_lazy_with(options.clone());
    // there is one commit thread
    let intake = pool(1).connect_lazy_with(options.pragma("cache_size", COMMIT_CACHE));
    let writer = WritingPool::Sqlite(Arc::new(SqliteWriter::new(connection, is_relaxed, Some(checkpoints))));
    let file = FileIdentity::of(path)
        .map_err(|e| LakeError::Address(Cause::new(format!("reading {}: {e}", path.display()), e)))?;
    let (readers, intake) = (ReadingPool::File(readers), ReadingPool::File(intake));
    Ok(Catalog { file: Some(file), ..Catalog::new(readers.into(), intake.into(), writer.into()) })
}

pub(super) async fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<(), LakeError> {
    let migrator = sqlx::migrate!("./migrations/sqlite");
    // two processes that open a new lake at once both find it empty; the slower one fails, and finds the tables when it
    // tries again
    for _ in 0..3 {
        if migrator.run(&mut *connection).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(migrator.run(&mut *connection).await?)
}
