//! Bytes that no honest client sends.

use super::super::decoder::Decoder;
use super::super::fuzzing;
use super::super::ticket::{MAGIC, Statement};
use super::*;
use arrow_flight::FlightData;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_flight::sql::{
    CommandPreparedStatementQuery, DoPutPreparedStatementResult, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{FlightDescriptor, PutResult};
use belvedere_core::arrow::array::{
    ArrayRef, DictionaryArray, Int64Array, NullArray, StringArray, StringViewArray,
};
use belvedere_core::arrow::datatypes::{Field, Int32Type};
use belvedere_core::arrow::ipc::CompressionType;
use belvedere_core::arrow::ipc::writer::IpcWriteOptions;
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use std::sync::LazyLock;

/// Rows of every shape that a message can have: fixed and variable widths, views, dictionaries, lists, NULLs.
fn batch() -> RecordBatch {
    let words = ["a", "bb", "a", "a longer one than a view holds"];
    let dictionary: DictionaryArray<Int32Type> = words.into_iter().collect();
    let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let texts: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
    let lists = cast(&texts, &list).unwrap();
    RecordBatch::try_from_iter([
        ("block_id", texts),
        ("payload", Arc::new(StringViewArray::from(words.to_vec())) as ArrayRef),
        ("number", Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)]))),
        ("dictionary", Arc::new(dictionary)),
        ("nothing", Arc::new(NullArray::new(4))),
        ("tags", lists),
    ])
    .unwrap()
}

fn encoded(batch: RecordBatch, compression: Option<CompressionType>) -> Vec<FlightData> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(batch.schema())
        .with_options(options)
        .with_max_flight_data_size(usize::MAX)
        .with_dictionary_handling(DictionaryHandling::Resend)
        .build(futures::stream::iter([Ok(batch)]));
    futures::executor::block_on(messages.try_collect()).unwrap()
}

/// The same rows as they are, and in both ways to compress them.
static MESSAGES: LazyLock<[Vec<FlightData>; 3]> = LazyLock::new(|| {
    [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)].map(|way| encoded(batch(), way))
});

fn decode(messages: &[FlightData]) -> usize {
    fuzzing::put(messages.iter().map(|data| (data.data_header.clone(), data.data_body.clone())))
}

fn changed(bytes: &Bytes, at: usize, change: impl Fn(u8) -> u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] = change(bytes[at]);
    bytes.into()
}

#[test]
fn what_is_not_changed_is_read() {
    for messages in MESSAGES.iter() {
        assert_eq!(decode(messages), 4);
    }
}

