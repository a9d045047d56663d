//! `list_partitions()`

use crate::error::Result;
use crate::query::QueryContext;
use crate::query::{Page, PagedSource, PagedTable};
use crate::scan::Conditions;
use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use belvedere_lake::{ChainSection, PartitionRecord};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use std::sync::Arc;

/// Version of the layout of files: Parquet with the encodings of `partitions::encode`.
const FORMAT_VERSION: i32 = 3;

#[derive(Debug)]
pub(super) struct ListPartitions {
    context: QueryContext,
}

impl ListPartitions {
    pub(super) fn new(context: QueryContext) -> Self {
        Self { context }
    }
}

impl TableFunctionImpl for ListPartitions {
    fn call_with_args(&self, _: TableFunctionArgs) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()));
        let names = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        let schema = Schema::new(vec![
            Field::new("view_set_name", DataType::Utf8, false),
            Field::new("view_instance_id", DataType::Utf8, false),
            Field::new("begin_insert_time", time(), false),
            Field::new("end_insert_time", time(), false),
            Field::new("min_event_time", time(), true),
            Field::new("max_event_time", time(), true),
            Field::new("updated", time(), false),
            Field::new("file_path", DataType::Utf8, true),
            Field::new("file_size", DataType::Int64, false),
            Field::new("file_schema_hash", DataType::Binary, false),
            Field::new("source_data_hash", DataType::Binary, false),
            Field::new("num_rows", DataType::Int64, false),
            Field::new("partition_format_version", DataType::Int32, false),
            Field::new("sort_order", names, true),
            Field::new("max_sort_key_time", time(), true),
            Field::new("begin_seq", DataType::Int64, false),
            Field::new("end_seq", DataType::Int64, false),
            Field::new("num_blocks", DataType::Int64, false),
            Field::new("num_unreadable_blocks", DataType::Int64, false),
            Field::new("num_ignored_events", DataType::Int64, false),
            Field::new("stream_id", DataType::Utf8, true),
            Field::new("begin_object", DataType::Int64, true),
            Field::new("end_object", DataType::Int64, true),
        ]);
        Ok(Arc::new(PagedTable::new(Arc::new(schema), Arc::new(Partitions), self.context.clone())))
    }
}

#[derive(Debug)]
struct Partitions;

#[async_trait]
impl PagedSource for Partitions {
    type Cursor = i64;

    async fn page(
        &self,
        context: &QueryContext,
        _: &Conditions,
        after: Option<i64>,
        limit: u32,
        schema: &SchemaRef,
    ) -> Result<Page<i64>> {
        let catalog = context.connection().catalog();
        let partitions = catalog.partitions(None, after.unwrap_or(0), limit).await?;
        let next =
            (partitions.len() == limit as usize).then(|| partitions.last().map(|p| p.partition_id)).flatten();
        Ok(Page { rows: rows(&partitions, schema)?, next })
    }
}

fn rows(partitions: &[PartitionRecord], schema: &SchemaRef) -> Result<RecordBatch> {
    let texts = |f: fn(&PartitionRecord) -> Option<&String>| -> ArrayRef {
        Arc::new(partitions.iter().map(f).collect::<StringArray>())
    };
    let times = |f: fn(&PartitionRecord) -> Option<i64>| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from_iter(partitions.iter().map(f)).with_timezone("+00:00"))
    };
    let numbers = |f: fn(&PartitionRecord) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(partitions.iter().map(f)))
    };
    let streams = partitions.iter().map(|p| p.content.chain.as_ref().map(|c| c.stream_id.to_string()));
    let sections = |f: fn(&ChainSection) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter(partitions.iter().map(|p| p.content.chain.as_ref().map(f))))
    };
    // what clients of other platforms know as a hash is a number: events that it was made of
    let counts = partitions.iter().map(|p| p.content.object_count.to_le_bytes());
    let mut orders = ListBuilder::new(StringBuilder::new());
    for partition in partitions {
        partition.content.sort_order.iter().for_each(|name| orders.values().append_value(name));
        orders.append(!partition.content.sort_order.is_empty());
    }
    let columns: Vec<ArrayRef> = vec![
        texts(|p| Some(&p.content.view_set)),
        texts(|p| Some(&p.content.instance)),
        times(|p| Some(p.content.insert_begin)),
        times(|p| Some(p.content.insert_end)),
        times(|p| p.content.events.map(|e| e.0)),
        times(|p| p.content.events.map(|e| e.1)),
        times(|p| Some(p.updated)),
        texts(|p| p.content.file_key.as_ref()),
        numbers(|p| p.content.file_size),
        Arc::new(BinaryArray::from_iter_values(partitions.iter().map(|p| &p.content.schema_hash))),
        Arc::new(BinaryArray::from_iter_values(counts)),
        numbers(|p| p.content.row_count),
        Arc::new(Int32Array::from(vec![FORMAT_VERSION; partitions.len()])),
        Arc::new(orders.finish()),
        times(|_| None),
        numbers(|p| p.content.seqs.begin),
        numbers(|p| p.content.seqs.end),
        numbers(|p| p.content.block_count),
        numbers(|p| p.content.fault_count),
        numbers(|p| p.content.ignored_count),
        Arc::new(StringArray::from_iter(streams)),
        sections(|chain| chain.begin),
        sections(|chain| chain.end),
    ];
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
