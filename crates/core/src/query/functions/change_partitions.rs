//! `materialize_partitions`, `regenerate_partitions`, `retire_partitions`: partitions by hand. Each is a table of what
//! it does, as it does it; nothing is done before its rows are taken.

use super::progress_table::{progress_row, progress_schema};
use crate::error::{Context, Error, Result};
use crate::partitions::{Retired, all_partitions};
use crate::query::Argument;
use crate::query::{QueryContext, QueryError};
use crate::scan::Instance;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use belvedere_model::SeqRange;
use belvedere_model::time::{SECOND, TimeRange, to_rfc3339};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::TryStreamExt;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Materialize,
    Regenerate,
    Retire,
}

#[derive(Debug)]
pub(super) struct ChangePartitions {
    change: Change,
    context: QueryContext,
}

impl ChangePartitions {
    pub(super) fn new(change: Change, context: QueryContext) -> Self {
        Self { change, context }
    }
}

impl TableFunctionImpl for ChangePartitions {
    fn call_with_args(&self, args: TableFunctionArgs) -> EngineResult<Arc<dyn TableProvider>> {
        let (view_set, instance, begin, end, step) = match (self.change, args.exprs()) {
            (Change::Retire, [set, instance, begin, end]) => {
                (Argument::text(set, "view set")?, Argument::text(instance, "instance")?, begin, end, None)
            }
            (Change::Materialize | Change::Regenerate, [set, begin, end, step]) => (
                Argument::text(set, "view set")?,
                "global".to_owned(),
                begin,
                end,
                Some(Argument::number(step, "step in seconds")?),
            ),
            (Change::Retire, _) => {
                return Err(DataFusionError::Plan(
                    "retire_partitions takes a view set, an instance, and a begin and an end of insert time"
                        .to_owned(),
                ));
            }
            _ => {
                return Err(DataFusionError::Plan(
                    "expected four arguments: a view set, a begin and an end of insert time, and a step in \
                     seconds"
                        .to_owned(),
                ));
            }
        };
        if step.is_some_and(|step| step <= 0) {
            return Err(DataFusionError::Plan("the step in seconds must be greater than 0".to_owned()));
        }
        let (begin, end) = (Argument::time(begin, "begin")?, Argument::time(end, "end")?);
        if let Some(step) = step
            && self.change == Change::Regenerate
            && end.saturating_sub(begin) % step.saturating_mul(SECOND) != 0
        {
            return Err(DataFusionError::Plan(format!(
                "the range from begin to end is not a multiple of {step} seconds"
            )));
        }
        let work = Work {
            change: self.change,
            context: self.context.clone(),
            view_set,
            instance,
            begin,
            end,
            step: step.unwrap_or(1).saturating_mul(SECOND),
            schema: progress_schema(),
        };
        Ok(Arc::new(StreamingTable::try_new(work.schema.clone(), vec![Arc::new(work)])?))
    }
}

#[derive(Debug, Clone)]
struct Work {
    change: Change,
    context: QueryContext,
    view_set: String,
    instance: String,
    /// Insert times: the first one that counts, and the end, which only retiring includes.
    begin: i64,
    end: i64,
    step: i64,
    schema: SchemaRef,
}

impl PartitionStream for Work {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), 2);
        let progress = Progress { schema: self.schema.clone(), rows: builder.tx() };
        let work = self.clone();
        // ends with the query: what is published is whole, the rest is as if it had never begun
        builder.spawn(async move { work.run(&progress).await.map_err(Into::into) });
        builder.build()
    }
}

/// Tells of what is done, a row each.
struct Progress {
    schema: SchemaRef,
    rows: Sender<EngineResult<RecordBatch>>,
}

impl Progress {
    async fn send(&self, text: String) -> Result<()> {
        let row = progress_row(self.schema.clone(), text)?;
        self.rows.send(Ok(row)).await.ok().context("nobody is interested any more")
    }
}

fn busy(what: &str, who: &str) -> Error {
    QueryError::Busy(format!("{what}: {who}: try again later")).into()
}

