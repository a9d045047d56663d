//! Messages of DoPut with anything in them are rows or an error: those of an honest client, with bytes changed and cut.
#![no_main]

use arbitrary::Arbitrary;
use arrow_flight::utils::batches_to_flight_data;
use belvedere_core::arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Int64Array, RecordBatch, StringArray,
};
use belvedere_core::arrow::datatypes::Int32Type;
use belvedere_flight_sql::server::fuzzing;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static MESSAGES: LazyLock<Vec<(Bytes, Bytes)>> = LazyLock::new(|| {
    // a panic that is caught is an error like any other; one that is not still ends the target
    std::panic::set_hook(Box::new(|_| {}));
    let words = ["a", "bb", "a"];
    let dictionary: DictionaryArray<Int32Type> = words.into_iter().collect();
    let batch = RecordBatch::try_from_iter([
        ("block_id", Arc::new(StringArray::from(words.to_vec())) as ArrayRef),
        ("payload", Arc::new(BinaryArray::from_iter_values(words))),
        ("begin_ticks", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("exe", Arc::new(dictionary)),
    ])
    .expect("columns are as long");
    let messages = batches_to_flight_data(&batch.schema(), vec![batch]).expect("rows can be encoded");
    messages.into_iter().map(|data| (data.data_header, data.data_body)).collect()
});

#[derive(Debug, Arbitrary)]
struct Change {
    message: u8,
    is_header: bool,
    at: u16,
    bytes: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
struct Input {
    changes: Vec<Change>,
    cut: Option<u16>,
    /// Messages that are nothing but what was made up.
    more: Vec<(Vec<u8>, Vec<u8>)>,
}

fuzz_target!(|input: Input| {
    let mut messages: Vec<(Vec<u8>, Vec<u8>)> =
        MESSAGES.iter().map(|(header, body)| (header.to_vec(), body.to_vec())).collect();
    for change in input.changes {
        let i = usize::from(change.message) % messages.len();
        let (header, body) = &mut messages[i];
        let bytes = if change.is_header { header } else { body };
        let places = bytes.iter_mut().skip(usize::from(change.at));
        places.zip(change.bytes).for_each(|(place, byte)| *place = byte);
    }
    if let (Some(cut), Some((_, body))) = (input.cut, messages.last_mut()) {
        body.truncate(usize::from(cut));
    }
    messages.extend(input.more);
    fuzzing::put(messages.into_iter().map(|(header, body)| (header.into(), body.into())));
});
