//! `block_faults()`

use crate::error::Result;
use crate::query::QueryContext;
use crate::query::{Page, PagedSource, PagedTable};
use crate::scan::Conditions;
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct BlockFaults {
    context: QueryContext,
}

impl BlockFaults {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for BlockFaults {
    fn call_with_args(&self, _: TableFunctionArgs) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let schema = Schema::new(vec![
            Field::new("block_id", DataType::Utf8, false),
            Field::new("view_set_name", DataType::Utf8, false),
            Field::new("reason", DataType::Utf8, false),
            Field::new("seen_at", DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into())), false),
            Field::new("process_id", DataType::Utf8, true),
            Field::new("exe", DataType::Utf8, true),
            Field::new("may_pass", DataType::Boolean, false),
        ]);
        Ok(Arc::new(PagedTable::new(Arc::new(schema), Arc::new(Faults), self.context.clone())))
    }
}

#[derive(Debug)]
struct Faults;

#[async_trait]
impl PagedSource for Faults {
    type Cursor = ();

    async fn page(
        &self,
        context: &QueryContext,
        _: &Conditions,
        _: Option<()>,
        _: u32,
        schema: &SchemaRef,
    ) -> Result<Page<()>> {
        let faults = context.connection().catalog().faults().await?;
        let seen_at = TimestampNanosecondArray::from_iter_values(faults.iter().map(|f| f.seen_at));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(faults.iter().map(|f| f.block_id.to_string()))),
            Arc::new(StringArray::from_iter_values(faults.iter().map(|f| &f.view_set))),
            Arc::new(StringArray::from_iter_values(faults.iter().map(|f| &f.reason))),
            Arc::new(seen_at.with_timezone("+00:00")),
            Arc::new(faults.iter().map(|f| f.process_id.map(|id| id.to_string())).collect::<StringArray>()),
            Arc::new(faults.iter().map(|f| f.exe.as_deref()).collect::<StringArray>()),
            Arc::new(faults.iter().map(|f| Some(f.may_pass != 0)).collect::<BooleanArray>()),
        ];
        Ok(Page { rows: RecordBatch::try_new(schema.clone(), columns)?, next: None })
    }
}