impl Work {
    async fn run(&self, progress: &Progress) -> Result<()> {
        // nothing of the lake is read for that
        let view = self.context.factory().make_view(&self.view_set, &self.instance);
        let view = view.map_err(|e| QueryError::Sql(format!("{e}")))?;
        let Some(instance) = view.instance() else {
            return Err(QueryError::Sql(format!("the rows of {} are not materialized", self.view_set)).into());
        };
        match self.change {
            Change::Retire => self.retire(instance, self.begin, self.end, progress).await,
            Change::Materialize | Change::Regenerate => {
                let mut begin = self.begin;
                while begin < self.end {
                    let end = begin.saturating_add(self.step).min(self.end);
                    self.step(instance, begin, end, progress).await?;
                    begin = end;
                }
                Ok(())
            }
        }
    }

    /// Materializes, or makes anew, what is of blocks received from `begin` to before `end`.
    async fn step(&self, instance: &Instance, begin: i64, end: i64, progress: &Progress) -> Result<()> {
        let last = end.saturating_sub(1);
        let name = format!("[{}, {}] {}", to_rfc3339(begin), to_rfc3339(end), instance.name());
        let builder = self.context.partition_builder();
        if self.change == Change::Regenerate {
            // before anything is retired
            if let Some(who) = builder.at_work(&instance.name()).await? {
                return Err(busy(&name, &who));
            }
            for partition in builder.partitions(instance).await? {
                let p = &partition.content;
                if p.insert_begin < begin || p.insert_end > last {
                    continue;
                }
                // rows that can't be made again are not thrown away
                if let Some(why) = builder.what_blocks_lack(&partition).await? {
                    return Err(QueryError::Sql(format!(
                        "{name}: partition {} is the last copy of its rows: {why}",
                        partition.partition_id
                    ))
                    .into());
                }
            }
            self.retire(instance, begin, last, progress).await?;
        }
        let mut filter = instance.blocks_in(SeqRange::ALL);
        filter.inserted = TimeRange { begin: Some(begin), end: Some(last) };
        let wanted = builder.catalog().summary(&filter).await?;
        let (Some(first), Some(last)) = (wanted.seq_begin, wanted.seq_end) else {
            return progress.send(format!("{name}: no blocks")).await;
        };
        let (mut partitions, mut rows) = (0, 0);
        let range = SeqRange::new(first, last);
        builder
            .fill(instance, range, &mut |made| {
                partitions += made.partitions;
                rows += made.rows;
            })
            .await?;
        let covered = builder.partitions(instance).await?;
        if !range.without(covered.iter().map(|p| p.content.seqs)).is_empty() {
            let who = builder.at_work(&instance.name()).await?;
            return Err(busy(&name, who.as_deref().unwrap_or("another worker was working on it")));
        }
        let text = match partitions {
            0 => format!("{name}: already up to date, nb_source_events={}", wanted.objects),
            _ => format!("{name}: materialized {partitions} partitions with {rows} rows"),
        };
        progress.send(text).await
    }

    /// Retires the partitions whose blocks were all received from `begin` to `last`, whatever their schema.
    async fn retire(&self, instance: &Instance, begin: i64, last: i64, progress: &Progress) -> Result<()> {
        let builder = self.context.partition_builder();
        let mut partitions = all_partitions(builder.catalog(), Some(&self.view_set));
        while let Some(partition) = partitions.try_next().await? {
            let p = &partition.content;
            if p.instance != instance.id || p.insert_begin < begin || p.insert_end > last {
                continue;
            }
            let id = partition.partition_id;
            let text = match builder.retire_unless_last_copy(&partition).await? {
                Retired::Gone(_) => format!(
                    "retired partition {id} of {}: {} rows of the blocks {}",
                    instance.name(),
                    p.row_count,
                    p.seqs
                ),
                Retired::Kept(why) => {
                    format!(
                        "kept partition {id} of {}: it is the last copy of its rows: {why}",
                        instance.name()
                    )
                }
            };
            progress.send(text).await?;
        }
        Ok(())
    }
}
