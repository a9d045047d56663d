//! Rules that keep queries away: SQL conditions on who asks what, kept in the lake, so that every server has them.
//!
//! They are looked up before anything of a query is planned, so that one that brings a server down can be stopped. Those
//! that can't be read are passed over, and when the lake can't be asked the last ones hold: a rule that fails must not
//! stop everybody.

use super::QueryError;
use super::engine;
use super::place::is_bounded_condition;
use super::running::RunningQuery;
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_lake::{DenyRuleRecord, LakeConnection, LakeError};
use belvedere_model::time::now;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server goes on with the rules that it knows.
const FRESH: Duration = Duration::from_secs(10);
/// The same when the lake could not be asked.
const RETRY: Duration = Duration::from_secs(1);
/// Rules that hold at once.
pub(super) const MOST_RULES: u32 = 100;
/// Bytes of a rule: each query is looked at with all of them, and a long one nests deeply.
const LONGEST_CONDITION: usize = 1000;
/// The rules that a server knows.
#[derive(Debug, Default)]
pub(crate) struct DenyRules {
    known: Mutex<Known>,
    /// Who has it asks the lake.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    rules: Arc<Vec<Rule>>,
    /// Until when they are good enough; `None` if nobody may go on with them.
    until: Option<Instant>,
    /// How often they were made bad: what was asked for before that is not written over what was asked for after it.
    forgotten: u64,
}

#[derive(Debug)]
struct Rule {
    denial: DenyRuleRecord,
    condition: Arc<dyn PhysicalExpr>,
}

impl DenyRules {
    /// An error if a rule forbids this query.
    pub(crate) async fn check(&self, lake: &LakeConnection, query: &RunningQuery) -> Result<(), QueryError> {
        let rules = self.rules(|| lake.catalog().deny_rules(MOST_RULES)).await;
        if rules.is_empty() || query.is_urgent() {
            return Ok(());
        }
        let row = row(query)?;
        let Some(rule) = rules.iter().find(|rule| rule.is_met(&row)) else {
            return Ok(());
        };
        let DenyRuleRecord { rule_id, reason, .. } = &rule.denial;
        if let Err(e) = lake.catalog().touch_deny_rule(*rule_id, now()).await {
            tracing::warn!("can't record that rule {rule_id} denied a query: {e}");
        }
        Err(QueryError::Denied(format!(
            "query denied by rule {rule_id} (reason: {reason}); ask an admin to lift it with \
             remove_query_denial('{rule_id}')"
        )))
    }

    /// Looks at the lake's rules before the next query.
    pub(super) fn forget(&self) {
        let mut known = self.known();
        known.until = None;
        known.forgotten += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules that hold: those that are known, or those that `ask` finds in the lake.
    async fn rules<F>(&self, ask: impl Fn() -> F) -> Arc<Vec<Rule>>
    where
        F: Future<Output = Result<Vec<DenyRuleRecord>, LakeError>>,
    {
        let (rules, until) = {
            let known = self.known();
            (known.rules.clone(), known.until)
        };
        let _asking = match until {
            Some(until) if Instant::now() < until => return rules,
            // one asks, the others go on with what is known
            Some(_) => match self.asking.try_lock() {
                Ok(asking) => asking,
                Err(_) => return rules,
            },
            // at the start, and after a change, nobody passes before the rules are there
            None => self.asking.lock().await,
        };
        loop {
            let forgotten = {
                let known = self.known();
                // somebody may have asked while we waited
                if known.until.is_some_and(|until| Instant::now() < until) {
                    return known.rules.clone();
                }
                known.forgotten
            };
            let found = ask().await;
            let mut known = self.known();
            if known.forgotten != forgotten {
                continue;
            }
            let good_for = match found {
                Ok(denials) => {
                    known.rules = Arc::new(denials.into_iter().filter_map(Rule::compile).collect());
                    FRESH
                }
                Err(e) => {
                    tracing::warn!("deny rules can't be read, the previous ones stay in effect: {e}");
                    RETRY
                }
            };
            known.until = Some(Instant::now() + good_for);
            return known.rules.clone();
        }
    }
}

impl Rule {
    /// `None` if it can't be used.
    fn compile(denial: DenyRuleRecord) -> Option<Self> {
        match condition(&denial.match_expr) {
            Ok(condition) => Some(Self { denial, condition }),
            Err(e) => {
                tracing::warn!("deny rule {} is ignored: {e}", denial.rule_id);
                None
            }
        }
    }

