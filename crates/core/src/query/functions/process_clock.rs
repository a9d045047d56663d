//! `process_clock('process id')`: where the clocks of a process disagree.

use crate::error::Result;
use crate::query::Argument;
use crate::query::QueryContext;
use crate::query::{Page, PagedSource, PagedTable};
use crate::scan::Conditions;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use belvedere_lake::BlockFilter;
use belvedere_model::time::{Clock, SECOND};
use belvedere_model::{BlockRecord, TRANSIT_FORMAT};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::DataFusionError;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub(super) struct ProcessClock {
    context: QueryContext,
}

impl ProcessClock {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for ProcessClock {
    fn call_with_args(&self, args: TableFunctionArgs) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let [process_id] = args.exprs() else {
            return Err(DataFusionError::Plan(
                "process_clock takes one argument: the id of a process, a string in quotes".to_owned(),
            ));
        };
        let process_id = Argument::uuid(process_id, "argument of process_clock, the process id,")?;
        let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
        let schema = Schema::new(vec![
            Field::new("begin_time", time(), false),
            Field::new("end_time", time(), false),
            Field::new("begin_ticks", DataType::Int64, false),
            Field::new("end_ticks", DataType::Int64, false),
            Field::new("blocks", DataType::Int64, false),
            Field::new("frequency", DataType::Float64, false),
            Field::new("offset", DataType::Int64, false),
            Field::new("jump", DataType::Int64, true),
            Field::new("is_of_block", DataType::Boolean, false),
        ]);
        Ok(Arc::new(PagedTable::new(Arc::new(schema), Arc::new(Pieces { process_id }), self.context.clone())))
    }
}

#[derive(Debug)]
struct Pieces {
    process_id: Uuid,
}

/// Blocks that came one after the other and whose clocks are equally far from the clock of the process.
#[derive(Debug, Clone)]
struct Piece {
    begin_time: i64,
    end_time: i64,
    begin_ticks: i64,
    end_ticks: i64,
    blocks: i64,
    frequency: f64,
    offset: i64,
    last_offset: i64,
    jump: Option<i64>,
    is_of_block: bool,
}

/// Where a page ended: the last block, the ticks per second that offsets are measured with, and the piece so far.
#[derive(Debug)]
struct Progress {
    seq: i64,
    reference: Option<f64>,
    piece: Option<Piece>,
}

impl Progress {
    /// Takes the next block. The piece before it, if it does not belong to that.
    fn add(&mut self, block: &BlockRecord) -> Option<Piece> {
        let info = &block.info;
        self.seq = block.seq;
        let clock = Clock::for_block(&block.process, info);
        let frequency = *self.reference.get_or_insert(clock.frequency());
        let steady = info.end_ticks as f64 * (SECOND as f64 / frequency);
        let offset = info.end_time.saturating_sub(block.process.start_time.saturating_add(steady as i64));
        if let Some(piece) = &mut self.piece
            && piece.is_of_block == clock.is_of_block()
            && offset.saturating_sub(piece.last_offset).saturating_abs() <= SECOND
        {
            piece.begin_time = piece.begin_time.min(info.begin_time);
            piece.end_time = piece.end_time.max(info.end_time);
            piece.begin_ticks = piece.begin_ticks.min(info.begin_ticks);
            piece.end_ticks = piece.end_ticks.max(info.end_ticks);
            piece.blocks += 1;
            piece.last_offset = offset;
            return None;
        }
        let jump = self.piece.as_ref().map(|before| offset.saturating_sub(before.last_offset));
        self.piece.replace(Piece {
            begin_time: info.begin_time,
            end_time: info.end_time,
            begin_ticks: info.begin_ticks,
            end_ticks: info.end_ticks,
            blocks: 1,
            frequency: clock.frequency(),
            offset,
            last_offset: offset,
            jump,
            is_of_block: clock.is_of_block(),
        })
    }
}

#[async_trait]
impl PagedSource for Pieces {
    type Cursor = Progress;

    async fn page(
        &self,
        context: &QueryContext,
        _: &Conditions,
        after: Option<Progress>,
        limit: u32,
        schema: &SchemaRef,
    ) -> Result<Page<Progress>> {
        let mut progress = after.unwrap_or(Progress { seq: 0, reference: None, piece: None });
        let filter = BlockFilter {
            process_id: Some(self.process_id),
            // other formats have times and no ticks
            formats: Some(vec![TRANSIT_FORMAT.to_owned()]),
            ..BlockFilter::default()
        };
        let blocks = context.connection().catalog().blocks(&filter, progress.seq, limit).await?;
        let mut pieces: Vec<Piece> = blocks.iter().filter_map(|block| progress.add(block)).collect();
        let is_last = blocks.len() < limit as usize;
        if is_last {
            pieces.extend(progress.piece.take());
        }
        let times = |f: fn(&Piece) -> i64| -> ArrayRef {
            Arc::new(TimestampNanosecondArray::from_iter_values(pieces.iter().map(f)).with_timezone("+00:00"))
        };
        let numbers = |f: fn(&Piece) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(pieces.iter().map(f)))
        };
        let columns: Vec<ArrayRef> = vec![
            times(|p| p.begin_time),
            times(|p| p.end_time),
            numbers(|p| p.begin_ticks),
            numbers(|p| p.end_ticks),
            numbers(|p| p.blocks),
            Arc::new(Float64Array::from_iter_values(pieces.iter().map(|p| p.frequency))),
            numbers(|p| p.offset),
            Arc::new(pieces.iter().map(|p| p.jump).collect::<Int64Array>()),
            Arc::new(pieces.iter().map(|p| Some(p.is_of_block)).collect::<BooleanArray>()),
        ];
        let rows = RecordBatch::try_new(schema.clone(), columns)?;
        Ok(Page { rows, next: (!is_last).then_some(progress) })
    }
}
