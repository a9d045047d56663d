//! `list_view_sets()`

use crate::query::QueryContext;
use arrow::array::{ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use belvedere_view::Source;
use datafusion::catalog::{MemTable, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct ListViewSets {
    context: QueryContext,
}

impl ListViewSets {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

/// Where the rows of a view set come from, in a word.
fn made_from(source: &Source) -> &'static str {
    match source {
        Source::Blocks(_) => "blocks",
        Source::Sql(_) => "sql",
        Source::Query(_) => "query",
        _ => "catalog",
    }
}

impl TableFunctionImpl for ListViewSets {
    fn call_with_args(&self, _: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let text = |name| Field::new(name, DataType::Utf8, false);
        let schema = Arc::new(Schema::new(vec![
            text("view_set_name"),
            Field::new("current_schema_hash", DataType::Binary, false),
            text("schema"),
            Field::new("has_view_maker", DataType::Boolean, false),
            Field::new("global_instance_available", DataType::Boolean, false),
            text("crate_name"),
            text("crate_version"),
            text("instances"),
            text("description"),
            text("made_from"),
            text("depends_on"),
            text("example"),
            text("block_tags"),
        ]));
        let assembly = self.context.assembly();
        let sets: Vec<_> = assembly.view_sets_with_crates().collect();
        let texts = |f: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values((0..sets.len()).map(f)))
        };
        let makers = self.context.factory().get_view_sets();
        let hashes = sets.iter().map(|(set, _)| match makers.get(set.name) {
            Some(maker) => maker.get_schema_hash(),
            None => set.schema_hash(),
        });
        let columns: Vec<ArrayRef> = vec![
            texts(&|i| sets[i].0.name.to_owned()),
            Arc::new(BinaryArray::from_iter_values(hashes)),
            texts(&|i| {
                let columns = sets[i].0.columns.iter();
                columns
                    .map(|c| format!("{}: {}", c.name, c.column_type.to_text()))
                    .collect::<Vec<_>>()
                    .join(", ")
            }),
            Arc::new(BooleanArray::from(vec![true; sets.len()])),
            Arc::new(BooleanArray::from_iter(sets.iter().map(|(s, _)| Some(s.instances.has_global())))),
            texts(&|i| sets[i].1.to_owned()),
            texts(&|i| assembly.crates().get(sets[i].1).copied().unwrap_or_default().to_owned()),
            texts(&|i| sets[i].0.instances.kinds().join(", ")),
            texts(&|i| sets[i].0.about.to_owned()),
            texts(&|i| made_from(&sets[i].0.source).to_owned()),
            texts(&|i| sets[i].0.depends_on.join(", ")),
            texts(&|i| sets[i].0.example.to_owned()),
            texts(&|i| {
                let sources = assembly.sources(sets[i].0.name);
                let tags: BTreeSet<&str> = sources.iter().map(|source| source.tag).collect();
                tags.into_iter().collect::<Vec<_>>().join(", ")
            }),
        ];
        let rows = RecordBatch::try_new(schema.clone(), columns)?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![rows]])?))
    }
}
