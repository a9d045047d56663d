//! `list_functions()`

use crate::query::{Functions, Make, QueryContext, SqlFunction};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct ListFunctions {
    context: QueryContext,
}

impl ListFunctions {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

/// A value of a row: of a function, and the crate that registers it.
type Value = fn(&SqlFunction, &str) -> String;

const COLUMNS: &[(&str, Value)] = &[
    ("function_name", |function, _| function.name().to_owned()),
    ("kind", |function, _| kind(function).to_owned()),
    ("signature", |function, _| function.signature().to_owned()),
    ("description", |function, _| function.description().to_owned()),
    ("needs", |function, _| function.right().name().to_owned()),
    ("crate_name", |_, crate_name| crate_name.to_owned()),
];

fn kind(function: &SqlFunction) -> &'static str {
    match function.maker() {
        Make::Scalar(_) => "scalar",
        Make::Aggregate(_) => "aggregate",
        Make::Table(_) => "table",
    }
}

impl TableFunctionImpl for ListFunctions {
    fn call_with_args(&self, _: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let mut rows: Vec<(&SqlFunction, &str)> = self
            .context
            .assembly()
            .extensions::<Functions>()
            .flat_map(|(functions, of)| functions.all().iter().map(move |function| (function, of)))
            .collect();
        rows.sort_by_key(|(function, _)| function.name());
        let fields: Vec<Field> =
            COLUMNS.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, false)).collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = COLUMNS.iter().map(|(_, value)| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(function, of)| value(function, of))))
        });
        let rows = RecordBatch::try_new(schema.clone(), columns.collect())?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
    }
}
