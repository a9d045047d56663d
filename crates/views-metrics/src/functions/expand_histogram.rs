//! `expand_histogram(histogram)`

use super::histogram::{HistogramRow, Histograms, check_type};
use async_trait::async_trait;
use belvedere_core::arrow::array::{Array, Float64Array, RecordBatch, UInt64Array};
use belvedere_core::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use belvedere_core::datafusion::catalog::streaming::StreamingTable;
use belvedere_core::datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use belvedere_core::datafusion::logical_expr::{Expr, TableType};
use belvedere_core::datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use belvedere_core::datafusion::physical_plan::streaming::PartitionStream;
use belvedere_core::datafusion::physical_plan::{ExecutionPlan, execute_stream};
use belvedere_core::query::Argument;
use futures::StreamExt;
use std::sync::Arc;

const NAME: &str = "expand_histogram";

#[derive(Debug)]
pub(super) struct ExpandHistogram;

impl TableFunctionImpl for ExpandHistogram {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [histogram] = args.exprs() else {
            return Err(DataFusionError::Plan(format!("{NAME} takes one histogram")));
        };
        let argument = Argument::new(histogram, "argument of expand_histogram")?;
        check_type(NAME, argument.data_type())?;
        let schema = Schema::new(vec![
            Field::new("bin_center", DataType::Float64, false),
            Field::new("count", DataType::UInt64, false),
        ]);
        Ok(Arc::new(Bins { argument, schema: Arc::new(schema) }))
    }
}

/// The bins of a histogram that is not computed yet.
#[derive(Debug)]
struct Bins {
    argument: Argument,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for Bins {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planned = self.argument.plan(session).await?;
        let stream = Arc::new(BinStream { planned, schema: self.schema.clone() });
        let table = StreamingTable::try_new(self.schema.clone(), vec![stream])?;
        table.scan(session, projection, filters, limit).await
    }
}

#[derive(Debug)]
struct BinStream {
    planned: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
}

impl PartitionStream for BinStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), 1);
        let (rows, planned, schema) = (builder.tx(), self.planned.clone(), self.schema.clone());
        builder.spawn(async move {
            let mut argument = execute_stream(planned, context)?;
            while let Some(batch) = argument.next().await {
                let batch = batch?;
                if batch.num_rows() == 0 {
                    continue;
                }
                let histograms = Histograms::new(NAME, &Argument::column(&batch)?.slice(0, 1))?;
                if let Some(histogram) = histograms.get(0)? {
                    // if nobody takes it, nobody wants it
                    let _ = rows.send(bins(&histogram, &schema)).await;
                }
                return Ok(());
            }
            Err(DataFusionError::Execution(format!(
                "{NAME}: the subquery returned no rows, but one is needed"
            )))
        });
        builder.build()
    }
}

/// A row for each bin.
pub(super) fn bins(histogram: &HistogramRow<'_>, schema: &SchemaRef) -> Result<RecordBatch> {
    let range = match histogram.end - histogram.start {
        0.0 => 1.0,
        range => range,
    };
    let width = range / histogram.bins.len() as f64;
    let centers = (0..histogram.bins.len()).map(|i| histogram.start + (i as f64 + 0.5) * width);
    let (centers, counts) = (
        Float64Array::from_iter_values(centers),
        UInt64Array::from_iter_values(histogram.bins.iter().copied()),
    );
    Ok(RecordBatch::try_new(schema.clone(), vec![Arc::new(centers), Arc::new(counts)])?)
}
