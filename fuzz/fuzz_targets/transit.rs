//! Any two buffers under any types decode to rows or to an error, the same number for every projection.
#![no_main]

use arbitrary::Arbitrary;
use belvedere_fuzz::{ASSEMBLY, record, rows};
use belvedere_model::StreamParts;
use belvedere_model::transit::compress;
use belvedere_model::wire::{BlockRequest, MemberRecord, PayloadParts, TypeRecord};
use libfuzzer_sys::fuzz_target;

const NAMES: &[&str] = &[
    "StaticString",
    "StaticStringDependency",
    "PropertySetDependency",
    "Property",
    "StaticStringRef",
    "StringId",
    "LogMetadataRecord",
    "MetricMetadataDependency",
    "LogStaticStrEvent",
    "LogStringEvent",
    "LogStringEventV2",
    "LogStaticStrInteropEvent",
    "LogStringInteropEventV2",
    "LogStringInteropEventV3",
    "TaggedLogString",
    "TaggedLogInteropEvent",
    "TaggedLogTemplateEvent",
    "TaggedLogStaticStrEvent",
    "IntegerMetricEvent",
    "TaggedFloatMetricEvent",
    "TaggedIntegerMetricEvent",
    "SpanRecord",
    "SpanLocationRecord",
    "BeginThreadSpanEvent",
    "EndThreadSpanEvent",
    "TaggedEndThreadSpanEvent",
    "BeginThreadNamedSpanEvent",
    "EndThreadNamedSpanEvent",
    "BeginAsyncSpanEvent",
    "EndAsyncNamedSpanEvent",
    "NetConnectionBeginEvent",
    "NetConnectionEndEvent",
    "NetObjectBeginEvent",
    "NetObjectEndEvent",
    "NetPropertyEvent",
    "ImageEvent",
    "Other",
];
const MEMBERS: &[&str] = &[
    "id",
    "time",
    "desc",
    "name",
    "value",
    "unit",
    "target",
    "fmt_str",
    "level",
    "msg",
    "properties",
    "other",
    "file",
    "line",
    "thread_span_desc",
    "thread_span_location",
    "span_desc",
    "span_location",
    "span_id",
    "parent_span_id",
    "depth",
    "connection_name",
    "object_name",
    "property_name",
    "is_outgoing",
    "bit_size",
];
const TYPES: &[&str] = &["u8", "u32", "u64", "i64", "f64", "StringId", "StaticStringRef", "usize"];

#[derive(Debug, Arbitrary)]
struct Type {
    name: u8,
    size: u8,
    is_reference: bool,
    members: Vec<(u8, u8, u8, u8, bool)>,
}

#[derive(Debug, Arbitrary)]
struct Input {
    view_set: u8,
    frequency: i64,
    end_ticks: i64,
    dependency_types: Vec<Type>,
    object_types: Vec<Type>,
    dependencies: Vec<u8>,
    objects: Vec<u8>,
}

fn types(types: &[Type]) -> Vec<TypeRecord> {
    let pick = |from: &[&str], i: u8| from[usize::from(i) % from.len()].to_owned();
    types
        .iter()
        .map(|t| TypeRecord {
            name: pick(NAMES, t.name),
            size: t.size.into(),
            is_reference: t.is_reference,
            members: t
                .members
                .iter()
                .map(|(name, type_name, offset, size, is_reference)| MemberRecord {
                    name: pick(MEMBERS, *name),
                    type_name: pick(TYPES, *type_name),
                    offset: (*offset).into(),
                    size: (*size).into(),
                    is_reference: *is_reference,
                })
                .collect(),
        })
        .collect()
}

fuzz_target!(|input: Input| {
    const SETS: [(&str, &str); 6] = [
        ("log_entries", "log"),
        ("measures", "metrics"),
        ("thread_spans", "cpu"),
        ("async_events", "cpu"),
        ("net_spans", "net"),
        ("images", "image"),
    ];
    let (set, tag) = SETS[usize::from(input.view_set) % SETS.len()];
    let view_set = ASSEMBLY.view_sets().find(|s| s.name == set).expect("it is registered");
    let stream = StreamParts {
        dependencies_metadata: TypeRecord::encode_all(&types(&input.dependency_types)).into(),
        objects_metadata: TypeRecord::encode_all(&types(&input.object_types)).into(),
        tags: vec![tag.to_owned()],
        format: belvedere_model::TRANSIT_FORMAT.to_owned(),
        ..StreamParts::default()
    };
    let record = record(stream, input.frequency, input.end_ticks, i32::MAX);
    let parts = PayloadParts {
        dependencies: compress(&input.dependencies).into(),
        objects: compress(&input.objects).into(),
    };
    let block = BlockRequest::encode(record.info.clone(), &parts);
    rows(view_set, &record, &block.payload());
});
