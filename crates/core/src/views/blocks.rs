//! `blocks`: one row for each block whose stream and process are known.

use super::global_view_maker;
use crate::error::Result;
use crate::query::{Maker, Page, PagedSource, QueryContext};
use crate::scan::Conditions;
use arrow::array::{
    ArrayRef, BinaryArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StringBuilder, StringViewArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_lake::BlockFilter;
use belvedere_model::BlockRecord;
use belvedere_view::properties::to_list;
use belvedere_view::{Column, Instances, Role, Unit, ViewSet};
use std::sync::Arc;
use uuid::Uuid;

belvedere_view::register_view_set! {
    ViewSet::new("blocks")
        .about("Blocks: batches of consecutive events of one stream, with their stream and their process")
        .columns(&[
            Column::utf8("block_id", "id of the block, chosen by its sender").role(Role::Block),
            Column::utf8("stream_id", "stream that the block belongs to").role(Role::Stream),
            Column::utf8("process_id", "process that the block comes from").role(Role::Process),
            Column::time("begin_time", "beginning of the block, by the sender's wall clock").event_begin(),
            Column::int64("begin_ticks", "beginning of the block, in ticks since the start of the process"),
            Column::time("end_time", "end of the block, by the sender's wall clock").event_end(),
            Column::int64("end_ticks", "end of the block, in ticks since the start of the process"),
            Column::int32("nb_objects", "number of events in the block, as declared by its sender").unit(Unit::Count),
            Column::int64("object_offset", "number of events in the stream before this block, as declared by its \
                                            sender"),
            Column::int64("payload_size", "size of the encoded payload, in bytes").unit(Unit::Bytes),
            Column::time("insert_time", "when the server received the block"),
            Column::binary("streams.dependencies_metadata", "CBOR descriptions of the types in the dependencies"),
            Column::binary("streams.objects_metadata", "CBOR descriptions of the types in the objects"),
            Column::text_list("streams.tags", "kind of the stream: log, metrics, cpu, net, image, trace"),
            Column::property_list("streams.properties", "properties of the stream"),
            Column::time("processes.start_time", "start of the process"),
            Column::int64("processes.start_ticks", "tick count at the start of the process"),
            Column::int64("processes.tsc_frequency", "ticks per second; 0 if unknown").unit(Unit::Hertz),
            Column::utf8("processes.exe", "executable of the process"),
            Column::utf8("processes.username", "login name of the user who ran the process"),
            Column::utf8("processes.realname", "full name of the user who ran the process"),
            Column::utf8("processes.computer", "machine that the process ran on"),
            Column::utf8("processes.distro", "operating system of the machine"),
            Column::utf8("processes.cpu_brand", "CPU of the machine"),
            Column::time("streams.insert_time", "when the server received the stream"),
            Column::utf8("streams.format", "encoding of the payload: micromegas-transit for native clients"),
            Column::time("processes.insert_time", "when the server received the process"),
            Column::utf8("processes.parent_process_id", "parent process; empty if unknown").role(Role::Process),
            Column::property_list("processes.properties", "properties of the process"),
        ])
        .instances(Instances::Global)
        .made_by_maker()
        .example("SELECT stream_id, count(*) AS blocks, sum(payload_size) AS bytes \
                  FROM blocks GROUP BY stream_id ORDER BY bytes DESC")
}

crate::register_maker! {
    Maker::new("blocks", |context| Ok(global_view_maker(&context, Blocks)))
}

#[derive(Debug)]
struct Blocks;

#[async_trait]
impl PagedSource for Blocks {
    type Cursor = i64;
    const FOLLOWS_BLOCKS: bool = true;

    async fn page(
        &self,
        context: &QueryContext,
        conditions: &Conditions,
        after: Option<i64>,
        limit: u32,
        schema: &SchemaRef,
    ) -> Result<Page<i64>> {
        let filter = BlockFilter {
            block_ids: conditions.uuid("block_id").map(|id| vec![id]),
            stream_id: conditions.uuid("stream_id"),
            process_id: conditions.uuid("process_id"),
            inserted: conditions.times("insert_time"),
            bounds: context.range().intersect(conditions.times_of("begin_time", "end_time")),
            seqs: context.visible().await?,
            ..BlockFilter::default()
        };
        let blocks = context.connection().catalog().blocks(&filter, after.unwrap_or(0), limit).await?;
        let next = (blocks.len() == limit as usize).then(|| blocks.last().map(|b| b.seq)).flatten();
        Ok(Page { rows: rows(&blocks, schema)?, next })
    }
}

fn rows(blocks: &[BlockRecord], schema: &SchemaRef) -> Result<RecordBatch> {
    let texts = |f: &dyn Fn(&BlockRecord) -> String| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(blocks.iter().map(f)))
    };
    let times = |f: &dyn Fn(&BlockRecord) -> i64| times(blocks.iter().map(f));
    let int64s = |f: &dyn Fn(&BlockRecord) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(blocks.iter().map(f)))
    };
    let columns: Vec<ArrayRef> = vec![
        texts(&|b| b.info.block_id.to_string()),
        texts(&|b| b.info.stream_id.to_string()),
        texts(&|b| b.info.process_id.to_string()),
        times(&|b| b.info.begin_time),
        int64s(&|b| b.info.begin_ticks),
        times(&|b| b.info.end_time),
        int64s(&|b| b.info.end_ticks),
        Arc::new(Int32Array::from_iter_values(blocks.iter().map(|b| b.info.nb_objects))),
        int64s(&|b| b.info.object_offset),
        int64s(&|b| b.info.payload_size),
        times(&|b| b.info.insert_time),
        Arc::new(BinaryArray::from_iter_values(blocks.iter().map(|b| &b.stream.dependencies_metadata))),
        Arc::new(BinaryArray::from_iter_values(blocks.iter().map(|b| &b.stream.objects_metadata))),
        text_lists(blocks.iter().map(|b| b.stream.tags.as_slice())),
        to_list(blocks.iter().map(|b| b.stream.properties.as_slice())),
        times(&|b| b.process.start_time),
        int64s(&|b| b.process.start_ticks),
        int64s(&|b| b.process.tsc_frequency),
        texts(&|b| b.process.exe.clone()),
        texts(&|b| b.process.username.clone()),
        texts(&|b| b.process.realname.clone()),
        texts(&|b| b.process.computer.clone()),
        texts(&|b| b.process.distro.clone()),
        texts(&|b| b.process.cpu_brand.clone()),
        times(&|b| b.stream.insert_time),
        texts(&|b| b.stream.format.clone()),
        times(&|b| b.process.insert_time),
        texts(&|b| parent_text(b.process.parent_process_id)),
        to_list(blocks.iter().map(|b| b.process.properties.as_slice())),
    ];
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}

/// The id of a parent process as `processes` and `blocks` show it: empty for none, as clients expect.
pub(super) fn parent_text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

pub(super) fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(values).with_timezone("+00:00"))
}

pub(super) fn text_lists<'a>(rows: impl Iterator<Item = &'a [String]>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in rows {
        for text in row {
            builder.values().append_value(text);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}
