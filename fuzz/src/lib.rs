//! What targets share: blocks with anything in them, and their rows by every decoder that takes them.

use belvedere_core::assembly::Assembly;
use belvedere_model::transit::compress;
use belvedere_model::wire::{BlockRequest, PayloadParts};
use belvedere_model::{BlockInfo, BlockRecord, ProcessInfo, StreamParts};
use belvedere_view::decoder::{
    DecodeError, DecodeOptions, StreamDecoder, StreamTarget, decode_block, parse_block,
};
use belvedere_view::{BlockSource, Decoder, ViewSet};
use bytes::Bytes;
use std::sync::{Arc, LazyLock};

/// Every crate of the default binary.
pub static ASSEMBLY: LazyLock<Assembly> = LazyLock::new(|| {
    let crates = [
        belvedere_core::registrations(),
        belvedere_lake::registrations(),
        belvedere_functions::registrations(),
        belvedere_views_images::registrations(),
        belvedere_views_log::registrations(),
        belvedere_views_metrics::registrations(),
        belvedere_views_net::registrations(),
        belvedere_views_otel::registrations(),
        belvedere_views_spans::registrations(),
    ];
    Assembly::new(crates.concat()).expect("our own crates fit together")
});

/// A block of one stream, as the catalog would hand it to a decoder.
pub fn record(stream: StreamParts, tsc_frequency: i64, end_ticks: i64, nb_objects: i32) -> BlockRecord {
    let process = ProcessInfo { tsc_frequency, ..ProcessInfo::default() };
    let info = BlockInfo { end_time: 1_000_000_000, end_ticks, nb_objects, ..BlockInfo::default() };
    BlockRecord {
        seq: 1,
        info,
        stream: Arc::new(stream.into()),
        process: Arc::new(process),
        object_key: String::new(),
        payload_offset: 0,
    }
}

/// The same rows come out whether all columns are wanted or none. How many, or the error.
pub fn rows(
    view_set: &'static ViewSet,
    record: &BlockRecord,
    payload: &Bytes,
) -> Option<Result<usize, DecodeError>> {
    let all: Vec<usize> = (0..view_set.columns.len()).collect();
    let rows = rows_of(view_set, record, payload, &all)?;
    assert_eq!(Some(&rows), rows_of(view_set, record, payload, &[]).as_ref());
    Some(rows)
}

/// Rows by every view set that takes such blocks, and the block's objects as people see them.
pub fn look_at(record: &BlockRecord, payload: &Bytes) {
    for view_set in ASSEMBLY.view_sets() {
        rows(view_set, record, payload);
    }
    if let Some(parse) = ASSEMBLY.parser(&record.stream.format) {
        let _ = parse_block(parse, record, payload.clone(), &options(), &mut |_| true);
    }
}

fn options() -> DecodeOptions {
    DecodeOptions::new(ASSEMBLY.layouts()).with_block_bytes(1 << 20)
}

fn rows_of(
    view_set: &'static ViewSet,
    record: &BlockRecord,
    payload: &Bytes,
    projection: &[usize],
) -> Option<Result<usize, DecodeError>> {
    let schema = Arc::new(view_set.engine_schema().project(projection).expect("columns exist"));
    let sources = ASSEMBLY.sources(view_set.name);
    let source = BlockSource::for_stream(&sources, &record.stream)?;
    Some(match source.decoder {
        Decoder::Block(decoder) => {
            decode_block(view_set, decoder, record, payload.clone(), projection, schema, &options())
                .map(|decoded| decoded.rows().num_rows())
        }
        Decoder::Stateful(_) => {
            let projection = projection.to_vec();
            let target = StreamTarget::new(view_set, sources.into(), projection, schema, options());
            let mut decoder = StreamDecoder::new(target, record.process.clone(), record.stream.clone(), None)
                .expect("there is no state to read")
                .expect("such blocks have a decoder");
            // the same block over and over: what it leaves open meets what it ends
            let mut rows = 0;
            for _ in 0..3 {
                let (decoded, error) = decoder.step(record, Ok(payload.clone()));
                rows += decoded.iter().map(|d| d.rows().num_rows()).sum::<usize>();
                if let Some(error) = error {
                    return Some(Err(error));
                }
            }
            decoder.open().map(|open| rows + open.num_rows())
        }
    })
}

/// A body of OTLP: what is taken of it can be stored, and decoded from there.
pub fn otlp(is_json: bool, body: &[u8]) {
    for part in belvedere_views_otel::fuzzed::request(is_json, &Bytes::copy_from_slice(body)) {
        let stream = StreamParts {
            tags: vec![part.tag.to_owned()],
            format: part.format.to_owned(),
            ..StreamParts::default()
        };
        let record = record(stream, 1_000_000_000, 0, part.records.try_into().unwrap_or(i32::MAX));
        let parts =
            PayloadParts { dependencies: compress(&[]).into(), objects: compress(&part.objects).into() };
        let block = BlockRequest::encode(record.info.clone(), &parts);
        look_at(&record, &block.payload());
    }
}
