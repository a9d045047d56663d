//! `list_columns()`

use crate::query::QueryContext;
use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use belvedere_view::Column;
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct ListColumns {
    context: QueryContext,
}

impl ListColumns {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for ListColumns {
    fn call_with_args(&self, _: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let text = |name| Field::new(name, DataType::Utf8, false);
        let schema = Arc::new(Schema::new(vec![
            text("view_set_name"),
            text("column_name"),
            text("data_type"),
            Field::new("is_nullable", DataType::Boolean, false),
            Field::new("ordinal", DataType::Int32, false),
            text("description"),
            Field::new("event_time", DataType::Utf8, true),
            Field::new("unit", DataType::Utf8, true),
            Field::new("role", DataType::Utf8, true),
        ]));
        let rows: Vec<(&str, i32, &Column)> = self
            .context
            .assembly()
            .view_sets()
            .flat_map(|set| (0..).zip(set.columns).map(|(ordinal, column)| (set.name, ordinal, column)))
            .collect();
        let texts = |f: fn(&(&str, i32, &Column)) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(f)))
        };
        let known = |f: fn(&Column) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| f(row.2)).collect::<StringArray>())
        };
        let columns: Vec<ArrayRef> = vec![
            texts(|row| row.0.to_owned()),
            texts(|row| row.2.name.to_owned()),
            texts(|row| row.2.column_type.to_text()),
            Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.2.nullable)))),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.1))),
            texts(|row| row.2.about.to_owned()),
            known(|column| column.event_time.name().map(str::to_owned)),
            known(|column| column.unit.map(|unit| unit.name().to_owned())),
            known(|column| column.role.map(|role| role.to_string())),
        ];
        let rows = RecordBatch::try_new(schema.clone(), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
    }
}
