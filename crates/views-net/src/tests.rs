//! Traffic that does not fit: what is lost costs itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails should stop")]

use crate::conformance::Types;
use belvedere_core::arrow::util::pretty::pretty_format_batches;
use belvedere_core::assembly::Assembly;
use belvedere_core::{Lake, LakeConfig};
use belvedere_lake::LakeOptions;
use belvedere_model::transit::{BlockWriter, EventWriter};
use belvedere_model::wire::BlockRequest;
use belvedere_model::{BlockInfo, ProcessInfo, StreamParts, TRANSIT_FORMAT};
use belvedere_testkit::conformance::rows_do_not_depend_on_partitions;
use uuid::Uuid;

/// Events by what they are and by their bits: what SQL shows of them.
async fn shown(events: &[(&str, u64)]) -> String {
    let mut writer = EventWriter::new();
    let types = Types::declare(&mut writer);
    let name = writer.text("thing");
    for (i, (event, bits)) in events.iter().enumerate() {
        let time = i * 10;
        match *event {
            "ConnectionBegin" => writer.event(types.connection[0], (time, name, 0)),
            "ConnectionEnd" => writer.event(types.connection[1], (time, *bits)),
            "ObjectBegin" => writer.event(types.object[0], (time, name)),
            "ObjectEnd" => writer.event(types.object[1], (time, *bits)),
            _ => writer.event(types.property, (time, name, *bits)),
        }
    }
    let writer: &BlockWriter = writer.as_ref();
    let (process_id, stream_id) = (Uuid::new_v4(), Uuid::new_v4());
    let process = ProcessInfo { process_id, tsc_frequency: 1_000_000_000, ..ProcessInfo::default() };
    let (dependencies_metadata, objects_metadata) = writer.metadata();
    let stream = StreamParts {
        stream_id,
        process_id,
        dependencies_metadata,
        objects_metadata,
        tags: vec!["net".to_owned()],
        format: TRANSIT_FORMAT.to_owned(),
        ..StreamParts::default()
    };
    let info = BlockInfo {
        block_id: Uuid::new_v4(),
        stream_id,
        process_id,
        end_time: 1000,
        end_ticks: 1000,
        nb_objects: writer.count(),
        ..BlockInfo::default()
    };
    let registrations = belvedere_core::registrations().into_iter().chain(crate::registrations());
    let assembly = Assembly::new(registrations).unwrap();
    let lake = Lake::assemble(&LakeOptions::in_memory(), assembly, LakeConfig::default()).await.unwrap();
    lake.connection().insert_process(process).await.unwrap();
    lake.connection().insert_stream(stream.into()).await.unwrap();
    lake.connection().insert_block(BlockRequest::encode(info, &writer.payload())).await.unwrap();
    let id = process_id.to_string();
    rows_do_not_depend_on_partitions(&lake, "net_spans", &id).await.unwrap();
    let sql = format!(
        "SELECT span_id, parent_span_id, depth, kind, begin_bits, end_bits FROM view_instance('net_spans', '{id}') \
         ORDER BY span_id"
    );
    let rows = pretty_format_batches(&lake.sql(&sql).await.unwrap()).unwrap().to_string();
    lake.close().await;
    let rows = rows.lines().skip(3).filter(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').map(str::trim).filter(|t| !t.is_empty()).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_follow_each_other_within_the_whole() {
    let events = [
        ("ConnectionBegin", 0),
        ("ObjectBegin", 0),
        ("Property", 8),
        ("ObjectEnd", 20),
        ("Property", 5),
        ("ConnectionEnd", 25),
    ];
    let rows = "0 -1 0 connection 0 25; 1 0 1 object 0 20; 2 1 2 property 0 8; 4 0 1 property 20 25";
    assert_eq!(shown(&events).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_end_costs_its_own_span_and_not_the_connections_after_it() {
    let events = [
        ("ConnectionBegin", 0),
        ("ObjectBegin", 0),
        ("Property", 8),
        // the object's end is lost
        ("ConnectionEnd", 20),
        ("ObjectEnd", 9),
        ("ConnectionBegin", 0),
        // this one's too
        ("ConnectionBegin", 0),
        ("Property", 3),
        ("ConnectionEnd", 3),
    ];
    let rows = "0 -1 0 connection 0 20; 2 1 2 property 0 8; 6 -1 0 connection 0 3; 7 6 1 property 0 3";
    assert_eq!(shown(&events).await, rows);
}
