//! Single blocks and single partitions, over a third party's blocks made by hand.

use crate::Lake;
use crate::fixture::{block, insert, lake, number, process};
use crate::partitions::Retention;
use crate::query::QueryError;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use belvedere_model::BlockInfo;
use belvedere_model::time::{SECOND, TimeRange, to_rfc3339};
use belvedere_model::wire::{BlockRequest, PayloadParts};
use futures::TryStreamExt;
use uuid::Uuid;

/// A lake with one block of two ticks.
async fn lake_of_ticks() -> (Lake, BlockRequest) {
    let lake = lake().await;
    let id = Uuid::new_v4();
    let (stream, request) = block(id, Uuid::new_v4(), &[(0, 5), (1_000, -6)], 1_000);
    insert(&lake, process(id, 1_000), (stream, request.clone())).await;
    (lake, request)
}

async fn columns(lake: &Lake, sql: &str) -> Vec<ArrayRef> {
    let batches = lake.sql(sql).await.unwrap();
    let filled: Vec<_> = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
    assert_eq!(filled.len(), 1, "{sql}");
    filled[0].columns().to_vec()
}

async fn error(lake: &Lake, sql: &str) -> String {
    lake.sql(sql).await.unwrap_err().to_string()
}

async fn said(lake: &Lake, sql: &str) -> String {
    columns(lake, sql).await[0].as_string::<i32>().value(0).to_owned()
}

