//! `span_tiles('process or stream id', begin, end, width)`

use super::{range_of, spans_of};
use belvedere_core::Error;
use belvedere_core::arrow::array::{
    AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringBuilder, StringDictionaryBuilder,
    TimestampNanosecondArray,
};
use belvedere_core::arrow::compute::cast;
use belvedere_core::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit};
use belvedere_core::arrow::error::ArrowError;
use belvedere_core::datafusion::catalog::streaming::StreamingTable;
use belvedere_core::datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use belvedere_core::datafusion::error::{DataFusionError, Result};
use belvedere_core::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use belvedere_core::datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use belvedere_core::datafusion::physical_plan::streaming::PartitionStream;
use belvedere_core::query::{Argument, QueryContext};
use belvedere_model::time::TimeRange;
use futures::TryStreamExt;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

/// Rows that leave at once.
const BATCH: usize = 8192;
/// No screen is wider, and it bounds the rows of a depth.
const WIDEST: i64 = 100_000;
const UTC: &str = "+00:00";

#[derive(Debug)]
pub(super) struct SpanTiles {
    context: QueryContext,
}

impl SpanTiles {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

fn texts() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

impl TableFunctionImpl for SpanTiles {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let [id, begin, end, width] = args.exprs() else {
            return Err(DataFusionError::Plan(
                "span_tiles takes the id of a process or stream, a begin, an end and a width in pixels"
                    .to_owned(),
            ));
        };
        let id = Argument::uuid(id, "process or stream id")?;
        let (begin, end) = range_of(begin, end)?;
        let width = Argument::number(width, "width")?;
        if !(1..=WIDEST).contains(&width) {
            return Err(DataFusionError::Plan(format!(
                "the width must be from 1 to {WIDEST} pixels, not {width}"
            )));
        }
        let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()));
        let field = |name: &str, data_type| Field::new(name, data_type, false);
        let tiles = Tiles {
            context: self.context.with_range(TimeRange { begin: Some(begin), end: Some(end) }),
            id,
            begin,
            pixel: end.saturating_sub(begin) / width,
            schema: Arc::new(Schema::new(vec![
                field("stream_id", texts()),
                field("depth", DataType::Int32),
                field("begin", time()),
                field("end", time()),
                field("spans", DataType::Int64),
                field("busy", DataType::Int64),
                field("id", DataType::Int64),
                field("name", texts()),
                field("longest", DataType::Int64),
                field("is_complete", DataType::Boolean),
            ])),
        };
        Ok(Arc::new(StreamingTable::try_new(tiles.schema.clone(), vec![Arc::new(tiles)])?))
    }
}

#[derive(Debug, Clone)]
struct Tiles {
    context: QueryContext,
    id: Uuid,
    begin: i64,
    /// Nanoseconds; 0 if a pixel is less.
    pixel: i64,
    schema: SchemaRef,
}

