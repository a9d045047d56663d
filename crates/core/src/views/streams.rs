//! `streams`: one row for each stream that was announced.

use super::blocks::{text_lists, times};
use super::global_view_maker;
use crate::error::Result;
use crate::query::{Maker, Page, PagedSource, QueryContext};
use crate::scan::Conditions;
use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringViewArray, TimestampNanosecondArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use belvedere_lake::StreamFilter;
use belvedere_model::StreamInfo;
use belvedere_view::properties::to_list;
use belvedere_view::{Column, Instances, Role, ViewSet};
use std::sync::Arc;
use uuid::Uuid;

belvedere_view::register_view_set! {
    ViewSet::new("streams")
        .about("Streams: ordered flows of events out of a process")
        .columns(&[
            Column::utf8("stream_id", "id of the stream, chosen by its process").role(Role::Stream),
            Column::utf8("process_id", "process that the stream comes from").role(Role::Process),
            Column::binary("dependencies_metadata", "CBOR descriptions of the types in the dependencies"),
            Column::binary("objects_metadata", "CBOR descriptions of the types in the objects"),
            Column::text_list("tags", "kind of the stream: log, metrics, cpu, net, image, trace"),
            Column::property_list("properties", "properties of the stream; for cpu streams, the name and id of the \
                                                 thread"),
            Column::time("insert_time", "when the server received it"),
            Column::utf8("format", "encoding of payloads: micromegas-transit for native clients"),
            Column::time("last_update_time", "when the server received the latest block; NULL without blocks")
                .nullable(),
        ])
        .instances(Instances::Global)
        .depends_on(&["blocks"])
        .made_by_maker()
        .example("SELECT stream_id, property_get(properties, 'thread-name') AS thread \
                  FROM streams WHERE format = 'micromegas-transit'")
}

crate::register_maker! {
    Maker::new("streams", |context| Ok(global_view_maker(&context, Streams)))
}

#[derive(Debug)]
struct Streams;

#[async_trait]
impl PagedSource for Streams {
    type Cursor = Uuid;

    async fn page(
        &self,
        context: &QueryContext,
        conditions: &Conditions,
        after: Option<Uuid>,
        limit: u32,
        schema: &SchemaRef,
    ) -> Result<Page<Uuid>> {
        let filter = StreamFilter {
            stream_id: conditions.uuid("stream_id"),
            process_id: conditions.uuid("process_id"),
            active: context.range(),
        };
        let streams = context.connection().catalog().streams(&filter, after, limit).await?;
        let next =
            (streams.len() == limit as usize).then(|| streams.last().map(|(s, _)| s.stream_id)).flatten();
        Ok(Page { rows: rows(&streams, schema)?, next })
    }
}

fn rows(streams: &[(StreamInfo, Option<i64>)], schema: &SchemaRef) -> Result<RecordBatch> {
    let texts = |f: &dyn Fn(&StreamInfo) -> String| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(streams.iter().map(|(s, _)| f(s))))
    };
    let last_update_time = TimestampNanosecondArray::from_iter(streams.iter().map(|(_, t)| *t));
    let columns: Vec<ArrayRef> = vec![
        texts(&|s| s.stream_id.to_string()),
        texts(&|s| s.process_id.to_string()),
        Arc::new(BinaryArray::from_iter_values(streams.iter().map(|(s, _)| &s.dependencies_metadata))),
        Arc::new(BinaryArray::from_iter_values(streams.iter().map(|(s, _)| &s.objects_metadata))),
        text_lists(streams.iter().map(|(s, _)| s.tags.as_slice())),
        to_list(streams.iter().map(|(s, _)| s.properties.as_slice())),
        times(streams.iter().map(|(s, _)| s.insert_time)),
        texts(&|s| s.format.clone()),
        Arc::new(last_update_time.with_timezone("+00:00")),
    ];
    Ok(RecordBatch::try_new(schema.clone(), columns)?)
}
