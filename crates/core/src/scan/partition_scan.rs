//! Reads partitions: which files side by side, which one behind the other, and what is known of their order.

use super::verified_files::VerifiedFiles;
use super::{Instance, ScanContext};
use arrow::datatypes::{Schema, SchemaRef};
use belvedere_lake::PartitionRecord;
use belvedere_view::ViewSet;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// What the lake's object store is called within the engine.
pub(crate) const STORE: &str = "belvedere://lake";

/// More files than these are not opened side by side just to have their rows in order.
pub(crate) const SIDE_BY_SIDE: usize = 16;

/// A scan of partitions of one instance.
pub(crate) struct PartitionScan<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) context: &'a ScanContext,
    /// What rows must meet; only used to leave out row groups and pages.
    pub(crate) predicate: Option<Arc<dyn PhysicalExpr>>,
}

impl PartitionScan<'_> {
    /// Reads the columns `projection` of partitions that have rows, by `threads` threads if that can be.
    pub(crate) fn plan(
        &self,
        partitions: &[PartitionRecord],
        projection: &[usize],
        threads: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = engine_schema_of_files(self.instance.view_set);
        let order = self.instance.sort_order();
        let runs = if partitions.iter().all(|p| p.content.sort_order == order) && !order.is_empty() {
            runs(partitions, self.instance.is_of_blocks())
        } else {
            None
        };
        let ordering = match &runs {
            Some(_) => {
                let columns = order.iter().map(|name| -> Result<PhysicalSortExpr> {
                    Ok(PhysicalSortExpr::new_default(Arc::new(Column::new_with_schema(name, &schema)?))
                        .nulls_last())
                });
                LexOrdering::new(columns.collect::<Result<Vec<_>>>()?)
            }
            None => None,
        };
        let groups = match runs {
            Some(runs) => split(runs, threads),
            None => deal(partitions, threads),
        };
        let event_columns = match self.instance.view_set.event_time_columns() {
            Some((begin, end)) => Some((schema.index_of(begin)?, schema.index_of(end)?)),
            None => None,
        };
        let file = |p: &PartitionRecord| self.file(p, &schema, event_columns);
        let groups: Vec<FileGroup> =
            groups.iter().map(|g| FileGroup::new(g.iter().map(file).collect())).collect();

        let mut source = ParquetSource::new(schema.clone());
        if let Some(predicate) = &self.predicate {
            source = source.with_predicate(predicate.clone());
        }
        let url = ObjectStoreUrl::parse(STORE)?;
        let store = Arc::new(VerifiedFiles::new(self.instance, self.context, partitions));
        let footers = self.context.runtime.cache_manager.get_file_metadata_cache();
        let readers = CachedParquetFileReaderFactory::new(store, footers);
        let source =
            source.with_parquet_file_reader_factory(Arc::new(readers)).with_metadata_size_hint(64 << 10);
        let rows = partitions.iter().map(|p| p.content.row_count.max(0) as usize).sum();
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.num_rows = Precision::Exact(rows);
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_output_ordering(ordering.into_iter().collect())
            .with_projection_indices(Some(projection.to_vec()))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn file(
        &self,
        partition: &PartitionRecord,
        schema: &Schema,
        event_columns: Option<(usize, usize)>,
    ) -> PartitionedFile {
        let p = &partition.content;
        let mut statistics = Statistics::new_unknown(schema);
        statistics.num_rows = Precision::Exact(p.row_count.max(0) as usize);
        if let (Some((begin, end)), Some((from, to))) = (event_columns, p.events) {
            let time = |t| ScalarValue::TimestampNanosecond(Some(t), Some("+00:00".into()));
            // bounds of both columns together
            for column in [begin, end] {
                statistics.column_statistics[column] = ColumnStatistics {
                    null_count: if schema.field(column).is_nullable() {
                        Precision::Absent
                    } else {
                        Precision::Exact(0)
                    },
                    min_value: Precision::Inexact(time(from)),
                    max_value: Precision::Inexact(time(to)),
                    ..ColumnStatistics::new_unknown()
                };
            }
        }
        let key = p.file_key.clone().unwrap_or_default();
        PartitionedFile::new(key, p.file_size.max(0) as u64).with_statistics(Arc::new(statistics))
    }
}

/// Reads the schema of the engine from files: see `hinted_schema` of the room of partitions.
pub(crate) fn engine_schema_of_files(view_set: &ViewSet) -> SchemaRef {
    Arc::new(Schema::new(view_set.engine_schema().fields().clone()))
}

/// Partitions one behind the other where one's rows are all before the next one's; each of these runs is in order.
/// `None` if that makes too many runs.
pub(crate) fn runs(partitions: &[PartitionRecord], can_follow: bool) -> Option<Vec<Vec<PartitionRecord>>> {
    let mut sorted: Vec<&PartitionRecord> = partitions.iter().collect();
    sorted.sort_by_key(|p| (p.content.events, p.content.seqs));
    let mut runs: Vec<(i64, Vec<PartitionRecord>)> = Vec::new();
    for partition in sorted {
        let (begin, end) = partition.content.events?;
        match runs.iter().position(|(last, _)| can_follow && *last < begin) {
            Some(run) => {
                runs[run].0 = end;
                runs[run].1.push(partition.clone());
            }
            None if runs.len() < SIDE_BY_SIDE => runs.push((end, vec![partition.clone()])),
            None => return None,
        }
    }
    Some(runs.into_iter().map(|(_, run)| run).collect())
}

/// Divides runs until there is one for each thread: each part is still in order.
fn split(mut runs: Vec<Vec<PartitionRecord>>, threads: usize) -> Vec<Vec<PartitionRecord>> {
    let bytes = |run: &[PartitionRecord]| run.iter().map(|p| p.content.file_size).sum::<i64>();
    while runs.len() < threads {
        let largest = (0..runs.len()).filter(|i| runs[*i].len() > 1).max_by_key(|i| bytes(&runs[*i]));
        let Some(largest) = largest else { break };
        let run = &mut runs[largest];
        let half = bytes(run) / 2;
        let mut before = 0;
        let cut = run
            .iter()
            .position(|p| {
                before += p.content.file_size;
                before > half
            })
            .unwrap_or(0)
            .clamp(1, run.len() - 1);
        let rest = run.split_off(cut);
        runs.push(rest);
    }
    runs
}

/// Partitions in any order, about as many bytes for each thread.
fn deal(partitions: &[PartitionRecord], threads: usize) -> Vec<Vec<PartitionRecord>> {
    let mut hands: Vec<(i64, Vec<PartitionRecord>)> =
        vec![(0, Vec::new()); threads.clamp(1, partitions.len().max(1))];
    for partition in partitions {
        if let Some((bytes, hand)) = hands.iter_mut().min_by_key(|h| h.0) {
            *bytes += partition.content.file_size;
            hand.push(partition.clone());
        }
    }
    hands.into_iter().map(|h| h.1).collect()
}
