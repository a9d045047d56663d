//! SQL text with its arguments, and the two databases that run it.
//!
//! Both databases take `$n` for arguments and the same SQL everywhere but in migrations and in how a
//! transaction takes the lake's write lock, so each statement stands once.

use crate::lake::LakeError;
use sqlx::{AssertSqlSafe, FromRow};
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
    Bytes(Vec<u8>),
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
        self.sql.push('$');
        self.sql.push_str(&self.args.len().to_string());
        self
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

    /// `(a, b), (c, d)`
    pub(super) fn tuples<I: IntoIterator<Item = Arg>>(
        &mut self,
        rows: impl IntoIterator<Item = I>,
    ) -> &mut Self {
        for (i, row) in rows.into_iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.tuple(row);
        }
        self
    }
}

/// A query of `$statement` that is ready to run on either kind of database.
macro_rules! prepare {
    ($make:path, $statement:expr) => {{
        let Statement { sql, args } = $statement;
        // a statement for a whole group is rarely needed twice, and is large
        let mut query = $make(AssertSqlSafe(sql)).persistent(args.len() <= 32);
        for arg in args {
            query = match arg {
                Arg::Int(v) => query.bind(v),
                Arg::Small(v) => query.bind(v),
                Arg::OptionalInt(v) => query.bind(v),
                Arg::Uuid(v) => query.bind(v),
                Arg::OptionalUuid(v) => query.bind(v),
                Arg::Text(v) => query.bind(v),
                Arg::Bytes(v) => query.bind(v),
            };
        }
        query
    }};
}

/// Runs `$body` with `$connection` bound to what either database offers.
macro_rules! on_either {
    ($value:expr, $kind:ident, $connection:ident => $body:expr) => {
        match $value {
            $kind::Sqlite($connection) => $body,
            #[cfg(feature = "postgres")]
            $kind::Postgres($connection) => $body,
        }
    };
}

/// Connections for reading.
#[derive(Debug, Clone)]
pub(super) enum Readers {
    Sqlite(sqlx::SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
}

/// A row of either database.
pub(super) trait Record:
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

impl<T> Record for T where T: for<'r> FromRow<'r, sqlx::sqlite::SqliteRow> + MaybePostgres + Send + Unpin {}

impl Readers {
    pub(super) async fn fetch<T: Record>(&self, statement: Statement) -> Result<Vec<T>, LakeError> {
        on_either!(self, Readers, pool => {
            prepare!(sqlx::query_as, statement).fetch_all(pool).await.map_err(LakeError::from)
        })
    }

    pub(super) async fn close(&self) {
        on_either!(self, Readers, pool => pool.close().await);
    }
}

/// A transaction that holds the lake's write lock until it ends.
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Transaction {
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, LakeError> {
        on_either!(self, Transaction, t => {
            Ok(prepare!(sqlx::query, statement).execute(&mut **t).await?.rows_affected())
        })
    }

    pub(super) async fn fetch<T: Record>(&mut self, statement: Statement) -> Result<Vec<T>, LakeError> {
        on_either!(self, Transaction, t => {
            Ok(prepare!(sqlx::query_as, statement).fetch_all(&mut **t).await?)
        })
    }

    pub(super) async fn commit(self) -> Result<(), LakeError> {
        on_either!(self, Transaction, t => Ok(t.commit().await?))
    }
}
