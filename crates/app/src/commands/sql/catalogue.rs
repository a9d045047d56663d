//! What there is to be named in SQL: asked once, by SQL, so that it is the same for a lake and a server.

use super::super::source::Source;
use anyhow::Result;
use arrow::array::{Array, AsArray, RecordBatch};
use std::collections::{BTreeMap, BTreeSet};

/// Names that a person may want to type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Catalogue {
    /// View sets with a table of everything.
    pub(super) tables: BTreeSet<String>,
    /// All view sets, and their columns in order.
    pub(super) view_sets: BTreeMap<String, Vec<String>>,
    /// Functions of all kinds.
    pub(super) functions: BTreeSet<String>,
}

impl Catalogue {
    /// Asks what there is.
    pub(super) async fn read(source: &Source) -> Result<Self> {
        let mut catalogue = Self::default();
        let sets = "SELECT view_set_name FROM list_view_sets() WHERE global_instance_available";
        catalogue.tables.extend(texts(&source.collect(sets).await?, 0));
        let columns = source.collect("SELECT view_set_name, column_name FROM list_columns()").await?;
        for (set, column) in texts(&columns, 0).zip(texts(&columns, 1)) {
            catalogue.view_sets.entry(set).or_default().push(column);
        }
        let functions = "SELECT DISTINCT routine_name FROM information_schema.routines";
        catalogue.functions.extend(texts(&source.collect(functions).await?, 0));
        Ok(catalogue)
    }
}

/// The texts of a column.
fn texts(batches: &[RecordBatch], column: usize) -> impl Iterator<Item = String> + '_ {
    batches
        .iter()
        .filter_map(move |batch| batch.columns().get(column)?.as_string_opt::<i32>())
        .flat_map(|texts| (0..texts.len()).filter(|i| texts.is_valid(*i)).map(|i| texts.value(i).to_owned()))
}
