//! The promises of every view set, as tests that any view crate runs over its own.
//!
//! ```ignore
//! belvedere_testkit::conformance! {
//!     images: Subject { view_set: "images", registrations: crate::registrations, sample: crate::tests::images }
//! }
//! ```
//!
//! gives a module `images` with one test for each promise below. What it needs is a *sample*: a function that makes up
//! a program which sent about so many events, see [`Subject::sample`].

mod arrival;
mod columns;
mod damage;
mod partitions;
mod schema;
#[cfg(test)]
mod tests;

pub use arrival::{order_of_arrival_does_not_matter, sending_again_changes_nothing};
pub use columns::{
    a_column_alone_has_the_values_that_it_has_beside_others, conditions_lose_no_row_and_add_none,
    more_distinct_texts_than_16_bits_can_count,
};
pub use damage::{
    blocks_beyond_the_limit_are_refused, damaged_blocks_cost_their_own_rows, empty_blocks_give_no_rows,
};
pub use partitions::{all_rows, rows_do_not_depend_on_partitions};
pub use schema::{the_example_is_a_query_that_works, the_schema_is_the_one_of_the_snapshot};

use crate::FakeProcess;
use crate::failure::{Context, Result, ensure};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use belvedere_core::assembly::Assembly;
use belvedere_core::{Lake, LakeConfig};
use belvedere_lake::LakeOptions;
use belvedere_model::time::TimeRange;
use belvedere_view::{BlockSource, Decoder, Registration, Source, ViewSet};
use futures::TryStreamExt;

/// A view set under test.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Its name.
    pub view_set: &'static str,
    /// What is to be linked beside core: the crate's own registrations, and those of crates that it depends on.
    pub registrations: fn() -> Vec<&'static Registration>,
    /// A program that sent about so many events for the view set, in at least two blocks, each event with a text of its
    /// own in some column: the same program for the same number.
    pub sample: fn(usize) -> FakeProcess,
}

