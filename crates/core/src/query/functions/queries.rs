//! `list_queries()` and `cancel_query(query_id)`

use crate::query::QueryContext;
use crate::query::SqlFunction;
use crate::query::running::RunningQuery;
use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use uuid::Uuid;

crate::register_functions! {
    SqlFunction::scalar("cancel_query(query_id)", |context| {
        ScalarUDF::new_from_impl(CancelQuery {
            context: context.clone(),
            signature: Signature::uniform(1, vec![DataType::Utf8], Volatility::Volatile),
        })
    })
        .about(
            "Cancels a query on this server: one of the caller's own, or any query for administrators. \
             Returns a message that starts with SUCCESS or ERROR.",
        ),
    SqlFunction::table("list_queries()", |context| Arc::new(ListQueries(context.clone())))
        .about(
            "Table: the queued and running queries on this server, oldest first, with caller, start, \
             rows returned, blocks decoded, bytes of blocks read and memory. Lists the caller's own \
             queries, and all queries for administrators.",
        ),
}

#[derive(Debug)]
struct ListQueries(QueryContext);

impl TableFunctionImpl for ListQueries {
    fn call_with_args(&self, _: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
        let schema = Arc::new(Schema::new(vec![
            Field::new("query_id", DataType::Utf8, false),
            Field::new("user", DataType::Utf8, false),
            Field::new("client", DataType::Utf8, true),
            Field::new("state", DataType::Utf8, false),
            Field::new("begin", time, false),
            Field::new("seconds", DataType::Float64, false),
            Field::new("rows", DataType::Int64, false),
            Field::new("blocks_decoded", DataType::Int64, false),
            Field::new("block_bytes_read", DataType::Int64, false),
            Field::new("memory_bytes", DataType::Int64, false),
            Field::new("peak_memory_bytes", DataType::Int64, false),
            Field::new("sql", DataType::Utf8, false),
        ]));
        let queries = self.0.running().seen_by(self.0.caller());
        let texts = |f: fn(&RunningQuery) -> Option<&str>| -> ArrayRef {
            Arc::new(queries.iter().map(|query| f(query)).collect::<StringArray>())
        };
        let numbers = |f: fn(&RunningQuery) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                queries.iter().map(|query| i64::try_from(f(query)).unwrap_or(i64::MAX)),
            ))
        };
        let ids = queries.iter().map(|query| query.id.to_string());
        let begins = TimestampNanosecondArray::from_iter_values(queries.iter().map(|q| q.arrived_at));
        let seconds = queries.iter().map(|query| query.arrived.elapsed().as_secs_f64());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(ids)),
            texts(|query| Some(query.user())),
            texts(|query| query.client.client.as_deref()),
            texts(|query| Some(if query.is_running.load(Ordering::Relaxed) { "running" } else { "waiting" })),
            Arc::new(begins.with_timezone("+00:00")),
            Arc::new(Float64Array::from_iter_values(seconds)),
            numbers(|query| query.rows.load(Ordering::Relaxed)),
            numbers(|query| query.report.blocks()),
            numbers(|query| query.report.payload_bytes()),
            numbers(|query| query.memory.used() as u64),
            numbers(|query| query.memory.peak() as u64),
            texts(|query| Some(&query.sql)),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

#[derive(Debug)]
struct CancelQuery {
    context: QueryContext,
    signature: Signature,
}

// within one query there is one of it
impl PartialEq for CancelQuery {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature
    }
}

impl Eq for CancelQuery {}

impl Hash for CancelQuery {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signature.hash(state);
    }
}

impl ScalarUDFImpl for CancelQuery {
    fn name(&self) -> &str {
        "cancel_query"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ids = args.args.first().map(|ids| ids.to_array(args.number_rows)).transpose()?;
        let said = ids.iter().flat_map(|ids| ids.as_string::<i32>().iter()).map(|id| {
            let id = id?;
            let is_there = Uuid::try_parse(id)
                .is_ok_and(|query_id| self.context.running().cancel(query_id, self.context.caller()));
            Some(if is_there {
                format!("SUCCESS: cancelled query {id}")
            } else {
                format!("ERROR: there is no query '{id}' on this server that you may cancel")
            })
        });
        Ok(ColumnarValue::Array(Arc::new(said.collect::<StringArray>())))
    }
}
