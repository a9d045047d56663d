//! Rules that keep queries away.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use crate::time::now;
use uuid::Uuid;

/// A rule that keeps queries away.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Denial {
    /// Its id.
    pub rule_id: Uuid,
    /// When it was made; nanoseconds since the Unix epoch.
    pub created: i64,
    /// Who made it.
    pub created_by: String,
    /// What those read who are refused.
    pub reason: String,
    /// SQL condition on who asks what.
    pub match_expr: String,
    /// When it last refused a query.
    pub last_hit: Option<i64>,
}

impl Catalog {
    /// All rules, the oldest first.
    pub async fn denials(&self) -> Result<Vec<Denial>, LakeError> {
        let statement = Statement::new(
            "SELECT rule_id, created, created_by, reason, match_expr, last_hit FROM query_denials \
             ORDER BY created, rule_id",
        );
        self.readers.fetch(statement).await
    }

    /// Adds a rule.
    pub async fn insert_denial(&self, denial: &Denial) -> Result<(), LakeError> {
        let mut statement = Statement::new(
            "INSERT INTO query_denials (rule_id, created, created_by, reason, match_expr, last_hit) VALUES ",
        );
        statement.tuple([
            Arg::Uuid(denial.rule_id),
            Arg::Int(denial.created),
            Arg::Text(denial.created_by.clone()),
            Arg::Text(denial.reason.clone()),
            Arg::Text(denial.match_expr.clone()),
            Arg::OptionalInt(denial.last_hit),
        ]);
        self.writer.transact(vec![Step::Do(statement)]).await.map(drop)
    }

    /// Takes a rule away; false if there is none of that id.
    pub async fn remove_denial(&self, rule_id: Uuid) -> Result<bool, LakeError> {
        let mut statement = Statement::new("DELETE FROM query_denials WHERE rule_id = ");
        statement.bind(Arg::Uuid(rule_id));
        Ok(self.writer.transact(vec![Step::Count(statement)]).await? > 0)
    }

    /// Writes down that a rule refused a query now.
    pub async fn touch_denial(&self, rule_id: Uuid) -> Result<(), LakeError> {
        let mut statement = Statement::new("UPDATE query_denials SET last_hit = ");
        statement.bind(Arg::Int(now())).push(" WHERE rule_id = ").bind(Arg::Uuid(rule_id));
        self.writer.transact(vec![Step::Do(statement)]).await.map(drop)
    }
}
