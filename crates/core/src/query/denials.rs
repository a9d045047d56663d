//! Rules that keep queries away: SQL conditions on who asks what, kept in the lake, so that every server has them.
//!
//! They are looked up before anything of a query is planned, so that one that brings a server down can be stopped. Those
//! that can't be read are passed over, and when the lake can't be asked the last ones hold: a rule that fails must not
//! stop everybody.

use super::engine;
use super::running::RunningQuery;
use super::{QueryContext, QueryError};
use crate::access::Right;
use crate::lake::{DenialRecord, LakeConnection};
use crate::time::now;
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long a server goes on with the rules that it knows.
const FRESH: Duration = Duration::from_secs(10);
/// Rules that hold at once.
pub(super) const MOST_RULES: u32 = 100;
/// Bytes of a rule: each query is looked at with all of them, and a long one nests deeply.
const LONGEST_CONDITION: usize = 1000;
/// Functions that an administrator can use whatever rules there are: a rule must not keep itself.
const ALWAYS: [&str; 3] = ["deny_queries", "list_query_denials", "remove_query_denial"];

/// The rules that a server knows.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    rules: RwLock<Arc<Vec<Rule>>>,
    looked: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Rule {
    denial: DenialRecord,
    condition: Arc<dyn PhysicalExpr>,
}

impl Denials {
    /// An error if a rule forbids this query.
    pub(super) async fn check(&self, lake: &LakeConnection, query: &RunningQuery) -> Result<(), QueryError> {
        self.refresh(lake).await;
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner).clone();
        if rules.is_empty() || is_always_allowed(query) {
            return Ok(());
        }
        let row = row(query)?;
        let Some(rule) = rules.iter().find(|rule| rule.is_met(&row)) else {
            return Ok(());
        };
        let DenialRecord { rule_id, reason, .. } = &rule.denial;
        if let Err(e) = lake.catalog().touch_denial(*rule_id, now()).await {
            tracing::warn!("that rule {rule_id} denied a query can't be written down: {e}");
        }
        Err(QueryError::Denied(format!(
            "query denied by rule {rule_id} (reason: {reason}); ask an admin to lift it with \
             remove_query_denial('{rule_id}')"
        )))
    }

    /// Looks at the lake's rules before the next query.
    pub(super) fn forget(&self) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn refresh(&self, lake: &LakeConnection) {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|at| at.elapsed() < FRESH) {
                return;
            }
            // one looks, the others go on with what is known
            *looked = Some(Instant::now());
        }
        match lake.catalog().denials(MOST_RULES).await {
            Ok(denials) => {
                let rules = denials.into_iter().filter_map(|denial| match condition(&denial.match_expr) {
                    Ok(condition) => Some(Rule { denial, condition }),
                    Err(e) => {
                        tracing::warn!("rule {} is passed over: {e}", denial.rule_id);
                        None
                    }
                });
                *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules.collect());
            }
            Err(e) => tracing::warn!("the rules that deny queries can't be read, the last ones hold: {e}"),
        }
    }
}

impl Rule {
    fn is_met(&self, row: &RecordBatch) -> bool {
        let value = self.condition.evaluate(row).and_then(|value| value.into_array(1));
        match value {
            Ok(value) => {
                value.as_boolean_opt().is_some_and(|value| value.iter().next().flatten().unwrap_or(false))
            }
            Err(e) => {
                tracing::warn!("rule {} is passed over: {e}", self.denial.rule_id);
                false
            }
        }
    }
}

/// What rules can look at.
fn schema() -> SchemaRef {
    let names = [
        "user_id",
        "email",
        "service_account",
        "client",
        "agent",
        "entrypoint",
        "session",
        "notebook",
        "cell",
        "client_ip",
        "sql",
        "sql_hash",
    ];
    Arc::new(Schema::new(
        names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>(),
    ))
}

fn row(query: &RunningQuery) -> Result<RecordBatch> {
    let client = &query.client;
    let address = client.address.map(|address| address.to_string());
    let hash = super::service::sql_hash(&query.sql);
    let values = [
        Some(query.user()),
        client.user_email.as_deref().or(query.caller.email.as_deref()),
        client.user_id.is_some().then_some(query.caller.name.as_str()),
        client.client.as_deref(),
        client.agent.as_deref(),
        client.entrypoint.as_deref(),
        client.session.as_deref(),
        client.notebook.as_deref(),
        client.cell.as_deref(),
        address.as_deref(),
        Some(query.sql.as_str()),
        Some(hash.as_str()),
    ];
    let columns = values.map(|value| Arc::new(StringArray::from(vec![value])) as ArrayRef).to_vec();
    Ok(RecordBatch::try_new(schema(), columns)?)
}

fn is_always_allowed(query: &RunningQuery) -> bool {
    query.caller.rights.has(Right::Administer) && ALWAYS.iter().any(|name| query.sql.contains(name))
}

/// A rule's condition, ready to be evaluated: of type Boolean, and about at least one column.
pub(super) fn condition(text: &str) -> Result<Arc<dyn PhysicalExpr>> {
    let wrong = |why: String| {
        let shown: String = text.chars().take(200).collect();
        DataFusionError::Plan(format!("the condition '{shown}' can't be used: {why}"))
    };
    if text.len() > LONGEST_CONDITION {
        return Err(wrong(format!("it has {} bytes, {LONGEST_CONDITION} is the most", text.len())));
    }
    let schema = DFSchema::try_from(schema())?;
    let session = SessionContext::new_with_state(engine::session_state().build());
    let expr = session.parse_sql_expr(text, &schema).map_err(|e| wrong(e.strip_backtrace()))?;
    if expr.column_refs().is_empty() {
        return Err(wrong("it looks at no column, and so would be met by every query or by none".to_owned()));
    }
    let condition = session.create_physical_expr(expr, &schema).map_err(|e| wrong(e.strip_backtrace()))?;
    match condition.data_type(schema.as_arrow())? {
        DataType::Boolean => Ok(condition),
        other => Err(wrong(format!("it is of type {other}, a Boolean is needed"))),
    }
}

impl QueryContext {
    /// The rules of this server.
    pub(super) fn denials(&self) -> &Denials {
        &self.denials
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_boolean_and_about_the_query() {
        assert!(condition("client = 'grafana' AND sql LIKE '%measures%'").is_ok());
        for (text, why) in [
            ("1 = 1", "looks at no column"),
            ("client", "of type Utf8"),
            ("nobody = 'x'", "nobody"),
            ("client = ", "can't be used"),
        ] {
            let error = condition(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