    fn is_met(&self, row: &RecordBatch) -> bool {
        let value = self.condition.evaluate(row).and_then(|value| value.into_array(1));
        match value {
            Ok(value) => {
                value.as_boolean_opt().is_some_and(|value| value.iter().next().flatten().unwrap_or(false))
            }
            Err(e) => {
                tracing::warn!("deny rule {} is ignored: {e}", self.denial.rule_id);
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
    let hash = super::sql_hash(&query.sql);
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

/// A rule's condition, ready to be evaluated: of type Boolean, and about at least one column.
pub(super) fn condition(text: &str) -> Result<Arc<dyn PhysicalExpr>> {
    let wrong = |why: String| {
        let shown: String = text.chars().take(200).collect();
        DataFusionError::Plan(format!("the condition '{shown}' is not valid: {why}"))
    };
    if text.len() > LONGEST_CONDITION {
        return Err(wrong(format!("it has {} bytes, at most {LONGEST_CONDITION} are allowed", text.len())));
    }
    let schema = DFSchema::try_from(schema())?;
    let session = SessionContext::new_with_state(engine::session_state().build());
    let expr = session.parse_sql_expr(text, &schema).map_err(|e| wrong(e.strip_backtrace()))?;
    // the server itself evaluates it for each query that arrives
    if !is_bounded_condition(text) {
        return Err(wrong(
            "only columns, literals, comparisons, AND, OR, NOT, IN, LIKE, ~, and functions like lower, length and \
             starts_with can be used"
                .to_owned(),
        ));
    }
    if expr.column_refs().is_empty() {
        return Err(wrong("it uses no column, so it would match every query or none".to_owned()));
    }
    let condition = session.create_physical_expr(expr, &schema).map_err(|e| wrong(e.strip_backtrace()))?;
    match condition.data_type(schema.as_arrow())? {
        DataType::Boolean => Ok(condition),
        other => Err(wrong(format!("its type is {other}, expected Boolean"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    fn rule(number: u128) -> DenyRuleRecord {
        DenyRuleRecord {
            rule_id: Uuid::from_u128(number),
            created: 0,
            created_by: String::new(),
            reason: "too heavy".to_owned(),
            match_expr: "client = 'web'".to_owned(),
            last_hit: None,
        }
    }

    fn numbers(rules: &[Rule]) -> Vec<u128> {
        rules.iter().map(|rule| rule.denial.rule_id.as_u128()).collect()
    }

    #[tokio::test]
    async fn nobody_passes_before_the_rules_are_there_and_they_are_asked_for_once() {
        let (denials, asked, answers) = (DenyRules::default(), AtomicU64::new(0), Semaphore::new(0));
        let ask = async || {
            asked.fetch_add(1, Ordering::SeqCst);
            answers.acquire().await.unwrap().forget();
            Ok(vec![rule(1)])
        };
        let answer = async {
            tokio::task::yield_now().await;
            answers.add_permits(1);
        };
        let (first, second, ()) = tokio::join!(denials.rules(&ask), denials.rules(&ask), answer);
        assert_eq!((numbers(&first), numbers(&second)), (vec![1], vec![1]));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_was_asked_for_before_a_change_does_not_hold_after_it() {
        let (denials, asked) = (DenyRules::default(), AtomicU64::new(0));
        let rules = denials.rules(async || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            // a rule is made while the first answer is on its way
            if number == 0 {
                denials.forget();
            }
            Ok(vec![rule(number.into())])
        });
        assert_eq!(numbers(&rules.await), [1]);
    }

    #[tokio::test]
    async fn the_last_rules_hold_while_the_lake_can_not_be_asked() {
        let denials = DenyRules::default();
        assert_eq!(numbers(&denials.rules(async || Ok(vec![rule(3)])).await), [3]);
        denials.forget();
        let failing = async || Err(LakeError::Closed);
        assert_eq!(numbers(&denials.rules(failing).await), [3]);
        denials.forget();
        assert!(denials.rules(async || Ok(Vec::new())).await.is_empty());
    }

    #[test]
    fn a_condition_is_boolean_and_about_the_query() {
        assert!(condition("client = 'grafana' AND sql LIKE '%measures%'").is_ok());
        for (text, why) in [
            ("1 = 1", "uses no column"),
            ("client", "its type is Utf8"),
            ("nobody = 'x'", "nobody"),
            ("client = ", "is not valid"),
        ] {
            let error = condition(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
