//! Messages of DoPut with anything in them are rows or an error: those of an honest client, with bytes changed and cut.
#![no_main]

use arbitrary::Arbitrary;
use belvedere_core::arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, Int64Array, RecordBatch, StringArray,
};
use belvedere_core::arrow::datatypes::Int32Type;
use belvedere_core::arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions,
};
use belvedere_flight_sql::server::fuzzing;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static MESSAGES: LazyLock<Vec<(Bytes, Bytes)>> = LazyLock::new(|| {
    let words = ["a", "bb", "a"];
    let dictionary: DictionaryArray<Int32Type> = words.into_iter().collect();
    let batch = RecordBatch::try_from_iter([
        ("block_id", Arc::new(StringArray::from(words.to_vec())) as ArrayRef),
        ("payload", Arc::new(BinaryArray::from_iter_values(words))),
        ("begin_ticks", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("exe", Arc::new(dictionary)),
    ])
    .expect("columns are as long");
    // `batches_to_flight_data` gives dictionaries no ids
    let (generator, mut tracker) = (IpcDataGenerator::default(), DictionaryTracker::new(false));
    let options = IpcWriteOptions::default();
    let schema = generator.schema_to_bytes_with_dictionary_tracker(&batch.schema(), &mut tracker, &options);
    let (dictionaries, rows) = generator
        .encode(&batch, &mut tracker, &options, &mut IpcWriteContext::default())
        .expect("rows can be encoded");
    let messages = [schema].into_iter().chain(dictionaries).chain([rows]);
    messages.map(|message| (message.ipc_message.into(), message.arrow_data.into())).collect()
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
    LazyLock::force(&MESSAGES);
    // a panic that is caught is an error like any other; one that is not still ends the target
    static QUIET: std::sync::Once = std::sync::Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
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