impl PartitionStream for Tiles {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), 2);
        let (out, tiles) = (builder.tx(), self.clone());
        builder.spawn(async move {
            for stream in spans_of::threads(&tiles.context, tiles.id).await? {
                if tiles.of_stream(stream.stream_id, &out).await?.is_none() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

impl Tiles {
    /// Sends the tiles of one thread; `None` if nobody takes them any more.
    async fn of_stream(
        &self,
        stream_id: Uuid,
        out: &Sender<Result<RecordBatch>>,
    ) -> Result<Option<()>, Error> {
        let sql = format!(
            "SELECT id, CAST(depth AS INT), \"begin\", \"end\", name, is_complete \
             FROM view_instance('thread_spans', '{stream_id}') WHERE depth > 0 ORDER BY \"begin\""
        );
        let mut rows = spans_of::rows(&self.context, &sql).await?;
        let mut lanes = Lanes::new(self.begin, self.pixel);
        let mut made = Made::default();
        while let Some(batch) = rows.try_next().await? {
            read(&batch, |depth, span| {
                if let Some(tile) = lanes.add(depth, span) {
                    made.push(depth, &tile);
                }
                if lanes.is_alone(depth, span) {
                    made.push(depth, &Tile::of(span));
                }
            })?;
            if made.depths.len() >= BATCH && out.send(Ok(made.batch(stream_id, &self.schema)?)).await.is_err()
            {
                return Ok(None);
            }
        }
        for (depth, tile) in lanes.rest() {
            made.push(depth, &tile);
        }
        let is_taken =
            made.depths.is_empty() || out.send(Ok(made.batch(stream_id, &self.schema)?)).await.is_ok();
        Ok(is_taken.then_some(()))
    }
}

/// Hands on the rows of a batch, in their order.
fn read(batch: &RecordBatch, mut each: impl FnMut(i32, Span<'_>)) -> Result<(), ArrowError> {
    let numbers = |i: usize| -> Result<Int64Array, ArrowError> {
        Ok(cast(batch.column(i), &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    };
    let (ids, depths, begins, ends) = (numbers(0)?, numbers(1)?, numbers(2)?, numbers(3)?);
    let names = cast(batch.column(4), &texts())?;
    let names = names.as_dictionary::<Int32Type>();
    let values = names.values().as_string::<i32>();
    let complete = batch.column(5).as_boolean();
    for row in 0..batch.num_rows() {
        let span = Span {
            id: ids.value(row),
            begin: begins.value(row),
            end: ends.value(row),
            name: names.key(row).map_or("", |key| values.value(key)),
            is_complete: complete.value(row),
        };
        // no thread nests that deeply
        each(i32::try_from(depths.value(row)).unwrap_or(i32::MAX), span);
    }
    Ok(())
}

/// A span of one thread.
#[derive(Debug, Clone, Copy)]
struct Span<'a> {
    id: i64,
    begin: i64,
    end: i64,
    name: &'a str,
    is_complete: bool,
}

impl Span<'_> {
    fn duration(&self) -> i64 {
        self.end.saturating_sub(self.begin).max(0)
    }
}

/// A row: one span, or some that begin in the same pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tile {
    begin: i64,
    end: i64,
    spans: i64,
    busy: i64,
    id: i64,
    name: String,
    longest: i64,
    is_complete: bool,
}

impl Tile {
    fn of(span: Span<'_>) -> Self {
        Self {
            begin: span.begin,
            end: span.end,
            spans: 1,
            busy: span.duration(),
            id: span.id,
            name: span.name.to_owned(),
            longest: span.duration(),
            is_complete: span.is_complete,
        }
    }

    fn add(&mut self, span: Span<'_>) {
        self.begin = self.begin.min(span.begin);
        self.end = self.end.max(span.end);
        self.spans += 1;
        self.busy = self.busy.saturating_add(span.duration());
        if span.duration() > self.longest {
            self.longest = span.duration();
            self.id = span.id;
            self.name.clear();
            self.name.push_str(span.name);
        }
    }
}

/// Spans of one thread that are being put together, by depth.
#[derive(Debug)]
struct Lanes {
    begin: i64,
    pixel: i64,
    open: Vec<Option<Tile>>,
}

impl Lanes {
    fn new(begin: i64, pixel: i64) -> Self {
        Self { begin, pixel, open: Vec::new() }
    }

    /// Whether a span is a row of its own.
    fn is_alone(&self, depth: i32, span: Span<'_>) -> bool {
        span.duration() >= self.pixel || !span.is_complete || usize::try_from(depth).is_err()
    }

    fn place(&self, time: i64) -> i64 {
        time.saturating_sub(self.begin).div_euclid(self.pixel.max(1))
    }

    /// Adds a span, unless it is alone; the tile before it, if that takes no more.
    fn add(&mut self, depth: i32, span: Span<'_>) -> Option<Tile> {
        let at = usize::try_from(depth).ok()?;
        if self.open.len() <= at {
            self.open.resize(at + 1, None);
        }
        if self.is_alone(depth, span) {
            // rows of a depth stay in the order of their begin
            return self.open[at].take();
        }
        let place = self.place(span.begin);
        match &mut self.open[at] {
            Some(tile) if tile.begin.saturating_sub(self.begin).div_euclid(self.pixel.max(1)) == place => {
                tile.add(span);
                None
            }
            other => other.replace(Tile::of(span)),
        }
    }

    /// What is left, at the end.
    fn rest(&mut self) -> impl Iterator<Item = (i32, Tile)> {
        std::mem::take(&mut self.open)
            .into_iter()
            .enumerate()
            .filter_map(|(depth, tile)| Some((i32::try_from(depth).ok()?, tile?)))
    }
}

/// Rows that are to leave.
#[derive(Default)]
struct Made {
    depths: Vec<i32>,
    begins: Vec<i64>,
    ends: Vec<i64>,
    spans: Vec<i64>,
    busy: Vec<i64>,
    ids: Vec<i64>,
    names: StringDictionaryBuilder<Int32Type>,
    longest: Vec<i64>,
    complete: Vec<bool>,
}

impl Made {
    fn push(&mut self, depth: i32, tile: &Tile) {
        self.depths.push(depth);
        self.begins.push(tile.begin);
        self.ends.push(tile.end);
        self.spans.push(tile.spans);
        self.busy.push(tile.busy);
        self.ids.push(tile.id);
        // a dictionary of 2^31 names does not fit into memory
        self.names.append_value(&tile.name);
        self.longest.push(tile.longest);
        self.complete.push(tile.is_complete);
    }

    fn batch(&mut self, stream_id: Uuid, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let rows = self.depths.len();
        let mut stream = StringBuilder::new();
        stream.append_value(stream_id.to_string());
        let streams = belvedere_core::arrow::array::DictionaryArray::<Int32Type>::try_new(
            Int32Array::from(vec![0; rows]),
            Arc::new(stream.finish()),
        )?;
        let time = |times: Vec<i64>| Arc::new(TimestampNanosecondArray::from(times).with_timezone(UTC));
        let numbers = |numbers: Vec<i64>| Arc::new(Int64Array::from(numbers));
        let mut made = std::mem::take(self);
        RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(streams),
                Arc::new(Int32Array::from(made.depths)),
                time(made.begins),
                time(made.ends),
                numbers(made.spans),
                numbers(made.busy),
                numbers(made.ids),
                Arc::new(made.names.finish()),
                numbers(made.longest),
                Arc::new(BooleanArray::from(made.complete)),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Spans of one depth that follow each other.
    fn spans() -> impl Strategy<Value = Vec<(i64, i64, bool)>> {
        prop::collection::vec((0i64..300, 0i64..500, prop::bool::weighted(0.95)), 0..60).prop_map(|gaps| {
            let mut at = 1_000;
            let next = |(gap, duration, is_complete): (i64, i64, bool)| {
                let begin = at + gap;
                at = begin + duration;
                (begin, at, is_complete)
            };
            gaps.into_iter().map(next).collect()
        })
    }

    proptest! {
        #[test]
        fn tiles_have_every_span_once_and_no_pixel_has_two_rows_of_short_ones(
            spans in spans(), pixel in prop_oneof![Just(0i64), 1i64..400],
        ) {
            let mut lanes = Lanes::new(1_000, pixel);
            let mut tiles = Vec::new();
            for (id, (begin, end, is_complete)) in spans.iter().enumerate() {
                let span = Span { id: id as i64, begin: *begin, end: *end, name: if id % 2 == 0 { "even" } else { "odd" }, is_complete: *is_complete };
                tiles.extend(lanes.add(3, span));
                if lanes.is_alone(3, span) {
                    tiles.push(Tile::of(span));
                }
            }
            tiles.extend(lanes.rest().map(|(depth, tile)| { assert_eq!(depth, 3); tile }));
            prop_assert_eq!(tiles.iter().map(|tile| tile.spans).sum::<i64>(), spans.len() as i64);
            prop_assert_eq!(tiles.iter().map(|tile| tile.busy).sum::<i64>(), spans.iter().map(|(b, e, _)| e - b).sum::<i64>());
            prop_assert!(tiles.is_sorted_by_key(|tile| tile.begin));
            for (begin, end, is_complete) in &spans {
                let is_own = end - begin >= pixel || !is_complete;
                let own = tiles.iter().any(|tile| tile.spans == 1 && (tile.begin, tile.end, tile.is_complete) == (*begin, *end, *is_complete));
                let held = tiles.iter().filter(|tile| tile.begin <= *begin && tile.end >= *end && tile.longest >= end - begin).count();
                let is_there = if is_own { own } else { held >= 1 };
                prop_assert!(is_there, "{begin} to {end} in {tiles:?}");
            }
            let places: Vec<i64> = tiles.iter().filter(|tile| tile.longest < pixel && tile.is_complete).map(|tile| (tile.begin - 1_000) / pixel).collect();
            for tile in &tiles {
                let (begin, end, _) = spans[tile.id as usize];
                prop_assert_eq!(end - begin, tile.longest);
            }
            // a longer one between them begins a row anew
            let long = tiles.len() - places.len();
            let mut distinct = places.clone();
            distinct.dedup();
            prop_assert!(places.len() <= distinct.len() + long);
        }
    }
}
