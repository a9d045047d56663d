//! What is taken can be read: any message, however damaged, is refused when it comes or gives the rows that were
//! counted then.

use crate::accept::block_of;
use crate::json;
use crate::request::{Form, Part, parts};
use crate::signal::Signal;
use belvedere_lake::ingest::AnnouncedBlock;
use belvedere_model::BlockRecord;
use belvedere_view::arrow::array::RecordBatch;
use belvedere_view::decoder::{DecodeOptions, decode_block, parse_block};
use belvedere_view::{Decoder, Item, ParseBlock, Source, ViewSet};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

const TRACES: &str = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[{"scope":{"name":"s"},"spans":[
 {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173","name":"n","kind":2,
  "startTimeUnixNano":"5","endTimeUnixNano":"9","attributes":[{"key":"k","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"t"}]}}}],
  "events":[{"timeUnixNano":"6","name":"e","attributes":[{"key":"x","value":{"boolValue":true}}]}],
  "links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}],"status":{"code":2,"message":"m"}},
 {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b175","name":"n","startTimeUnixNano":"5","endTimeUnixNano":"4"}]}]}"#;
const LOGS: &str = r#"{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[
 {"timeUnixNano":"5","severityNumber":9,"severityText":"INFO","body":{"kvlistValue":{"values":[{"key":"k","value":{"doubleValue":0.5}}]}},
  "attributes":[{"key":"b","value":{"bytesValue":"AAE="}}],"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"},
 {"observedTimeUnixNano":"7","body":{"stringValue":"x"}},{"body":{"intValue":3}}]}]}"#;
const METRICS: &str = r#"{"scopeMetrics":[{"scope":{"name":"s"},"metrics":[
 {"name":"g","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"5","asInt":"7"},{"timeUnixNano":"6","asDouble":0.5}]}},
 {"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"5","startTimeUnixNano":"1","asInt":"7",
   "exemplars":[{"timeUnixNano":"4","asDouble":1,"spanId":"eee19b7ec3c1b174","traceId":"5b8efff798038103d269b633813fc60c"}]}]}},
 {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"5","count":"3","sum":4.5,"bucketCounts":["1","2"],"explicitBounds":[1]}]}},
 {"name":"e","exponentialHistogram":{"dataPoints":[{"timeUnixNano":"5","count":"3","scale":-1,"zeroCount":"1","positive":{"offset":-2,"bucketCounts":["1","1"]}}]}},
 {"name":"q","summary":{"dataPoints":[{"timeUnixNano":"5","count":"3","sum":4.5,"quantileValues":[{"quantile":0,"value":1},{"quantile":1,"value":2}]}]}}]}]}"#;

/// `log_entries` and `measures` belong to other crates: view sets with the columns that are filled here stand in.
fn decode(signal: Signal, part: &Part, wants_all: bool) -> usize {
    rows(signal, part, wants_all)[0].num_rows()
}

/// The rows of all view sets that take the signal.
pub(crate) fn rows(signal: Signal, part: &Part, wants_all: bool) -> Vec<RecordBatch> {
    let AnnouncedBlock { process, stream, block, .. } = block_of(signal, part);
    let record = BlockRecord {
        seq: 1,
        process,
        stream,
        info: block.info.clone(),
        object_key: String::new(),
        payload_offset: 0,
    };
    let payload = block.payload();
    let mut all = Vec::new();
    for set in view_sets(signal) {
        let Source::Blocks(source) = &set.source else { panic!("{} is not of blocks", set.name) };
        let Decoder::Block(decoder) = source.decoder else { panic!("{} is along streams", set.name) };
        let schema = set.engine_schema();
        let projection: Vec<usize> =
            if wants_all { (0..schema.fields().len()).collect() } else { Vec::new() };
        let projected = Arc::new(schema.project(&projection).unwrap());
        let options = DecodeOptions::default();
        let decoded = decode_block(set, decoder, &record, payload.clone(), &projection, projected, &options);
        all.push(decoded.unwrap().rows().clone());
    }
    if wants_all {
        let mut shown = 0;
        let mut count = |batch: RecordBatch| {
            shown += batch.num_rows();
            true
        };
        parse_block(parser(signal), &record, payload, &DecodeOptions::default(), &mut count).unwrap();
        assert!(shown >= all[0].num_rows(), "{shown} objects, {} rows", all[0].num_rows());
    }
    all
}

fn parser(signal: Signal) -> ParseBlock {
    let registration = match signal {
        Signal::Traces => &crate::objects::traces::REGISTRATION,
        Signal::Logs => &crate::objects::logs::REGISTRATION,
        Signal::Metrics => &crate::objects::metrics::REGISTRATION,
    };
    match &registration.item {
        Item::BlockParser(parser) => parser.parse,
        _ => panic!("no parser"),
    }
}

fn view_sets(signal: Signal) -> Vec<&'static ViewSet> {
    let registered = |registration: &'static belvedere_view::Registration| match &registration.item {
        Item::ViewSet(set) => set,
        _ => panic!("no view set"),
    };
    // stands in for the view set of another crate that gets the rows
    let stand_in = |registration: &'static belvedere_view::Registration| match &registration.item {
        Item::BlockSource(source) => {
            let set = ViewSet::new(source.view_set).columns(source.columns).blocks(source.source);
            &*Box::leak(Box::new(set))
        }
        _ => panic!("no block source"),
    };
    match signal {
        Signal::Traces => vec![registered(&crate::otel_spans::REGISTRATION)],
        Signal::Logs => vec![stand_in(&crate::log_entries::REGISTRATION)],
        Signal::Metrics => {
            vec![registered(&crate::otel_metrics::REGISTRATION), stand_in(&crate::measures::REGISTRATION)]
        }
    }
}

/// A request in protobuf with one resource.
fn request(signal: Signal) -> Vec<u8> {
    let json = match signal {
        Signal::Traces => TRACES,
        Signal::Logs => LOGS,
        Signal::Metrics => METRICS,
    };
    let mut body = Vec::new();
    crate::proto::put_bytes(&mut body, 1, &json::to_message(signal.of_resource(), json).unwrap());
    body
}

#[test]
fn both_forms_give_the_same_rows() {
    for (signal, json, rows) in
        [(Signal::Traces, TRACES, 2), (Signal::Logs, LOGS, 3), (Signal::Metrics, METRICS, 6)]
    {
        let body = format!("{{\"{}\":[{json}]}}", signal.request().fields[0].name);
        let in_json = parts(signal, Form::Json, &Bytes::from(body)).unwrap().parts;
        let in_protobuf = parts(signal, Form::Protobuf, &Bytes::from(request(signal))).unwrap().parts;
        assert_eq!(in_json[0].summary, in_protobuf[0].summary);
        assert_eq!(in_json[0].as_sent.as_deref(), Some(json.as_bytes()));
        for part in [&in_json[0], &in_protobuf[0]] {
            assert_eq!((decode(signal, part, true), decode(signal, part, false)), (rows, rows));
        }
    }
}

proptest! {
    #[test]
    fn what_is_taken_can_be_read_whatever_is_wrong_with_it(
        signal in prop::sample::select(&Signal::ALL[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut body = request(signal);
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if is_cut {
            body.truncate(cut.index(body.len()));
        }
        for part in parts(signal, Form::Protobuf, &body.into()).unwrap_or_default().parts {
            let (all, none) = (decode(signal, &part, true), decode(signal, &part, false));
            prop_assert_eq!(all, none);
            // a summary counts four times
            if signal != Signal::Metrics {
                prop_assert_eq!(all as u64, part.summary.records - part.summary.dropped.records());
            }
        }
    }
}
