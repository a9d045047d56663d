//! Names for completion. They are queried once, by SQL, so that it works the same for a lake and a server.

use super::super::source::Source;
use anyhow::Result;
use arrow::array::{Array, AsArray, RecordBatch};
use std::collections::{BTreeMap, BTreeSet};

/// Names of tables, columns and functions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Catalog {
    /// View sets with a global instance.
    pub(super) tables: BTreeSet<String>,
    /// All view sets, and their columns in order.
    pub(super) view_sets: BTreeMap<String, Vec<String>>,
    /// Functions of all kinds.
    pub(super) functions: BTreeSet<String>,
}

impl Catalog {
    /// Queries the names.
    pub(super) async fn read(source: &Source) -> Result<Self> {
        let mut catalog = Self::default();
        let sets = "SELECT view_set_name FROM list_view_sets() WHERE global_instance_available";
        catalog.tables.extend(texts(&source.collect(sets).await?, 0));
        let columns = source.collect("SELECT view_set_name, column_name FROM list_columns()").await?;
        for (set, column) in texts(&columns, 0).zip(texts(&columns, 1)) {
            catalog.view_sets.entry(set).or_default().push(column);
        }
        let functions = "SELECT DISTINCT routine_name FROM information_schema.routines";
        catalog.functions.extend(texts(&source.collect(functions).await?, 0));
        Ok(catalog)
    }
}

/// The texts of a column.
fn texts(batches: &[RecordBatch], column: usize) -> impl Iterator<Item = String> + '_ {
    batches
        .iter()
        .filter_map(move |batch| batch.columns().get(column)?.as_string_opt::<i32>())
        .flat_map(|texts| (0..texts.len()).filter(|i| texts.is_valid(*i)).map(|i| texts.value(i).to_owned()))
}