#[test]
fn no_byte_of_a_message_that_is_changed_stops_the_process() {
    let changes: [fn(u8) -> u8; 3] = [|byte| byte ^ 0x80, |byte| byte.wrapping_add(1), |_| 0xff];
    for (way, messages) in MESSAGES.iter().enumerate() {
        // schemas are the same in all of them
        for i in if way == 0 { 0 } else { 1 }..messages.len() {
            for change in changes {
                let (header, body) = (&messages[i].data_header, &messages[i].data_body);
                for at in 0..header.len() {
                    let mut messages = messages.clone();
                    messages[i].data_header = changed(header, at, change);
                    decode(&messages);
                }
                for at in 0..body.len() {
                    let mut messages = messages.clone();
                    messages[i].data_body = changed(body, at, change);
                    decode(&messages);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn no_changes_to_messages_stop_the_process(
        way in 0..3_usize,
        changes in prop::collection::vec((any::<[prop::sample::Index; 2]>(), any::<u8>(), any::<bool>()), 1..12),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut messages = MESSAGES[way].clone();
        for ([i, at], byte, is_header) in changes {
            let data = i.index(messages.len());
            let data = &mut messages[data];
            let bytes = if is_header { &mut data.data_header } else { &mut data.data_body };
            if !bytes.is_empty() {
                *bytes = changed(bytes, at.index(bytes.len()), |_| byte);
            }
        }
        if let Some(cut) = cut {
            let last = messages.len() - 1;
            let body = &mut messages[last].data_body;
            body.truncate(cut.index(body.len()));
        }
        decode(&messages);
    }

    #[test]
    fn any_bytes_are_a_handle_or_an_error(
        bytes in any::<Vec<u8>>(),
        parameters in any::<Vec<u8>>(),
    ) {
        fuzzing::ticket(&bytes);
        fuzzing::ticket(&[MAGIC, &bytes].concat());
        let statement = Statement { parameters: parameters.into(), ..Statement::new("SELECT $1") };
        fuzzing::ticket(&statement.to_handle());
    }
}

fn refused(messages: &[FlightData], most: u64) -> Status {
    let mut decoder = Decoder::new(most);
    messages.iter().find_map(|data| decoder.decode(data).err()).expect("an error")
}

#[test]
fn a_message_that_says_too_much_of_itself_is_refused() {
    // the size of a compressed buffer is before it; each is said to be larger than any can be
    for messages in &MESSAGES[1..] {
        let mut messages = messages.clone();
        let last = messages.len() - 1;
        messages[last].data_body = {
            let body = &messages[last].data_body;
            let mut bytes = body.to_vec();
            for chunk in bytes.chunks_exact_mut(8) {
                chunk.copy_from_slice(&(1_i64 << 60).to_le_bytes());
            }
            bytes.into()
        };
        let refused = refused(&messages, 1 << 20);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("is said to have"), "{}", refused.message());
    }
    let mut short = MESSAGES[0].clone();
    let last = short.len() - 1;
    short[last].data_body.truncate(8);
    assert!(refused(&short, 1 << 20).message().contains("but the body has"));
    assert!(refused(&MESSAGES[0], 100).message().contains("send fewer rows"));
}

#[test]
fn a_little_that_is_a_lot_is_refused() {
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 1 << 20]));
    let zeros = RecordBatch::try_from_iter([("zeros", zeros)]).unwrap();
    let nothing: ArrayRef = Arc::new(NullArray::new(1 << 25));
    let nothing = RecordBatch::try_from_iter_with_nullable([("nothing", nothing, true)]).unwrap();
    let long = "x".repeat(1 << 16);
    let dictionary: DictionaryArray<Int32Type> = std::iter::repeat_n(long.as_str(), 1 << 12).collect();
    let dictionary = RecordBatch::try_from_iter([("d", Arc::new(dictionary) as ArrayRef)]).unwrap();
    for (batch, way) in [
        (zeros.clone(), Some(CompressionType::LZ4_FRAME)),
        (zeros, Some(CompressionType::ZSTD)),
        (nothing, None),
        (dictionary, None),
    ] {
        let messages = encoded(batch, way);
        assert!(messages.iter().all(|data| data.data_body.len() < 1 << 20));
        assert_eq!(refused(&messages, 4 << 20).code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_handle_with_broken_parameters_is_refused_and_the_server_goes_on() {
    let (_lake, mut client) = talker().await;
    for parameters in [vec![0xff; 40], vec![0; 7], b"\xff\xff\xff\xff\x10\0\0\0ARROW1".to_vec()] {
        let statement = Statement { parameters: parameters.into(), ..Statement::new("SELECT $1") };
        let ticket = TicketStatementQuery { statement_handle: statement.to_handle() };
        let refused = status(fetch_ticket(&mut client, ticket.as_any().encode_to_vec()).await);
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("parameters in the handle"), "{}", refused.message());
    }
    ask(&mut client, "SELECT 1").await.unwrap();
}

async fn bind(client: &mut Client, mut messages: Vec<FlightData>) -> Result<Vec<PutResult>, Status> {
    let command = CommandPreparedStatementQuery { prepared_statement_handle: "SELECT $1 AS x".into() };
    messages[0].flight_descriptor = Some(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    let sent = client.do_put(futures::stream::iter(messages)).await;
    sent.map_err(|e| status::<()>(Err(e)))?.try_collect().await
}

#[tokio::test]
async fn broken_rows_are_refused_and_the_server_goes_on() {
    let (_lake, mut client) = talker().await;
    let value: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let messages = encoded(RecordBatch::try_from_iter([("1", value)]).unwrap(), None);
    let bound = bind(&mut client, messages.clone()).await.unwrap();
    let handle = DoPutPreparedStatementResult::decode(bound[0].app_metadata.clone()).unwrap();
    assert!(handle.prepared_statement_handle.unwrap().starts_with(MAGIC));
    for at in 0..messages[1].data_header.len() {
        let mut messages = messages.clone();
        messages[1].data_header = changed(&messages[1].data_header, at, |byte| byte ^ 0xff);
        if let Err(refused) = bind(&mut client, messages).await {
            assert!(
                matches!(refused.code(), Code::InvalidArgument | Code::Unimplemented),
                "byte {at}: {refused:?}"
            );
        }
    }
    ask(&mut client, "SELECT 1").await.unwrap();
}
