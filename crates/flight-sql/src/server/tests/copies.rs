//! Copies of other lakes.

use super::*;
use arrow_flight::sql::CommandStatementIngest;
use belvedere_core::arrow::array::{ArrayRef, BinaryArray, StringArray};
use belvedere_lake::access::{Identity, Rights};
use belvedere_model::jsonb::Jsonb;
use futures::StreamExt;

async fn copy(client: &mut Client, table: &str, batch: RecordBatch) -> Result<i64, FlightError> {
    let command = CommandStatementIngest {
        table_definition_options: None,
        table: table.to_owned(),
        schema: None,
        catalog: None,
        temporary: false,
        transaction_id: None,
        options: Default::default(),
    };
    client.execute_ingest(command, futures::stream::iter([Ok(batch)]).boxed()).await
}

/// The payloads of the program, as a table.
fn payloads() -> RecordBatch {
    let blocks: Vec<_> = program().blocks().collect();
    let ids = StringArray::from_iter_values(blocks.iter().map(|b| b.info.block_id.to_string()));
    let payloads = BinaryArray::from_iter_values(blocks.iter().map(|b| b.payload()));
    RecordBatch::try_from_iter([
        ("process_id", Arc::new(ids.clone()) as ArrayRef),
        ("stream_id", Arc::new(ids.clone())),
        ("block_id", Arc::new(ids)),
        ("payload", Arc::new(payloads)),
    ])
    .unwrap()
}

const BLOCKS: &str = "SELECT block_id, stream_id, process_id, begin_time, begin_ticks, end_time, end_ticks, \
                      nb_objects, object_offset, payload_size, insert_time FROM blocks ORDER BY object_offset";

#[tokio::test]
async fn a_copy_has_the_same_rows_whichever_half_of_a_block_came_first() {
    let (_lake, mut original) = talker().await;
    for halves in [["blocks", "payloads"], ["payloads", "blocks"]] {
        let lake = Lake::in_memory().await.unwrap();
        let mut replica = client_of(&lake, Some(Caller::anybody())).await;
        for table in ["processes", "streams"].iter().chain(&halves) {
            let rows = match *table {
                "payloads" => payloads(),
                "blocks" => ask(&mut original, BLOCKS).await.unwrap(),
                table => ask(&mut original, &format!("SELECT * FROM {table}")).await.unwrap(),
            };
            for _ in 0..2 {
                let count = rows.num_rows() as i64;
                assert_eq!(copy(&mut replica, table, rows.clone()).await.unwrap(), count);
            }
        }
        for sql in [
            "SELECT exe, property_get(properties, 'shift') AS shift, start_time FROM processes",
            "SELECT stream_id, tags, format FROM streams",
            "SELECT block_id, begin_time, end_time, nb_objects, payload_size FROM blocks ORDER BY begin_time",
        ] {
            let (expected, found) =
                (ask(&mut original, sql).await.unwrap(), ask(&mut replica, sql).await.unwrap());
            assert_eq!(expected, found, "{halves:?} {sql}");
        }
    }
}

#[tokio::test]
async fn properties_may_be_jsonb_objects() {
    let (_lake, mut original) = talker().await;
    let rows = ask(&mut original, "SELECT * FROM processes").await.unwrap();
    let jsonb: ArrayRef = Arc::new(BinaryArray::from_iter_values([Jsonb::encode_texts([("shift", "day")])]));
    let schema = rows.schema();
    let columns =
        schema.fields().iter().zip(rows.columns()).map(|(field, column)| match field.name().as_str() {
            "properties" => ("properties".to_owned(), jsonb.clone()),
            name => (name.to_owned(), column.clone()),
        });
    let rows = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap();
    let lake = Lake::in_memory().await.unwrap();
    let mut replica = client_of(&lake, Some(Caller::anybody())).await;
    copy(&mut replica, "processes", rows).await.unwrap();
    let found = ask(&mut replica, "SELECT property_get(properties, 'shift') AS shift FROM processes").await;
    assert_eq!(texts(&found.unwrap(), "shift"), ["day"]);
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_and_only_administrators_copy() {
    let (lake, mut client) = talker().await;
    let only_ids = payloads().project(&[2]).unwrap();
    let missing = status(copy(&mut client, "payloads", only_ids.clone()).await);
    assert_eq!(missing.code(), Code::InvalidArgument);
    assert!(missing.message().contains("Column 'payload' not found"), "{}", missing.message());
    assert_eq!(code(copy(&mut client, "measures", only_ids.clone()).await), Code::InvalidArgument);
    let rights: Rights = "read".parse().unwrap();
    let reader = Caller::new(Identity::Anybody, "reader", rights);
    let mut reader = client_of(&lake, Some(Arc::new(reader))).await;
    let refused = status(copy(&mut reader, "payloads", only_ids).await);
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().starts_with("bulk_ingest requires admin privileges"));
}