#[tokio::test]
async fn the_objects_of_a_block_are_shown_with_all_their_members() {
    let (lake, request) = lake_of_ticks().await;
    let sql = format!("SELECT * FROM parse_block('{}') ORDER BY object_index", request.info.block_id);
    let found = columns(&lake, &sql).await;
    assert_eq!(found[0].as_primitive::<Int64Type>().values(), &[0, 1]);
    assert!(found[1].as_string::<i32>().iter().all(|name| name == Some("Tick")));
    let json =
        |row| belvedere_model::jsonb::Jsonb::new(found[2].as_binary::<i32>().value(row)).unwrap().to_string();
    assert_eq!(json(0), r#"{"__type":"Tick","number":5,"time":77}"#);
    assert_eq!(json(1), r#"{"__type":"Tick","number":-6,"time":1077}"#);
    let count = format!("SELECT count(*) FROM parse_block('{}')", request.info.block_id);
    assert_eq!(number(&lake, &count, TimeRange::ALL).await, 2);
}

#[tokio::test]
async fn a_block_outside_of_the_range_is_not_found_and_the_error_says_so() {
    let (lake, request) = lake_of_ticks().await;
    let id = request.info.block_id;
    let sql = format!("SELECT count(*) FROM parse_block('{id}')");
    let range = TimeRange { begin: Some(2_000 * SECOND), end: Some(3_000 * SECOND) };
    let text = match lake.query(&sql, range).await {
        Ok(answer) => answer.rows.try_collect::<Vec<_>>().await.unwrap_err().to_string(),
        Err(e) => e.to_string(),
    };
    assert!(
        text.contains(&format!("parse_block: block '{id}' not found in `blocks` for the queried range [")),
        "{text}"
    );
    assert!(text.contains("widen the range to include it"), "{text}");
    let other = Uuid::new_v4();
    let text = error(&lake, &format!("SELECT * FROM parse_block('{other}')")).await;
    assert!(text.contains(&format!("block '{other}' not found in `blocks`")), "{text}");
    assert!(!text.contains("range"), "{text}");
    let text = error(&lake, "SELECT * FROM parse_block('7')").await;
    assert!(text.contains("'7' is not a valid block id"), "{text}");
}

#[tokio::test]
async fn a_payload_is_what_was_sent() {
    let (lake, request) = lake_of_ticks().await;
    let sql = "SELECT get_payload(process_id, stream_id, block_id) FROM blocks";
    let found = columns(&lake, sql).await;
    assert_eq!(found[0].as_binary::<i32>().value(0), &request.payload()[..]);
    let found = columns(&lake, "SELECT get_payload(process_id, NULL, block_id) FROM blocks").await;
    assert!(found[0].is_null(0));
    let found = columns(
        &lake,
        "SELECT get_payload(arrow_cast(process_id, 'Dictionary(Int32, Utf8)'), stream_id, block_id) FROM blocks",
    )
    .await;
    assert!(!found[0].is_null(0));

    let (process_id, block_id) = (request.info.process_id, request.info.block_id);
    let missing = Uuid::new_v4();
    let text = error(&lake, &format!("SELECT get_payload('{process_id}', '{missing}', '{block_id}')")).await;
    for id in [process_id, missing, block_id] {
        assert!(text.contains(&id.to_string()), "{text}");
    }
    let text = error(&lake, &format!("SELECT get_payload('x', '{missing}', '{block_id}')")).await;
    assert!(text.contains("'x' is not a valid process id"), "{text}");
    let text = error(&lake, &format!("SELECT get_payload(1, '{missing}', '{block_id}')")).await;
    assert!(text.contains("the process id must be a string"), "{text}");
}

#[tokio::test]
async fn a_partition_is_retired_by_its_file_or_by_its_times() {
    let (lake, _) = lake_of_ticks().await;
    let partitions = "SELECT count(*) FROM list_partitions() WHERE view_set_name = 'ticks'";
    let of_ticks = "FROM list_partitions() WHERE view_set_name = 'ticks' AND view_instance_id = 'global'";
    for sql in [
        format!("SELECT retire_partition_by_file(file_path) {of_ticks}"),
        format!(
            "SELECT retire_partition_by_metadata(view_set_name, view_instance_id, begin_insert_time, end_insert_time) \
             {of_ticks}"
        ),
    ] {
        lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        assert_eq!(number(&lake, partitions, TimeRange::ALL).await, 1);
        let text = said(&lake, &sql).await;
        assert!(text.starts_with("SUCCESS: Retired partition "), "{text}");
        assert_eq!(number(&lake, partitions, TimeRange::ALL).await, 0);
        assert_eq!(number(&lake, "SELECT count(*) FROM ticks", TimeRange::ALL).await, 2);
    }
    assert_eq!(
        said(&lake, "SELECT retire_partition_by_file('a/b')").await,
        "ERROR: Partition not found: a/b"
    );
    let text = said(
        &lake,
        "SELECT retire_partition_by_metadata('ticks', 'global', '2020-01-01T00:00:00Z', TIMESTAMP '2020-01-02')",
    )
    .await;
    assert!(text.starts_with("ERROR: Partition not found: ticks/global [2020-01-01T00:00:00"), "{text}");
    let found = columns(&lake, "SELECT retire_partition_by_file(NULL)").await;
    assert!(found[0].is_null(0));
    let text = error(&lake, "SELECT retire_partition_by_metadata('ticks', 'global', 1, 2)").await;
    assert!(text.contains("argument 3 must be an RFC 3339 string or a timestamp in UTC"), "{text}");
}

#[tokio::test]
async fn regenerated_are_partitions_that_end_before_the_range_does() {
    let (lake, _) = lake_of_ticks().await;
    lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
    let of_ticks = "FROM list_partitions() WHERE view_set_name = 'ticks' AND view_instance_id = 'global'";
    let last = format!("SELECT CAST(end_insert_time AS BIGINT) {of_ticks}");
    let last = number(&lake, &last, TimeRange::ALL).await;
    let file = format!("SELECT file_path {of_ticks}");
    let before = said(&lake, &file).await;
    for (end, is_regenerated) in [(last, false), (last + 1, true)] {
        let (begin, end) = (to_rfc3339(end - SECOND), to_rfc3339(end));
        let again = format!("SELECT * FROM regenerate_partitions('ticks', '{begin}', '{end}', 1)");
        lake.sql(&again).await.unwrap();
        assert_eq!(said(&lake, &file).await != before, is_regenerated, "{end}");
    }
}

#[tokio::test]
async fn partitions_that_another_worker_makes_are_not_made_or_thrown_away_and_it_is_said_who_and_until_when()
{
    let (lake, _) = lake_of_ticks().await;
    let catalog = lake.connection().catalog();
    let range = "'ticks', '2020-01-01T00:00:00Z', '2100-01-01T00:00:00Z', 2524608000";
    let instance = lake.context(TimeRange::ALL).factory().make_view("ticks", "global").unwrap();
    let job = format!("partitions of {}", instance.instance().unwrap().name());
    let other = Uuid::new_v4();
    for (function, partitions) in [("materialize_partitions", 0), ("regenerate_partitions", 1)] {
        assert!(catalog.claim(&job, other, "process 7 on a host", 20 * SECOND).await.unwrap());
        let until = to_rfc3339(catalog.lease_of(&job).await.unwrap().unwrap().1);
        let error = lake.sql(&format!("SELECT * FROM {function}({range})")).await.unwrap_err();
        assert!(matches!(&error, QueryError::Busy(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("process 7 on a host") && text.contains(&until), "{text}");
        let count = lake.sql("SELECT count(*) FROM list_partitions()").await.unwrap();
        assert_eq!(count[0].column(0).as_primitive::<Int64Type>().value(0), partitions);
        catalog.release(&job, other).await.unwrap();
        lake.sql(&format!("SELECT * FROM {function}({range})")).await.unwrap();
    }
}

#[tokio::test]
async fn process_clock_shows_since_when_the_wall_clock_and_the_ticks_disagree_and_times_follow_the_block() {
    const NIGHT: i64 = 8 * 3600 * SECOND;
    for frequency in [0, 1_000] {
        let lake = lake().await;
        let (id, stream) = (Uuid::new_v4(), Uuid::new_v4());
        // minutes of ticks; the machine sleeps in the third one
        for minute in 0..4 {
            let (first, last) = (minute * 60_000, (minute + 1) * 60_000);
            let ticks = [(first, minute), (first + 59_000, minute), (last, minute)];
            let (stream, request) = block(id, stream, &ticks, 1_000);
            let mut info = request.info.clone();
            info.begin_time += if minute > 2 { NIGHT } else { 0 };
            info.end_time += if minute > 1 { NIGHT } else { 0 };
            info.object_offset = minute * 3;
            let payload = request.payload();
            let request = BlockRequest::encode(info, &PayloadParts::split(&payload).unwrap());
            insert(&lake, process(id, frequency), (stream, request)).await;
        }
        let sql = format!("SELECT blocks, \"offset\", jump, is_of_block FROM process_clock('{id}')");
        let found = columns(&lake, &sql).await;
        let numbers = |i: usize| found[i].as_primitive::<Int64Type>().values().to_vec();
        assert_eq!((numbers(0), numbers(1)), (vec![2, 2], vec![0, NIGHT]), "{frequency}");
        assert!(found[2].is_null(0) && numbers(2)[1] == NIGHT, "{frequency}");
        assert!(!found[3].as_boolean().value(0) && found[3].as_boolean().value(1));
        // a minute before the end of each block, and at its end, by the wall clock
        let slept = "SELECT count(*) FROM ticks WHERE time >= '1970-01-01T08:00:00Z'";
        let last = "SELECT CAST(max(time) AS BIGINT) FROM ticks";
        for is_materialized in [false, true] {
            if is_materialized {
                lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
            }
            assert_eq!(number(&lake, slept, TimeRange::ALL).await, 6, "{frequency} {is_materialized}");
            assert_eq!(number(&lake, last, TimeRange::ALL).await, (1_000 + 240) * SECOND + NIGHT);
        }
    }
}

#[tokio::test]
async fn events_far_outside_of_what_their_block_announces_are_found_by_their_times_from_blocks_and_partitions()
 {
    let lake = lake().await;
    let id = Uuid::new_v4();
    let (stream, request) =
        block(id, Uuid::new_v4(), &[(0, 1), (1_000, 2), (3_600_000, 3), (-9_000_000, 4)], 1_000);
    let info = BlockInfo {
        begin_ticks: 0,
        end_ticks: 1_000,
        begin_time: 1_000 * SECOND,
        end_time: 1_001 * SECOND,
        ..request.info.clone()
    };
    let payload = request.payload();
    let request = BlockRequest::encode(info, &PayloadParts::split(&payload).unwrap());
    insert(&lake, process(id, 1_000), (stream, request)).await;
    for is_materialized in [false, true] {
        if is_materialized {
            lake.maintain_once(&Retention::default(), &|_| ()).await.unwrap();
        }
        let times = columns(&lake, "SELECT CAST(time AS BIGINT) FROM ticks ORDER BY number").await;
        let times = times[0].as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(times, [1_000, 1_001, 1_002, 999].map(|second| second * SECOND), "{is_materialized}");
        for time in times {
            let range = TimeRange { begin: Some(time), end: Some(time) };
            assert_eq!(number(&lake, "SELECT count(*) FROM ticks", range).await, 1, "{is_materialized}");
        }
    }
}

#[tokio::test]
async fn columns_say_their_unit_and_role_in_lists_and_in_the_fields_of_answers() {
    let (lake, _) = lake_of_ticks().await;
    let known = columns(
        &lake,
        "SELECT event_time, unit, role FROM list_columns() WHERE view_set_name = 'blocks' AND column_name IN \
         ('begin_time', 'payload_size', 'process_id', 'begin_ticks') ORDER BY column_name",
    )
    .await;
    let texts = |i: usize| known[i].as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(texts(0), [None, Some("begin"), None, None]);
    assert_eq!(texts(1), [None, None, Some("bytes"), None]);
    assert_eq!(texts(2), [None, None, None, Some("process")]);
    let rows = lake
        .sql("SELECT payload_size AS size, process_id, payload_size + 1 AS more FROM blocks LIMIT 1")
        .await
        .unwrap();
    let schema = rows[0].schema();
    let metadata = |i: usize, key: &str| schema.field(i).metadata().get(key).cloned();
    assert_eq!(metadata(0, belvedere_view::UNIT).as_deref(), Some("bytes"));
    assert_eq!(metadata(1, belvedere_view::ROLE).as_deref(), Some("process"));
    assert_eq!(metadata(2, belvedere_view::UNIT), None);
}

#[tokio::test]
async fn functions_are_listed_with_what_is_documented_of_them() {
    let lake = lake().await;
    let sql = "SELECT kind, signature, needs, crate_name, description FROM list_functions() \
               WHERE function_name = 'retire_partitions'";
    let found = columns(&lake, sql).await;
    let text = |i: usize| found[i].as_string::<i32>().value(0).to_owned();
    assert_eq!([text(0), text(2)], ["table", "admin"]);
    assert_eq!(text(1), "retire_partitions('view set', 'instance', begin, end)");
    assert_eq!(text(3), env!("CARGO_PKG_NAME"));
    assert!(text(4).starts_with("Table: removes the partitions"));
    let all = "SELECT count(*) FROM list_functions() WHERE kind NOT IN ('scalar', 'aggregate', 'table')";
    assert_eq!(number(&lake, all, TimeRange::ALL).await, 0);
}
