//! Deny rules: which queries are refused. Their table is called `query_denials`, as it is in every lake on disk.

use super::statement::{Arg, Statement, Step};
use super::{Catalog, LakeError};
use sqlx::FromRow;
use uuid::Uuid;

/// A deny rule. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct DenyRuleRecord {
    /// Id of the rule.
    pub rule_id: Uuid,
    /// When it was created.
    pub created: i64,
    /// By whom.
    pub created_by: String,
    /// What the caller of a refused query is told.
    pub reason: String,
    /// SQL condition that is true for the queries to refuse.
    pub match_expr: String,
    /// When it last applied.
    pub last_hit: Option<i64>,
}

/// PostgreSQL's texts can't contain NUL.
fn text(text: &str) -> Arg {
    Arg::Text(text.replace('\0', "\u{fffd}"))
}

impl Catalog {
    /// Adds a rule; its `last_hit` is ignored. False if there are `most` rules already.
    pub async fn insert_deny_rule(&self, rule: &DenyRuleRecord, most: u32) -> Result<bool, LakeError> {
        let mut statement = Statement::new(
            "INSERT INTO query_denials (rule_id, created, created_by, reason, match_expr) SELECT ",
        );
        statement.bind(Arg::Uuid(rule.rule_id));
        for arg in
            [Arg::Int(rule.created), text(&rule.created_by), text(&rule.reason), text(&rule.match_expr)]
        {
            statement.push(", ").bind(arg);
        }
        // counted within the insert: two servers that count first would both find room for the last one
        statement.push(" WHERE (SELECT COUNT(*) FROM query_denials) < ").bind(Arg::Int(most.into()));
        Ok(self.writer.transact_synced(vec![Step::Count(statement)]).await? > 0)
    }

    /// The rules, the oldest first, at most `limit` of them.
    pub async fn deny_rules(&self, limit: u32) -> Result<Vec<DenyRuleRecord>, LakeError> {
        let mut statement = Statement::new(
            "SELECT rule_id, created, created_by, reason, match_expr, last_hit FROM query_denials \
             ORDER BY created, rule_id LIMIT ",
        );
        statement.bind(Arg::Int(limit.into()));
        self.readers.fetch(statement).await
    }

    /// Deletes a rule. False if there is none.
    pub async fn delete_deny_rule(&self, rule_id: Uuid) -> Result<bool, LakeError> {
        let mut statement = Statement::new("DELETE FROM query_denials WHERE rule_id = ");
        statement.bind(Arg::Uuid(rule_id));
        Ok(self.writer.transact_synced(vec![Step::Count(statement)]).await? > 0)
    }

    /// Records that a rule applied. Does nothing if the rule is gone.
    pub async fn touch_deny_rule(&self, rule_id: Uuid, now: i64) -> Result<(), LakeError> {
        let mut statement = Statement::new("UPDATE query_denials SET last_hit = ");
        statement.bind(Arg::Int(now)).push(" WHERE rule_id = ").bind(Arg::Uuid(rule_id));
        self.writer.transact(vec![Step::Do(statement)]).await.map(drop)
    }
}
