//! `deny_queries(condition, reason)`, `list_query_denials()`, `remove_query_denial(rule_id)`

use super::progress_table::{progress_row, progress_schema};
use crate::error::Error;
use crate::query::Argument;
use crate::query::QueryContext;
use crate::query::SqlFunction;
use crate::query::deny_rules::{MOST_RULES, condition};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use belvedere_lake::DenyRuleRecord;
use belvedere_lake::access::Right;
use belvedere_model::time::now;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use uuid::Uuid;

crate::register_functions! {
    SqlFunction::table("deny_queries('condition', 'reason')", |context| Arc::new(Deny(context.clone())))
        .about(
            "Table: adds a deny rule: queries that match the condition are refused with that reason, on \
             other servers within 10 seconds. msg is the id of the rule. The condition is SQL over \
             user_id, email, service_account, client, agent, entrypoint, session, notebook, cell, \
             client_ip, sql and sql_hash, all of them strings.",
        )
        .needs(Right::Administer),
    SqlFunction::table("list_query_denials()", |context| Arc::new(List(context.clone())))
        .about("Table: the deny rules, oldest first, with the last time that each refused a query.")
        .needs(Right::Administer),
    SqlFunction::scalar("remove_query_denial(rule_id)", |context| {
        AsyncScalarUDF::new(Arc::new(Remove {
            context: context.clone(),
            signature: Signature::uniform(1, vec![DataType::Utf8], Volatility::Volatile),
        }))
        .into_scalar_udf()
    })
        .about("Removes a deny rule. Returns a message that starts with SUCCESS or ERROR.")
        .needs(Right::Administer),
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()))
}

fn times(times: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter(times).with_timezone("+00:00"))
}

#[derive(Debug)]
struct Deny(QueryContext);

impl TableFunctionImpl for Deny {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [match_expr, reason] = args.exprs() else {
            return Err(DataFusionError::Plan(
                "deny_queries takes a condition and a reason, both in quotes".to_owned(),
            ));
        };
        let (match_expr, reason) =
            (Argument::text(match_expr, "condition")?, Argument::text(reason, "reason")?);
        condition(&match_expr)?;
        if reason.trim().is_empty() {
            return Err(DataFusionError::Plan(
                "the reason must not be empty: it is shown to refused callers".to_owned(),
            ));
        }
        let schema = progress_schema();
        let denial = DenyRuleRecord {
            rule_id: Uuid::new_v4(),
            created: now(),
            created_by: self.0.caller().name.clone(),
            reason,
            match_expr,
            last_hit: None,
        };
        let rule = NewRule { context: self.0.clone(), denial, schema: schema.clone() };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(rule)])?))
    }
}

#[derive(Debug)]
struct NewRule {
    context: QueryContext,
    denial: DenyRuleRecord,
    schema: SchemaRef,
}

impl PartitionStream for NewRule {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (context, denial, schema) = (self.context.clone(), self.denial.clone(), self.schema.clone());
        let row = async move {
            let catalog = context.connection().catalog();
            if !catalog.insert_deny_rule(&denial, MOST_RULES).await.map_err(Error::from)? {
                return Err(DataFusionError::Plan(format!(
                    "there are already {MOST_RULES} rules: remove some with remove_query_denial"
                )));
            }
            context.deny_rules().forget();
            Ok(progress_row(schema, denial.rule_id.to_string())?)
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::once(row)))
    }
}

#[derive(Debug)]
struct List(QueryContext);

impl TableFunctionImpl for List {
    fn call_with_args(&self, _: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("rule_id", DataType::Utf8, false),
            Field::new("created_at", time_type(), false),
            Field::new("created_by", DataType::Utf8, false),
            Field::new("reason", DataType::Utf8, false),
            Field::new("match_expr", DataType::Utf8, false),
            Field::new("last_hit_at", time_type(), true),
        ]));
        let rules = Rules { context: self.0.clone(), schema: schema.clone() };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(rules)])?))
    }
}

#[derive(Debug)]
struct Rules {
    context: QueryContext,
    schema: SchemaRef,
}

impl PartitionStream for Rules {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (context, schema) = (self.context.clone(), self.schema.clone());
        let rows = async move {
            let rules = context.connection().catalog().deny_rules(MOST_RULES).await;
            let rules = rules.map_err(Error::from)?;
            let texts = |f: fn(&DenyRuleRecord) -> &str| -> ArrayRef {
                Arc::new(StringArray::from_iter_values(rules.iter().map(f)))
            };
            let ids = rules.iter().map(|rule| rule.rule_id.to_string());
            let columns = vec![
                Arc::new(StringArray::from_iter_values(ids)) as ArrayRef,
                times(rules.iter().map(|rule| Some(rule.created))),
                texts(|rule| &rule.created_by),
                texts(|rule| &rule.reason),
                texts(|rule| &rule.match_expr),
                times(rules.iter().map(|rule| rule.last_hit)),
            ];
            Ok(RecordBatch::try_new(schema, columns)?)
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::once(rows)))
    }
}

#[derive(Debug)]
struct Remove {
    context: QueryContext,
    signature: Signature,
}

// within one query there is one of it
impl PartialEq for Remove {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for Remove {}

impl Hash for Remove {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl ScalarUDFImpl for Remove {
    fn name(&self) -> &str {
        "remove_query_denial"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal("remove_query_denial waits for the lake".to_owned()))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Remove {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ids = args.args.first().map(|ids| ids.to_array(args.number_rows)).transpose()?;
        let mut said = Vec::with_capacity(args.number_rows);
        for id in ids.iter().flat_map(|ids| ids.as_string::<i32>().iter()) {
            said.push(match id {
                Some(id) => Some(self.remove(id).await?),
                None => None,
            });
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(said))))
    }
}

impl Remove {
    async fn remove(&self, id: &str) -> Result<String> {
        let Ok(rule_id) = Uuid::try_parse(id) else {
            return Ok(format!("ERROR: '{id}' is not a valid rule id"));
        };
        let removed = self.context.connection().catalog().delete_deny_rule(rule_id).await;
        self.context.deny_rules().forget();
        Ok(if removed.map_err(Error::from)? {
            format!("SUCCESS: removed rule {rule_id}")
        } else {
            format!("ERROR: no such rule: {rule_id}")
        })
    }
}