/// Runs the suite over view sets: see [`conformance!`](crate::conformance!). Each test is a function here, which says what it holds.
#[macro_export]
macro_rules! conformance {
    ($($name:ident: Subject { $($fields:tt)* }),* $(,)?) => {$(
        mod $name {
            #[allow(unused_imports, reason = "what the fields name")]
            use super::*;

            fn subject() -> $crate::conformance::Subject {
                $crate::conformance::Subject { $($fields)* }
            }

            $crate::__conformance_tests! {
                answers_do_not_depend_on_partitions
                sending_again_changes_nothing
                order_of_arrival_does_not_matter
                empty_blocks_give_no_rows
                damaged_blocks_cost_their_own_rows
                blocks_beyond_the_limit_are_refused
                a_column_alone_has_the_values_that_it_has_beside_others
                conditions_lose_no_row_and_add_none
                more_distinct_texts_than_16_bits_can_count
                the_example_is_a_query_that_works
            }

            #[test]
            fn the_schema_is_the_one_of_the_snapshot() {
                $crate::conformance::run($crate::conformance::the_schema_is_the_one_of_the_snapshot(
                    &subject(),
                    env!("CARGO_MANIFEST_DIR").as_ref(),
                ));
            }
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($($test:ident)*) => {$(
        #[test]
        fn $test() {
            $crate::conformance::run($crate::conformance::$test(&subject()));
        }
    )*};
}

/// Runs one test of the suite to its end, and fails like a test.
#[expect(clippy::panic, reason = "a test that fails says so by a panic")]
pub fn run(test: impl Future<Output = Result<()>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = runtime.context("a test needs threads").and_then(|runtime| runtime.block_on(test));
    if let Err(e) = outcome {
        panic!("{e}");
    }
}

/// Rows are the same whichever of them are in partitions: see [`rows_do_not_depend_on_partitions`]. Of what is not kept
/// itself, whichever rows of what it reads are.
pub async fn answers_do_not_depend_on_partitions(subject: &Subject) -> Result<()> {
    let program = (subject.sample)(SOME);
    let lake = subject.fed_with(&program).await?;
    for table in subject.tables(&lake, &program)? {
        if table.is_kept(&lake)? {
            rows_do_not_depend_on_partitions(&lake, table.view_set.name, &table.instance).await?;
            continue;
        }
        let live = table.rows(&lake).await?;
        let names = table.view_set.depends_on;
        for read in lake.assembly().view_sets().filter(|s| names.contains(&s.name)) {
            for instance in instances(read, subject, &program) {
                let read = Table { view_set: read, instance };
                if read.is_kept(&lake)? {
                    read.keep(&lake).await?;
                }
            }
        }
        ensure!(table.rows(&lake).await? == live, "{table}: other rows when what it reads is in partitions");
    }
    lake.close().await;
    Ok(())
}

/// Events of a sample where a few do.
const SOME: usize = 40;

/// A table of the view set under test.
#[derive(Debug, Clone)]
struct Table {
    view_set: &'static ViewSet,
    instance: String,
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "view_instance('{}', '{}')", self.view_set.name, self.instance)
    }
}

/// Columns by name, and rows as texts, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Subject {
    fn assembly(&self) -> Result<Assembly> {
        Ok(Assembly::new(
            belvedere_core::registrations()
                .into_iter()
                .chain(belvedere_functions::registrations())
                .chain((self.registrations)()),
        )?)
    }

    fn view_set(&self, assembly: &Assembly) -> Result<&'static ViewSet> {
        let set = assembly.view_sets().find(|s| s.name == self.view_set);
        set.with_context(|| format!("nobody registers the view set {}", self.view_set))
    }

    async fn lake(&self, config: LakeConfig) -> Result<Lake> {
        Ok(Lake::assemble(&LakeOptions::in_memory(), self.assembly()?, config).await?)
    }

    async fn fed_with(&self, program: &FakeProcess) -> Result<Lake> {
        let lake = self.lake(LakeConfig::default()).await?;
        program.send_to(lake.connection()).await?;
        Ok(lake)
    }

    /// The tables that have rows of a program.
    fn tables(&self, lake: &Lake, program: &FakeProcess) -> Result<Vec<Table>> {
        let view_set = self.view_set(&lake.assembly())?;
        let tables = instances(view_set, self, program).into_iter();
        Ok(tables.map(|instance| Table { view_set, instance }).collect())
    }

    /// Whether it is decoded from blocks: its rows are of one block, or stream, and of no other.
    fn is_decoded(&self) -> Result<bool> {
        let set = self.view_set(&self.assembly()?)?;
        Ok(matches!(set.source, Source::Blocks(_)))
    }

    /// Whether its rows come from payloads, its own or those of what it reads.
    fn is_of_payloads(&self) -> Result<bool> {
        let assembly = self.assembly()?;
        let mut names = vec![self.view_set];
        while let Some(name) = names.pop() {
            let Some(set) = assembly.view_sets().find(|s| s.name == name) else { continue };
            match set.source {
                Source::Blocks(_) => return Ok(true),
                Source::Sql(_) | Source::Query(_) => {
                    names.extend(set.depends_on);
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

/// Ids of the tables of a view set that can have rows of a program: every one there is of it.
fn instances(view_set: &ViewSet, subject: &Subject, program: &FakeProcess) -> Vec<String> {
    let sources: Vec<BlockSource> = match (subject.assembly(), &view_set.source) {
        (Ok(assembly), Source::Query(_)) => {
            view_set.depends_on.iter().flat_map(|name| assembly.sources(name)).collect()
        }
        (Ok(assembly), _) => assembly.sources(view_set.name),
        (Err(_), _) => Vec::new(),
    };
    let mut ids = Vec::new();
    for kind in view_set.instances.kinds() {
        match *kind {
            "global" => ids.push("global".to_owned()),
            "process" => ids.push(program.process.process_id.to_string()),
            _ => ids.extend(program.streams().iter().filter_map(|stream| {
                let is_understood =
                    sources.is_empty() || BlockSource::for_stream(&sources, &stream.clone().into()).is_some();
                is_understood.then(|| stream.stream_id.to_string())
            })),
        }
    }
    ids
}

/// Whether the rows of a view set are decoded along streams.
fn is_along_streams(subject: &Subject) -> Result<bool> {
    let sources = subject.assembly()?.sources(subject.view_set);
    Ok(sources.iter().any(|s| matches!(s.decoder, Decoder::Stateful(_))))
}

impl Table {
    fn is_kept(&self, lake: &Lake) -> Result<bool> {
        let context = lake.context(TimeRange::ALL);
        Ok(context.factory().make_view(self.view_set.name, &self.instance)?.instance().is_some())
    }

    /// Makes partitions of all rows.
    async fn keep(&self, lake: &Lake) -> Result<()> {
        partitions::keep(lake, self.view_set.name, &self.instance).await
    }

    async fn batch(&self, lake: &Lake, columns: &str, range: TimeRange) -> Result<RecordBatch> {
        batch(lake, &format!("SELECT {columns} FROM {self}"), range).await
    }

    /// All rows, without what the server's clock says.
    async fn rows(&self, lake: &Lake) -> Result<Rows> {
        let columns = self.view_set.columns.iter().map(|c| c.name);
        let columns: Vec<String> = columns.filter(|c| !is_of_clock(c)).map(quoted).collect();
        Ok(texts(&self.batch(lake, &columns.join(", "), TimeRange::ALL).await?)?.sorted())
    }

    async fn count(&self, lake: &Lake, condition: &str, range: TimeRange) -> Result<usize> {
        let sql = format!("SELECT count(*) AS n FROM {self} WHERE {condition}");
        let rows = texts(&batch(lake, &sql, range).await?)?;
        Ok(rows.rows.first().and_then(|row| row.first()).context("no count")?.parse()?)
    }
}

/// What differs between two lakes that were fed the same.
fn is_of_clock(column: &str) -> bool {
    column.ends_with("insert_time") || column.ends_with("last_update_time")
}

fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}

async fn batch(lake: &Lake, sql: &str, range: TimeRange) -> Result<RecordBatch> {
    let failed = || format!("the query failed: {sql}");
    let result = lake.query(sql, range).await.with_context(failed)?;
    let schema = result.schema.clone();
    let batches: Vec<RecordBatch> = result.rows.try_collect().await.with_context(failed)?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Values as texts, in the order of the rows. NULL is its own word.
fn texts(batch: &RecordBatch) -> Result<Rows> {
    let options = FormatOptions::default().with_null("NULL");
    let columns = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let row = |row| columns.iter().map(|c| c.value(row).to_string()).collect();
    Ok(Rows {
        columns: batch.schema().fields().iter().map(|f| f.name().clone()).collect(),
        rows: (0..batch.num_rows()).map(row).collect(),
    })
}

impl Rows {
    fn sorted(mut self) -> Self {
        self.rows.sort();
        self
    }

    /// The values of one column, sorted.
    fn column(&self, name: &str) -> Result<Vec<&str>> {
        let i = self.columns.iter().position(|c| c == name).with_context(|| format!("no column {name}"))?;
        let mut values: Vec<&str> = self.rows.iter().map(|row| row[i].as_str()).collect();
        values.sort_unstable();
        Ok(values)
    }

    /// The first row that is in one and not in the other.
    fn first_odd<'a>(&'a self, other: &'a Self) -> Option<&'a Vec<String>> {
        let odd = self.rows.iter().zip(&other.rows).find(|(a, b)| a != b).map(|(a, _)| a);
        odd.or_else(|| self.rows.get(other.rows.len())).or_else(|| other.rows.get(self.rows.len()))
    }
}

fn ensure_same(found: &Rows, expected: &Rows, what: &str) -> Result<()> {
    ensure!(
        found == expected,
        "{what}: {} rows instead of {}; the first that differs: {:?}",
        found.rows.len(),
        expected.rows.len(),
        found.first_odd(expected)
    );
    Ok(())
}
