//! Rules about queries that are not answered.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use sqlx::FromRow;
use uuid::Uuid;

/// A rule. Instants are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct DenialRecord {
    /// Which one it is.
    pub rule_id: Uuid,
    /// When it was made.
    pub created: i64,
    /// By whom.
    pub created_by: String,
    /// What those are told whom it concerns.
    pub reason: String,
    /// SQL that is true of the queries that it is about.
    pub match_expr: String,
    /// When it last applied.
    pub last_hit: Option<i64>,
}

/// PostgreSQL has no NUL in its texts.
fn text(text: &str) -> Arg {
    Arg::Text(text.replace('\0', "\u{fffd}"))
}

impl Catalog {
    /// Adds a rule; `last_hit` of it is not looked at. False if there are `most` already, whoever adds them at once.
    pub async fn insert_denial(&self, rule: &DenialRecord, most: u32) -> Result<bool, LakeError> {
        let mut statement = Statement::new(
            "INSERT INTO query_denials (rule_id, created, created_by, reason, match_expr) SELECT ",
        );
        statement.bind(Arg::Uuid(rule.rule_id));
        for arg in
            [Arg::Int(rule.created), text(&rule.created_by), text(&rule.reason), text(&rule.match_expr)]
        {
            statement.push(", ").bind(arg);
        }
        // counted where it is inserted: of two at once, each would find room for itself
        statement.push(" WHERE (SELECT COUNT(*) FROM query_denials) < ").bind(Arg::Int(most.into()));
        Ok(self.writer.transact_synced(vec![Step::Count(statement)]).await? > 0)
    }

    /// The rules, the oldest first, at most `limit` of them.
    pub async fn denials(&self, limit: u32) -> Result<Vec<DenialRecord>, LakeError> {
        let mut statement = Statement::new(
            "SELECT rule_id, created, created_by, reason, match_expr, last_hit FROM query_denials \
             ORDER BY created, rule_id LIMIT ",
        );
        statement.bind(Arg::Int(limit.into()));
        self.readers.fetch(statement).await
    }

    /// Takes a rule away. False if there is none.
    pub async fn delete_denial(&self, rule_id: Uuid) -> Result<bool, LakeError> {
        let mut statement = Statement::new("DELETE FROM query_denials WHERE rule_id = ");
        statement.bind(Arg::Uuid(rule_id));
        Ok(self.writer.transact_synced(vec![Step::Count(statement)]).await? > 0)
    }

    /// Notes that a rule applied. Nothing happens if it is gone.
    pub async fn touch_denial(&self, rule_id: Uuid, now: i64) -> Result<(), LakeError> {
        let mut statement = Statement::new("UPDATE query_denials SET last_hit = ");
        statement.bind(Arg::Int(now)).push(" WHERE rule_id = ").bind(Arg::Uuid(rule_id));
        self.writer.transact(vec![Step::Do(statement)]).await.map(drop)
    }
}
